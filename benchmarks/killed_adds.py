"""`chain add` that is killed again and again, beside one that is left in peace.

A folder is added to a collection in peace. Then it is added to another one, and each time the
process is killed (SIGKILL) at a random moment within the length of the peaceful run. After each
kill the collection is read. At last the folder is added once more, and both must hold the same.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from chain.collection import Collection


def add(collection: Path, clips: Path, hasher: Path, seconds: float | None = None) -> bool:
    """Run the command, for so long at most; False if it had to be killed."""
    command = [sys.executable, "-m", "chain", "add", str(clips), "-c", str(collection)]
    process = subprocess.Popen(
        [*command, "--hasher", str(hasher)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def contents(folder: Path) -> dict[str, Any]:
    """All that a collection holds, as values that can be compared."""
    collection = Collection.open(folder)
    codes, videos = collection.codes(), collection.videos()
    parts = zip(codes.owner.tolist(), codes.start.tolist(), codes.codes.tolist(), strict=True)
    frames = collection.frames(set(videos["id"]))
    return {
        "videos": videos.to_numpy().tolist(),
        "codes": list(parts),
        "frames": {id: (times.tolist(), one.tolist()) for id, (times, one) in frames.items()},
        "broken": collection.broken().to_numpy().tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--hasher", type=Path, default=Path("artifacts/hasher"))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        peaceful, killed = Path(name, "peaceful"), Path(name, "killed")
        start = time.perf_counter()
        add(peaceful, options.clips, options.hasher)
        length = time.perf_counter() - start
        expected = contents(peaceful)
        count = len(expected["videos"])
        print("| run | seconds | videos | same |\n|---|--:|--:|---|")
        print(f"| in peace | {length:.1f} | {count} | |", flush=True)
        for number in range(1, options.kills + 1):
            moment = random.uniform(0, length * (1 if number == 1 else 0.5))
            add(killed, options.clips, options.hasher, moment)
            there = (killed / "collection.json").exists()
            videos = len(Collection.open(killed).videos()) if there else 0
            print(f"| kill {number} | {moment:.1f} | {videos} | |", flush=True)
        add(killed, options.clips, options.hasher)
        found = contents(killed)
        print(f"| to its end | | {len(found['videos'])} | {found == expected} |", flush=True)
        if found != expected:
            sys.exit("error: the contents differ")


if __name__ == "__main__":
    main()

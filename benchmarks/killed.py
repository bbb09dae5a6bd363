"""Decoding and feature extraction, killed again and again, beside runs left in peace.

The clips are the demo's at 64 pixels, 2 to 4 seconds each; the CNN is as good as random. Each stage
runs once in peace. Then its output is removed and it is started over and over, each time killed
with its whole process group at a random moment within the length of that run; where it ends first,
its output is removed and it begins anew. Every run that ends must have written the same bytes.
`kept`: the clips that the next start finds done.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from chain.core import params
from chain.datasets.manifest import file_sha256

ROOT = Path(__file__).parents[1]
SIZE = 64  # pixels
SMALL = {
    "decode": {"frames": 8, "size": SIZE},
    "backbone": {"size": SIZE},
    "bank": {"views": 1, "spatial": ["consistent"]},
}
PRETRAIN = {"steps": 1, "batch": 4, "size": SIZE}


class Stage:
    """A stage of the pipeline on the demo, and the folder below `artifacts` that it writes."""

    def __init__(self, name: str, project: Path, output: str) -> None:
        self.name = name
        self.project = project
        self.output = project / "artifacts" / output / "demo"

    def run(self, seconds: float | None = None) -> bool:
        """Run it, for so long at most; False if it had to be killed."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"stages.{self.name}", "--dataset", "demo"],
            cwd=self.project,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        if status:
            sys.exit(f"error: stages.{self.name} ended with status {status}")
        return True

    def digest(self) -> str:
        """Hash of the names and contents of the files that it wrote."""
        files = [(path.name, file_sha256(path)) for path in sorted(self.output.iterdir())]
        return hashlib.sha256(str(files).encode()).hexdigest()[:16]

    def kept(self) -> int:
        """Clips that unfinished work has noted as done."""
        for notes in self.project.glob(f".scratch/{self.name}-*/notes.npy"):
            return int(np.count_nonzero(np.load(notes)["decoded"]))
        for marker in self.project.glob(f".scratch/{self.name}-*/clips_done"):
            return int(marker.read_text())
        return 0


def make_project(folder: Path, each: int) -> None:
    """Parameters for `each` clips of every category, and the rendered clips."""
    demo = SMALL | {"source": {"clips_per_category": each, "size": SIZE}}
    changes: dict[Path, dict[str, Any]] = {
        params.PARAMS: {"pretrain": PRETRAIN},
        params.profile_path("demo"): demo,
    }
    for path, change in changes.items():
        (folder / path).parent.mkdir(exist_ok=True)
        tree = params.merge(params.load(ROOT / path), change)
        (folder / path).write_text(yaml.safe_dump(tree))
    Stage("prepare", folder, "clips").run()


def disturb(stage: Stage, kills: int, random: np.random.Generator) -> None:
    """Run a stage in peace, then with so many kills; a row of the table for each start."""
    start = time.perf_counter()
    stage.run()
    length = time.perf_counter() - start
    expected = stage.digest()
    print(f"| {stage.name} | in peace | {length:.1f} | | {expected} |", flush=True)
    shutil.rmtree(stage.output)
    killed = 0
    while killed < kills:
        moment = random.uniform(0, length)
        if stage.run(moment):
            check(stage, expected)
            shutil.rmtree(stage.output)
            continue
        killed += 1
        print(f"| {stage.name} | kill {killed} | {moment:.1f} | {stage.kept()} | |", flush=True)
    stage.run()
    check(stage, expected)


def check(stage: Stage, expected: str) -> None:
    found = stage.digest()
    print(f"| {stage.name} | resumed to its end | | | {found} |", flush=True)
    if found != expected:
        sys.exit(f"error: stages.{stage.name} wrote other bytes after a kill")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=42, help="clips of each of 24 categories")
    parser.add_argument("--kills", type=int, default=10, help="of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        make_project(project, options.each)
        print("| stage | start | seconds | kept | output |\n|---|---|--:|--:|---|")
        disturb(Stage("decode", project, "frames"), options.kills, random)
        Stage("pretrain", project, "backbones").run()
        disturb(Stage("features", project, "features"), options.kills, random)


if __name__ == "__main__":
    main()

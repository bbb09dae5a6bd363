"""A CNN beside a busy neighbour, with OpenMP threads that spin while they wait and that sleep.

Another program keeps every core busy. Each way runs in a process of its own, since OpenMP reads its
environment once:

* `spin` is OpenMP's way if it is told to wait actively;
* `sleep` is what the stages set (`stages/__init__.py`), unless the user has set it.

The table shows frames a second, alone and beside the neighbour, and whether the features are the
same bytes.

    python -m benchmarks.busy_neighbour --seconds 20
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import time

WAYS = {
    "spin": {"OMP_WAIT_POLICY": "ACTIVE"},
    "sleep": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
}
BATCH, SIZE, FIRST = 8, 112, 2


def measure(seconds: float, threads: int) -> None:
    """Print frames a second of MobileNetV3 and the hash of its features, as JSON."""
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v3_small().eval()
    images = torch.rand(BATCH, 3, SIZE, SIZE)
    with torch.inference_mode():
        for _ in range(FIRST):
            features = network(images)
        start, frames = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            features = network(images)
            frames += BATCH
        spent = time.perf_counter() - start
    digest = hashlib.sha256(features.numpy().tobytes()).hexdigest()
    print(json.dumps({"rate": frames / spent, "features": digest}))


def of_child(way: str, seconds: float, threads: int) -> tuple[float, str]:
    """What `measure` prints in a process with the environment of `way`."""
    clean = {key: value for key, value in os.environ.items() if key not in WAYS["sleep"]}
    command = [sys.executable, "-m", "benchmarks.busy_neighbour", "--measure"]
    command += ["--seconds", str(seconds), "--threads", str(threads)]
    found = json.loads(subprocess.check_output(command, env=clean | WAYS[way], text=True))
    return found["rate"], found["features"]


def spin_forever() -> None:
    """Keep one core busy."""
    while True:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description="A CNN beside a busy neighbour")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure(given.seconds, given.threads)
    rates: dict[tuple[str, str], float] = {}
    digests = set()
    for load in ("alone", "busy"):
        neighbours = [
            multiprocessing.Process(target=spin_forever, daemon=True)
            for _ in range(given.threads if load == "busy" else 0)
        ]
        for neighbour in neighbours:
            neighbour.start()
        for way in WAYS:
            rates[way, load], digest = of_child(way, given.seconds, given.threads)
            digests.add(digest)
        for neighbour in neighbours:
            neighbour.terminate()
    print("| OpenMP threads | alone | busy neighbour | ratio |\n| --- | --: | --: | --: |")
    for way in WAYS:
        alone, busy = rates[way, "alone"], rates[way, "busy"]
        print(f"| {way} | {alone:.1f} | {busy:.1f} | {busy / alone:.2f} |")
    print(f"features: {'the same bytes' if len(digests) == 1 else 'different bytes'}")


if __name__ == "__main__":
    main()

"""Decoding and feature extraction by threads and by a local Ray of two workers, as stages.

The clips are those of `benchmarks.killed`; the CNN is as good as random, on one thread. The stages
take turns; `seconds` are medians, the start of the process and of Ray included. `a clip`: the
milliseconds of each clip beyond the first 432. Both must have written the same bytes.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks.killed import Stage, make_project
from chain.core import params

ENGINES = ("threads", "ray")
CATEGORIES, FEW = 24, 18


def measure(stage: Stage, rounds: int) -> dict[str, float]:
    """Median seconds of each engine."""
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    digests = set()
    for _ in range(rounds):
        for engine in ENGINES:
            choose(stage.project, engine)
            shutil.rmtree(stage.output, ignore_errors=True)
            start = time.perf_counter()
            stage.run()
            seconds[engine].append(time.perf_counter() - start)
            digests.add(stage.digest())
    if len(digests) > 1:
        sys.exit(f"error: stages.{stage.name} wrote other bytes by another engine")
    return {engine: float(np.median(each)) for engine, each in seconds.items()}


def choose(project: Path, engine: str) -> None:
    file = project / "params.yaml"
    runtime = {"engine": engine, "workers": 2, "threads": 1}
    tree = params.merge(params.load(file), {"runtime": runtime})
    file.write_text(yaml.safe_dump(tree))


def both_stages(each: int, rounds: int) -> dict[str, dict[str, float]]:
    """Of decoding and features, with `each` clips of every category."""
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        make_project(project, each)
        decode = measure(Stage("decode", project, "frames"), rounds)
        Stage("pretrain", project, "backbones").run()
        features = measure(Stage("features", project, "features"), rounds)
        return {"decode": decode, "features": features}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--each", type=int, default=36, help=f"clips of each of {CATEGORIES} categories"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    few, many = (both_stages(each, options.rounds) for each in (FEW, options.each))
    print("| stage | engine | seconds | a clip |\n|---|---|--:|--:|")
    for stage in many:
        for engine in ENGINES:
            seconds, more = many[stage][engine], many[stage][engine] - few[stage][engine]
            a_clip = 1000 * more / (CATEGORIES * (options.each - FEW))
            print(f"| {stage} | {engine} | {seconds:.1f} | {a_clip:.0f} |")


if __name__ == "__main__":
    main()

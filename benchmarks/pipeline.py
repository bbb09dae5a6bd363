"""Where the minutes of a `dvc repro` go: each kind of stage, its imports, and DVC around it.

Runs `dvc repro` in the current project and reads the times off its output; what is up to date takes
no time, so a fresh clone gives the whole picture. `its command` is the stage's process from start
to end, `DVC around it` the rest (hashing, caching, reading and writing dvc.lock). `imports` is what
loading the stage's modules takes, the median of some tries, without anything done; a bare `python`
is in the last row. Options after `--` go to `dvc repro`.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

TRIES = 3
RUNNING = re.compile(r"Running stage '(\w+)")
ENDED = re.compile(r"(Updating|Generating) lock file|Use `dvc push`")


@dataclass
class Spent:
    """Seconds of all stages of one kind."""

    stages: int = 0
    command: float = 0.0
    around: float = 0.0


def repro(options: list[str]) -> dict[str, Spent]:
    """Run `dvc repro`, show what it prints, and share its time out among the kinds of stages."""
    spent: dict[str, Spent] = {"(start and end)": Spent()}
    kind, since, running = "(start and end)", time.perf_counter(), False
    for line in _lines(["dvc", "repro", *options]):
        now = time.perf_counter()
        print(line, end="", flush=True)
        began, ended = RUNNING.search(line), ENDED.search(line)
        if not (began or ended):
            continue
        if running:
            spent[kind].command += now - since
        else:
            spent[kind].around += now - since
        since, running = now, began is not None
        if began:
            kind = began[1]
            spent.setdefault(kind, Spent()).stages += 1
    spent[kind].around += time.perf_counter() - since
    return spent


def _lines(command: list[str]) -> Iterator[str]:
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        yield from process.stdout
    if process.returncode:
        sys.exit(process.returncode)


def imports(module: str | None) -> float:
    """Seconds of a Python that loads a module and ends, the median of some."""
    taken = []
    for _ in range(TRIES):
        start = time.perf_counter()
        statement = f"import {module}" if module else "pass"
        subprocess.run([sys.executable, "-c", statement], check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def scripts() -> dict[str, str]:
    """Each kind of stage, and the module that it runs."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    found = {kind: re.search(r"-m (stages\.\w+)", stage["cmd"]) for kind, stage in stages.items()}
    return {kind: match[1] for kind, match in found.items() if match}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", nargs="*", help="of `dvc repro`")
    spent = repro(parser.parse_args().options)
    print("\n| stage | cells | its command, s | imports, s each | DVC around it, s |")
    print("|---|--:|--:|--:|--:|")
    for kind, module in scripts().items():
        row = spent.pop(kind, Spent())
        taken = imports(module)
        print(f"| {kind} | {row.stages} | {row.command:.1f} | {taken:.2f} | {row.around:.1f} |")
    (ends,) = spent.values()
    print(f"| (start and end) | | | {imports(None):.2f} | {ends.around:.1f} |")


if __name__ == "__main__":
    main()

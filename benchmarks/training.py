"""Training steps of CHAIN and ConMH at the published size, against a plain ConMH step.

12 blocks, 25 frames of 4096 features, 64 bits, batches of 128; synthetic features, 32 stored frames
a clip. `memory` has them in memory, `map` in a memory-mapped file, as the stages do; the file is in
the system's page cache. `plain` is `benchmarks.plain_conmh` with a loop around it, its features in
memory. A step is one of the real training loop; its shares are those of its parts, the rest being
the loop's. `× ours` is how many times as long as a step of `conmh memory` each takes. MiB are above
the libraries that all load, and include the features in memory.

One thread unless told: several wait for each other wherever a core is busy with something else.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from benchmarks.common import Measured, Way, Work, alternate
from benchmarks.plain_conmh import PlainConMH
from benchmarks.published import ROOT, published
from chain.core import params
from chain.core.files import write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.methods import method_class
from chain.methods.base import Method
from chain.training.loop import build, train
from chain.views.store import FeatureStore

DENSE, FRAMES, WIDTH, BITS, VIEWS = 32, 25, 4096, 64, 2
PARTS = ("draw", "forward", "backward", "optimiser")
CPU = torch.device("cpu")
BASE, PLAIN = "conmh memory", "plain"
ROUNDS = 3  # of the quick form


@dataclass(frozen=True)
class Case:
    """How much is trained in a round."""

    batch: int
    steps: int
    threads: int

    @property
    def clips(self) -> int:
        return self.batch * self.steps


QUICK = Case(batch=8, steps=1, threads=1)


@dataclass
class Clock:
    """Seconds of the parts of a step; each ends where the next one begins.

    A GPU first finishes a part, so that the next one can't hide behind it.
    """

    device: torch.device = CPU
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    last: float = 0.0

    def start(self) -> None:
        finish(self.device)
        self.last = time.perf_counter()

    def end(self, part: str) -> None:
        finish(self.device)
        now = time.perf_counter()
        self.spent[part] += now - self.last
        self.last = now


def finish(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def clocked(model: Method, device: torch.device = CPU) -> Iterator[Clock]:
    """A clock of each of PARTS while `model` trains, and of the `copy` of a batch to its device."""
    draw, losses = model.draw, model.losses
    clock = Clock(device)

    def timed_draw(*arguments: Any) -> Any:
        clock.start()
        batch = draw(*arguments)
        clock.end("draw")
        return batch

    def timed_losses(*batch: Any) -> Any:
        clock.end("copy")
        parts = losses(*batch)
        clock.end("forward")
        return parts

    vars(model).update(draw=timed_draw, losses=timed_losses)
    hooks = (
        register_optimizer_step_pre_hook(lambda *_: clock.end("backward")),
        register_optimizer_step_post_hook(lambda *_: clock.end("optimiser")),
    )
    try:
        yield clock
    finally:
        for hook in hooks:
            hook.remove()
        vars(model).update(draw=draw, losses=losses)


def run_training(model: Method, store: FeatureStore, device: torch.device = CPU) -> pd.DataFrame:
    """The training loop from its start, whose checkpoints are thrown away; returns the history."""
    with tempfile.TemporaryDirectory() as scratch:
        return train(model, store, 0, device, Path(scratch))


def make_features(folder: Path, clips: int, width: int = WIDTH) -> None:
    """A store of clips of three shots: clean features, and a bank of disturbed ones."""
    random = np.random.default_rng(0)

    def noise(*shape: int) -> Any:
        return random.standard_normal(shape, dtype=np.float32)

    shots = noise(clips, 3, width).repeat([12, 10, 10], axis=1)  # (N, DENSE, F)
    clean = np.maximum(shots + noise(DENSE, width) / 2, 0).astype(np.float16)
    bank = np.stack([clean * (1 + noise(clips, 1, width) / 4) for _ in range(VIEWS)], axis=1)
    np.save(folder / "clean.npy", clean)
    np.save(folder / "bank_consistent.npy", bank.astype(np.float16))
    np.save(folder / "train.npy", np.arange(clips))
    index = pd.DataFrame({"id": np.arange(clips).astype(str), "labels": "", "split": "train"})
    write_csv(folder / "index.csv", index)


def ours(folder: Path, method: str, case: Case, in_memory: bool) -> Work:
    """An epoch of the training loop; returns the seconds of each of PARTS."""
    runtime = params.load(ROOT / params.PARAMS)["runtime"] | {
        "device": "cpu",
        "training_threads": case.threads,
    }
    set_up(params.parse(RuntimeConfig, runtime, "runtime"), training=True)
    changes = {"training": {"batch": case.batch, "epochs": 1}}
    config = published(method, changes)
    store = FeatureStore.open(folder)
    if in_memory:
        banks = {kind: np.array(bank) for kind, bank in store.banks.items()}
        store = replace(store, clean=np.array(store.clean), banks=banks)
    model = build(method_class(method), config, store, BITS, seed=0)

    def work() -> dict[str, float]:
        with clocked(model) as clock:
            run_training(model, store)
        return clock.spent

    return work


def plain(folder: Path, case: Case) -> Work:
    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    clean = np.load(folder / "clean.npy")[:, :FRAMES]
    model = PlainConMH(WIDTH, FRAMES, BITS)

    def work() -> dict[str, float]:
        clock = Clock()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)  # anew, as in the loop
        order = np.random.permutation(len(clean))
        for step in range(case.steps):
            clock.start()
            rows = order[step * case.batch : (step + 1) * case.batch]
            features = torch.from_numpy(clean[rows]).float()
            permutation = torch.rand(case.batch, FRAMES).argsort(dim=1)
            clock.end("draw")
            loss = model(features, permutation)
            clock.end("forward")
            optimiser.zero_grad()
            loss.backward()
            clock.end("backward")
            optimiser.step()
            clock.end("optimiser")
        return clock.spent

    return work


def compare(case: Case, rounds: int, places: Collection[str]) -> dict[str, Measured]:
    """Both methods with their features in `places`, and the plain step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_features(folder, case.clips)
        ways: dict[str, Way] = {
            f"{method} {place}": (ours, (folder, method, case, place == "memory"))
            for method in ("conmh", "chain")
            for place in places
        }
        return alternate(ways | {PLAIN: (plain, (folder, case))}, rounds)


def ratios() -> dict[str, float]:
    """How many times as fast as the plain step each method's is; quick form."""
    measured = compare(QUICK, ROUNDS, ["map"])
    rival = measured.pop(PLAIN)
    return {way: rival.times(got) for way, got in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="batches of 8, one step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="in a round")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    case = QUICK if options.quick else Case(128, options.steps, options.threads)
    measured = compare(case, ROUNDS if options.quick else options.rounds, ["memory", "map"])
    print(f"| way | steps/s | × ours | {' | '.join(PARTS)} | MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for way, got in measured.items():
        rounds = list(zip(got.results, got.seconds, strict=True))
        shares = [np.median([spent[part] / whole for spent, whole in rounds]) for part in PARTS]
        print(
            f"| {way} | {case.steps / got.median:.2f} | {got.times(measured[BASE]):.2f} "
            f"| {' | '.join(f'{share:.1%}' for share in shares)} | {got.peak:,.0f} |"
        )


if __name__ == "__main__":
    main()

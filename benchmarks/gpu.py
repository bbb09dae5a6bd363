"""What a GPU makes of features and training, in under eight minutes; `--small` tries it on a CPU.

First the CNN, 32 frames a clip. `stage` is `clip_features` on clean frames, from uint8 to the
features; the others are the network alone on one batch. Then fifty steps of each learned method at
its published size, in its last phase: batch 512, 25 frames of 4096 features, 64 bits. All run
through the real training loop. They differ in these respects:

* `fp32` (without TF32) or `bf16`, which is `training.precision`.
* `compiled`: each layer of the method (its direct children) by `torch.compile`.
* `resident`: two batches that wait on the device. `streamed`: each batch is drawn from the stored
  features in memory and copied, as the stages do it; ten steps.

Columns:

* `per second`: images, or steps.
* `start, s`: the first two steps, which are not in the rate; compilation is here.
* `model`: forward and backward pass, as a share of a step whose parts wait for each other.
* `last loss`: the mean of the last epoch, to compare ways of one method and the same data.
* `from the CPU's`: features, as a share of the largest; or the losses of 64 clips without dropout,
  each as a share of the CPU's. It is the largest difference from fp32 on the CPU.
* `resumed`: the largest difference of a weight between two epochs that were cut off in the second
  and resumed, and two that were not. 0 is the same bits.

The features are random. There are few clusters, since a step's time does not depend on them. What
would begin after `--minutes`, and what fails, has a row that says so. Each row is saved when it is
there.
"""

import argparse
import platform
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import cycle, product
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks import features
from benchmarks.common import Way, alternate
from benchmarks.published import ROOT, published
from benchmarks.training import BITS, WIDTH, clocked, finish, make_features, run_training
from chain.core import params
from chain.core.files import write_json
from chain.core.runtime import RuntimeConfig, set_up
from chain.methods import METHODS, method_class
from chain.methods.base import Method
from chain.training import loop
from chain.training.loop import build, train
from chain.views.store import FeatureStore

LEARNED = [
    name for name in METHODS if method_class(name).Config.model_fields["training"].is_required()
]
FEW: dict[str, dict[str, Any]] = {  # clusters, and epochs before the last phase
    "bth": {"anchors": 10, "pretrain_epochs": 1},
    "mcmsh": {"clusters": 10},
    "wsch": {"clusters": 10, "warmup_epochs": 0},
    "s5vh": {"clusters": 10, "warmup_epochs": 0},
    "autossvh": {"prototypes": [6, 8, 10], "warmup_epochs": 0},
}
TINY = {"width": 64, "depth": 1}
EPOCHS_BEFORE = 2  # by then each method is in its last phase
STEPS_AN_EPOCH = 2
COMPARED = 64  # clips whose losses are compared with the CPU's
ROUNDS = 3  # of the CNN


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    batch: int
    width: int
    """F, the size of a frame's features."""
    epochs: int
    """Of resident data, each of two steps."""
    streamed_epochs: int
    tiny: bool
    """Whether networks have the sizes of TINY."""
    backend: str
    """Of `torch.compile`."""
    networks: list[features.Case]

    @property
    def clips(self) -> int:
        return self.batch * STEPS_AN_EPOCH


FULL = Size(
    batch=512,
    width=WIDTH,
    epochs=25,
    streamed_epochs=5,
    tiny=False,
    backend="inductor",
    networks=[
        features.Case("resnet50", 224, 256, frames=32, views=1, clips=16),
        features.Case("vgg16", 224, 256, frames=32, views=1, clips=16),
    ],
)
SMALL = Size(
    batch=8,
    width=32,
    epochs=1,
    streamed_epochs=1,
    tiny=True,
    backend="eager",
    networks=[features.Case("mobilenet_v3_small", 64, 64, frames=4, views=1, clips=2)],
)


@dataclass(frozen=True)
class Mode:
    """A way to train."""

    precision: Literal["fp32", "bf16"]
    compiled: bool = False
    streamed: bool = False

    def __str__(self) -> str:
        compiled = "compiled" if self.compiled else "eager"
        return f"{self.precision}, {compiled}, {'streamed' if self.streamed else 'resident'}"


MODES = [  # what compiles, and so may take long, comes last
    Mode("fp32"),
    Mode("bf16"),
    Mode("fp32", streamed=True),
    Mode("bf16", compiled=True),
    Mode("fp32", compiled=True),
]


@dataclass(frozen=True)
class Row:
    """A line of the table; the module's docstring says what the columns are."""

    what: str
    way: str
    rate: float | None = None
    start: float | None = None
    model: float | None = None
    loss: float | None = None
    from_cpu: float | None = None
    resumed: float | None = None
    note: str = ""
    """Why there is nothing else."""

    def __str__(self) -> str:
        cells = [
            self.note if self.rate is None else f"{self.rate:,.2f}",
            "" if self.start is None else f"{self.start:.1f}",
            "" if self.model is None else f"{self.model:.0%}",
            "" if self.loss is None else f"{self.loss:.4f}",
            "" if self.from_cpu is None else f"{self.from_cpu:.1e}",
            "" if self.resumed is None else f"{self.resumed:.1e}",
        ]
        return f"| {self.what} | {self.way} | {' | '.join(cells)} |"


HEAD = """\
| what | way | per second | start, s | model | last loss | from the CPU's | resumed |
|---|---|--:|--:|--:|--:|--:|--:|"""


# CNN


def cnn(case: features.Case, device: torch.device) -> list[Row]:
    """Extraction as the stage does it, and the network alone in both precisions."""
    threads = torch.get_num_threads()
    expected = features.other(case, threads, features.LAST, torch.float32)()
    alone = {"fp32": torch.float32, "bf16": torch.bfloat16}
    ways: dict[str, Way] = {
        f"{name}, CNN alone": (features.other, (case, threads, features.LAST, precision, device))
        for name, precision in alone.items()
    }
    stage: Way = (features.ahead, (case, threads, features.CLEAN, device))
    measured = alternate({"fp32, stage": stage} | ways, ROUNDS)
    rows = []
    for way, got in measured.items():
        found = got.results[0]
        images = case.images(features.CLEAN) if found is None else case.frames
        difference = None if found is None else features.difference(found, expected)
        rows.append(Row(str(case), way, images / got.median, from_cpu=difference))
    return rows


# Training


def prepared(name: str, store: FeatureStore, size: Size, device: torch.device) -> Method:
    """A method on the device that has seen the features and is in its last phase."""
    tiny = smallest(published(name).model_dump()) if size.tiny else {}
    few = FEW.get(name, {})
    config = published(name, tiny, few, {"training": {"batch": size.batch}})
    model = build(method_class(name), config, store, BITS, seed=0).to(device)
    for epoch in range(EPOCHS_BEFORE):
        model.start_epoch(epoch, store)
    return model


def smallest(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that give each part of a network the sizes of TINY."""
    return {
        key: smallest(value) if isinstance(value, dict) else TINY[key]
        for key, value in sizes.items()
        if isinstance(value, dict) or key in TINY
    }


def to_train(model: Method, **changes: Any) -> Method:
    """A copy of a learned method with changes of its `training`."""
    copy = deepcopy(model)
    assert copy.config.training
    training = copy.config.training.model_copy(update=changes)
    copy.config = copy.config.model_copy(update={"training": training})
    return copy


def first_batches(model: Method, store: FeatureStore, rows: int, number: int) -> list[Any]:
    """So many batches of the first `rows` training clips."""
    return [model.draw(store, np.arange(rows), np.random.default_rng(n)) for n in range(number)]


def on_device(batch: tuple[Tensor, ...], device: torch.device) -> list[Tensor]:
    return [tensor.to(device) for tensor in batch]


def timed_training(
    model: Method, store: FeatureStore, device: torch.device
) -> tuple[float, float, pd.DataFrame]:
    """Steps a second after the first two, the seconds of these two, and the history."""
    draw = model.draw
    starts: list[float] = []

    def stamped(*arguments: Any) -> Any:
        if len(starts) in (0, STEPS_AN_EPOCH):
            finish(device)
        starts.append(time.perf_counter())
        return draw(*arguments)

    vars(model)["draw"] = stamped
    history = run_training(model, store, device)
    finish(device)
    measured = time.perf_counter() - starts[STEPS_AN_EPOCH]
    rate = (len(starts) - STEPS_AN_EPOCH) / measured
    return rate, starts[STEPS_AN_EPOCH] - starts[0], history


def steps(model: Method, store: FeatureStore, size: Size, mode: Mode, device: torch.device) -> Row:
    """The row of a prepared method in one mode."""
    epochs = 1 + (size.streamed_epochs if mode.streamed else size.epochs)
    copy = to_train(model, epochs=epochs, precision=mode.precision)
    vars(copy)["start_epoch"] = lambda *_: None  # it is in its last phase, and stays as it is
    if mode.compiled:
        torch.compiler.reset()
        for layer in copy.children():
            layer.compile(backend=size.backend)
    if not mode.streamed:
        drawn = first_batches(copy, store, size.batch, STEPS_AN_EPOCH)
        batches = cycle([on_device(batch, device) for batch in drawn])
        vars(copy)["draw"] = lambda *_: next(batches)
    rate, start, history = timed_training(copy, store, device)
    row = Row("", str(mode), rate, start, loss=float(history["loss"].iloc[-1]))
    if mode.streamed:
        return replace(row, model=share_of_model(model, store, device))
    if mode.compiled:
        return row
    row = replace(row, from_cpu=from_cpu(model, store, mode.precision, device))
    return row if mode != MODES[0] else replace(row, resumed=resumed(model, store, device))


def share_of_model(model: Method, store: FeatureStore, device: torch.device) -> float:
    """Forward and backward pass, as a share of the steps of an epoch."""
    copy = to_train(model, epochs=1)
    with clocked(copy, device) as clock:
        run_training(copy, store, device)
    return (clock.spent["forward"] + clock.spent["backward"]) / sum(clock.spent.values())


@torch.no_grad()
def from_cpu(model: Method, store: FeatureStore, precision: str, device: torch.device) -> float:
    """The largest difference of a loss from that on the CPU in fp32, as a share of the latter."""
    model = deepcopy(model).eval()
    (batch,) = first_batches(model, store, min(COMPARED, len(store.train)), 1)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        found = model.losses(*on_device(batch, device))
    expected = model.cpu().losses(*batch)
    return max(
        abs(float(found[name]) - float(value)) / max(abs(float(value)), 1e-6)
        for name, value in expected.items()
    )


class CutOffError(Exception):
    """Stands for a kill."""


def resumed(model: Method, store: FeatureStore, device: torch.device) -> float:
    """The largest difference of a weight after a training that was cut off in its second epoch."""
    whole, killed, after = (to_train(model, epochs=2) for _ in range(3))
    losses = killed.losses
    run_training(whole, store, device)
    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1),
    ):
        scratch = Path(name)

        def cut_off(*batch: Tensor) -> dict[str, Tensor]:
            if any(scratch.iterdir()):  # the checkpoint of the first epoch
                raise CutOffError
            return losses(*batch)

        vars(killed)["losses"] = cut_off
        with suppress(CutOffError):
            train(killed, store, 0, device, scratch)
        train(after, store, 0, device, scratch)
    theirs = whole.state_dict()
    return max(
        float((value.double() - theirs[name].double()).abs().max())
        for name, value in after.state_dict().items()
    )


# All of it


def measure(size: Size, device: torch.device, minutes: float) -> Iterator[Row]:
    """The rows, in an order that leaves for the end what matters least."""
    end = time.monotonic() + 60 * minutes
    for case in size.networks:
        yield from tried(str(case), "", end, partial(cnn, case, device))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_features(folder, size.clips, size.width)
        store = FeatureStore.open(folder)
        banks = {kind: np.array(bank) for kind, bank in store.banks.items()}
        store = replace(store, clean=np.array(store.clean), banks=banks)
        models: dict[str, Method] = {}

        def row(name: str, mode: Mode) -> list[Row]:
            if name not in models:
                models[name] = prepared(name, store, size, device)
            return [replace(steps(models[name], store, size, mode, device), what=name)]

        for mode, name in product(MODES, LEARNED):
            yield from tried(name, str(mode), end, partial(row, name, mode))


def tried(what: str, way: str, end: float, work: Callable[[], list[Row]]) -> list[Row]:
    """The rows of `work`, or one that says why there are none, so that the rest is measured.

    Nothing begins after `end`, a time of the monotonic clock.
    """
    if time.monotonic() > end:
        return [Row(what, way, note="not reached")]
    try:
        return work()
    except Exception as error:
        traceback.print_exc()
        first, *_ = str(error).splitlines() or [""]
        return [Row(what, way, note=f"{type(error).__name__}: {first}")]


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()})"


def save(rows: Iterator[Row], about: Mapping[str, Any], path: Path) -> str:
    """Save what there is after each row; returns the table, the rows of a method together."""
    found: list[Row] = []
    for row in rows:
        found.append(row)
        write_json(path, {**about, "rows": [asdict(one) for one in found]})
    order = {what: place for place, what in enumerate(dict.fromkeys(row.what for row in found))}
    return "\n".join([HEAD, *map(str, sorted(found, key=lambda row: order[row.what]))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="tiny sizes, for a CPU")
    parser.add_argument("--device", default="auto", help="as runtime.device in params.yaml")
    parser.add_argument("--minutes", type=float, default=7, help="after which nothing begins")
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json")
    options = parser.parse_args()
    runtime = params.load(ROOT / params.PARAMS)["runtime"] | {"device": options.device}
    config = params.parse(RuntimeConfig, runtime, "runtime")
    device = set_up(config, training=True)
    size = SMALL if options.small else FULL
    about = {"machine": machine(device), "torch": torch.__version__, "small": options.small}
    print(f"{about['machine']}, torch {about['torch']}{', small' if options.small else ''}\n")
    print(save(measure(size, device, options.minutes), about, options.out / "gpu.json"))


if __name__ == "__main__":
    main()

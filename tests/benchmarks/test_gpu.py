"""The benchmark of GPUs, in its small form on the CPU."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_methods import small, small_store
from torch import Tensor

from benchmarks import gpu
from benchmarks.gpu import LEARNED, MODES, SMALL, Mode, Row
from benchmarks.training import PARTS, clocked, run_training
from chain.methods import method_config
from chain.methods.conmh import ConMH
from chain.training.loop import build

CPU = torch.device("cpu")
STORE = small_store()
SIZE = replace(SMALL, batch=12, networks=[])  # two steps of 12 clips, and one of 4


def conmh(kind: type[ConMH] = ConMH) -> ConMH:
    model = build(kind, method_config("conmh", small("conmh")), STORE, 8, 0)
    assert isinstance(model, ConMH)
    return model


def test_eager_fp32_on_the_cpu_differs_from_the_cpu_in_nothing() -> None:
    row = gpu.steps(conmh(), STORE, SIZE, Mode("fp32"), CPU)
    assert (row.from_cpu, row.resumed, row.model) == (0, 0, None)
    assert row.rate and row.rate > 0 and row.start and row.start > 0


def test_bf16_differs_a_little() -> None:
    row = gpu.steps(conmh(), STORE, SIZE, Mode("bf16"), CPU)
    assert row.from_cpu and 1e-7 < row.from_cpu < 0.1


def test_compiled_layers_give_the_same_losses() -> None:
    rows = [
        gpu.steps(conmh(), STORE, SIZE, Mode("fp32", compiled=compiled), CPU)
        for compiled in (False, True)
    ]
    assert rows[0].loss == pytest.approx(rows[1].loss, rel=1e-5)


def test_streamed_batches_are_drawn_anew_and_the_model_has_a_share() -> None:
    drawn = []

    class Noted(ConMH):
        def draw(
            self, store: object, rows: np.ndarray, random: np.random.Generator
        ) -> tuple[Tensor, ...]:
            drawn.append(rows)
            return super().draw(store, rows, random)

    row = gpu.steps(conmh(Noted), STORE, SIZE, Mode("fp32", streamed=True), CPU)
    assert row.model and 0 < row.model < 1
    assert len(drawn) == 3 * 3  # three epochs, of which one is for the shares
    drawn.clear()
    gpu.steps(conmh(Noted), STORE, SIZE, Mode("bf16"), CPU)
    assert len(drawn) == 2 + 1  # two that wait on the device, and one to compare


class Forgetful(ConMH):
    """Its losses depend on a count that no checkpoint holds."""

    calls = 0

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        parts = super().losses(*batch)
        return parts | {"loss": parts["contrastive"] + self.calls * parts["reconstruction"]}


def test_a_run_that_can_not_be_resumed_is_found() -> None:
    assert gpu.resumed(conmh(), STORE, CPU) == 0
    assert gpu.resumed(conmh(Forgetful), STORE, CPU) > 0


def test_the_clock_lets_go_of_the_model() -> None:
    model = gpu.to_train(conmh(), epochs=1)
    with clocked(model) as clock:
        run_training(model, STORE)
    spent = dict(clock.spent)
    assert set(spent) == {*PARTS, "copy"} and all(value > 0 for value in spent.values())
    run_training(model, STORE)
    assert clock.spent == spent


def test_published_sizes_are_made_tiny_part_by_part() -> None:
    sizes = {"width": 256, "clusters": 9, "encoder": {"width": 1024, "depth": 12, "heads": 4}}
    assert gpu.smallest(sizes) == {"width": 64, "encoder": {"width": 64, "depth": 1}}


def test_what_is_late_or_fails_has_a_row_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def steps(model: object, store: object, size: object, mode: Mode, device: object) -> Row:
        if mode.compiled:
            raise RuntimeError("no compiler\nand more")
        return Row("", str(mode), 2.0)

    late = list(gpu.measure(SIZE, CPU, minutes=-1))
    assert [row.note for row in late] == ["not reached"] * len(MODES) * len(LEARNED)
    monkeypatch.setattr(gpu, "steps", steps)
    monkeypatch.setattr(gpu, "prepared", lambda *_: None)
    table = gpu.save(gpu.measure(SIZE, CPU, minutes=1), {"small": True}, tmp_path / "gpu.json")
    lines = table.splitlines()[2:]
    assert len(lines) == len(MODES) * len(LEARNED)
    assert lines[0] == "| bth | fp32, eager, resident | 2.00 |  |  |  |  |  |"
    assert lines[3].startswith("| bth | bf16, compiled, resident | RuntimeError: no compiler |")
    saved = json.loads((tmp_path / "gpu.json").read_text())
    assert saved["small"] and saved["rows"][0] == {
        "what": "bth",
        "way": "fp32, eager, resident",
        "rate": 2.0,
        "start": None,
        "model": None,
        "loss": None,
        "from_cpu": None,
        "resumed": None,
        "note": "",
    }


def test_rows_are_saved_as_they_come(tmp_path: Path) -> None:
    def rows() -> object:
        yield Row("first", "fp32", 1.0)
        assert len(json.loads((tmp_path / "gpu.json").read_text())["rows"]) == 1
        yield Row("second", "fp32", 1.0)

    gpu.save(rows(), {}, tmp_path / "gpu.json")
    assert len(json.loads((tmp_path / "gpu.json").read_text())["rows"]) == 2

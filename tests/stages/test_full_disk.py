"""A full disk ends each stage in one line, and the stage succeeds once there is room."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from full_disk import room_for
from test_damaged import CELL, run  # noqa: F401
from test_ready_stages import here  # noqa: F401

from chain.core.errors import FULL, errors_of_one_line
from stages import (
    claims,
    cost,
    decode,
    evaluate,
    features,
    floats,
    headline,
    index,
    listing,
    prepare,
    pretrain,
    report,
    tables,
    train,
    transfer,
)

STAGES: list[Callable[[], str]] = [
    listing.listing,
    partial(prepare.prepare, "mini"),
    partial(decode.decode, "mini"),
    partial(pretrain.backbone_weights, "mini"),
    partial(features.features, "mini"),
    partial(train.train_cell, *CELL),
    partial(evaluate.evaluate, *CELL),
    partial(floats.floats, "mini"),
    partial(index.index, *CELL),
    headline.headline,
    partial(tables.tables, "mini", "16"),
    claims.claims,
    partial(cost.costs, 16),
    partial(transfer.transfer, 16),
    partial(report.report, "16"),
]
ROOM = (0, 100, 1000, 5000)  # bytes


def call(stage: Callable[[], str]) -> str:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), errors_of_one_line():
        return stage()


def test_every_stage_on_a_full_disk(run: Path) -> None:  # noqa: F811
    told = []
    for stage in STAGES:
        for size in ROOM:
            try:
                with room_for(size):
                    call(stage)
            except SystemExit as error:
                told.append(str(error.code))
            assert not list(run.parent.rglob(".*.partial*")), stage
        call(stage)
    assert len(told) > 2 * len(STAGES)
    for line in told:
        assert "\n" not in line and any(reason in line for reason in FULL), line
    assert not list((run.parent / ".scratch").iterdir())

    cell = run / "indexes" / "mini" / "lsh_16"
    before = {path.name: path.read_bytes() for path in cell.iterdir()}
    with pytest.raises(SystemExit), room_for(len(before["index.faiss"]) - 1):
        call(partial(index.index, *CELL))  # FAISS itself would say nothing
    assert {path.name: path.read_bytes() for path in cell.iterdir()} == before

"""Damaged artifacts: each stage that reads one goes on, or ends in one line; never a traceback."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from test_ready_stages import here, import_features  # noqa: F401

from chain.core import params
from chain.core.errors import InputError
from stages import (
    check,
    claims,
    code,
    cost,
    evaluate,
    floats,
    headline,
    index,
    prepare,
    report,
    tables,
    train,
    transfer,
)
from stages import features as features_stage

CELL = ("mini", "lsh", 16)
READERS: dict[str, list[Callable[[], str]]] = {
    "code/methods/*": [check.check],
    "recipes/mini/lsh.json": [partial(train.train_cell, *CELL)],
    "frames/mini/index.csv": [partial(features_stage.features, "mini")],
    "features/mini/*": [
        partial(train.train_cell, *CELL),
        partial(evaluate.evaluate, *CELL),
        partial(floats.floats, "mini"),
        partial(index.index, *CELL),
        partial(transfer.transfer, 16),
    ],
    "models/mini/lsh_16/*": [partial(evaluate.evaluate, *CELL), partial(cost.costs, 16)],
    "codes/mini/lsh_16/*": [partial(index.index, *CELL)],
    "evaluations/mini/lsh_16/*": [
        headline.headline,
        partial(tables.tables, "mini", "16"),
        claims.claims,
    ],
    "evaluations/mini/float_features/*": [partial(tables.tables, "mini", "16"), claims.claims],
    "clips/mini/notes.json": [partial(tables.tables, "mini", "16")],
    "tables/*": [partial(report.report, "16")],
    "../data/mini/*": [partial(prepare.prepare, "mini"), partial(features_stage.features, "mini")],
}


def damaged(content: bytes) -> Iterator[bytes]:
    """Nothing, half of it, its end cut off, and bytes changed at its start, middle and end."""
    yield b""
    yield content[: len(content) // 2]
    yield content[:-1]
    for share in (0.02, 0.2, 0.4, 0.5, 0.7, 0.99):
        place = int(share * (len(content) - 1))
        changed = bytearray(content)
        for offset in range(place, min(place + 3, len(content))):
            changed[offset] ^= 0x55
        yield bytes(changed)


@pytest.fixture
def run(here: Path) -> Path:  # noqa: F811
    """The artifacts of a small run on ready-made features."""
    tree = params.load(params.PARAMS)
    tree |= {"bits": 16, "method": "lsh", "repeats": 2}
    tree["grid"] = {"methods": ["lsh", "chain"]}
    tree["ablations"]["tables"] = []
    params.PARAMS.write_text(yaml.safe_dump(tree))
    import_features()
    code.code()
    check.check()
    tree["grid"] = {"methods": ["lsh"]}
    params.PARAMS.write_text(yaml.safe_dump(tree))
    for stage in (train.train_cell, evaluate.evaluate, index.index):
        stage(*CELL)
    floats.floats("mini")
    headline.headline()
    tables.tables("mini", "16")
    claims.claims()
    cost.costs(16)
    transfer.transfer(16)
    for name in ("ablations", "local_tasks"):  # with no model of CHAIN
        Path(f"artifacts/tables/{name}.json").write_text("[]")
    report.report("16")
    torch.manual_seed(0)
    return here / "artifacts"


def test_every_damaged_file_is_one_line(run: Path) -> None:
    tried = refused = 0
    for pattern, readers in READERS.items():
        folder, _, name = pattern.rpartition("/")
        files = sorted(path for path in (run / folder).glob(name) if path.is_file())
        assert files, pattern
        for path in files:
            content = path.read_bytes()
            for bad in damaged(content):
                for reader in readers:
                    path.write_bytes(bad)
                    tried += 1
                    try:
                        reader()
                    except InputError as error:
                        refused += 1
                        assert "\n" not in str(error), (path, error)
                    except Exception as error:
                        raise AssertionError((path, len(bad), len(content), reader)) from error
                path.write_bytes(content)
            with suppress(FileNotFoundError):
                shutil.rmtree(run.parent / ".scratch")
    assert tried > 300 and refused > 100

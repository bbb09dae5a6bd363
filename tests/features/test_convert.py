"""Streaming of ready-made features, on small files."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from full_disk import room_for
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.datasets.feature_files import ReadyConfig, SplitFiles, index_ready
from chain.features import convert as ready
from chain.features.convert import block_rows, convert

T, F = 3, 4
FILES = {"a.h5": 7, "b.h5": 5, "c.h5": 1}
CONFIG = ReadyConfig(
    root="unused",
    frames=T,
    width=F,
    splits={
        "train": SplitFiles(features=["b.h5", "a.h5"]),
        "test": SplitFiles(features=["c.h5"]),
    },
)


class KilledError(Exception):
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, count in FILES.items():
        values = random.normal(scale=10, size=(count, T, F)).astype(np.float32)
        values[0, 0, :3] = [0.0, 1e-7, 65504.0]  # a subnormal and the largest that fp16 holds
        write(folder / name, values)
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _two_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "BLOCK", 2 * T * F * 4)


def write(path: Path, values: NDArray[Any], **options: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("feats", data=values, **options)


def load(path: Path) -> NDArray[Any]:
    with h5py.File(path) as file:
        values: NDArray[Any] = file["feats"][()]
    return values


def change(path: Path, edit: Callable[[NDArray[Any]], None]) -> None:
    values = load(path)
    edit(values)
    write(path, values)


def index(root: Path) -> pd.DataFrame:
    return index_ready(CONFIG, root, 1)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (2, 1, 4)}, {"chunks": (5, 3, 4), "compression": "gzip"}],
    ids=["contiguous", "small chunks", "chunks larger than a block"],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_loading_everything(
    root: Path, scratch: Path, options: dict[str, Any], dtype: type
) -> None:
    for name in ("a.h5", "b.h5"):
        write(root / name, load(root / name).astype(dtype), **options)
    clean = convert(CONFIG, root, index(root), scratch)
    together = np.concatenate([load(root / name) for name in ("c.h5", "b.h5", "a.h5")])
    assert isinstance(clean, np.memmap) and clean.dtype == np.float16
    np.testing.assert_array_equal(clean, together.astype(np.float16))
    assert sorted(written(scratch)) == ["clean.npy", "rows_done"]
    np.testing.assert_array_equal(np.load(scratch / "clean.npy"), clean)


@pytest.mark.parametrize("blocks", range(9))
def test_a_killed_run_ends_in_the_same_bytes(
    root: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """13 rows in 8 blocks: 1, 2 2 1, 2 2 2 1."""
    whole = tmp_path / "whole"
    whole.mkdir()
    convert(CONFIG, root, index(root), whole)
    original = ready._read
    read: list[tuple[str, int]] = []

    def dying(path: Path, data: Any, first: int, count: int) -> Any:
        if len(read) == blocks:
            raise KilledError
        read.append((path.name, first))
        return original(path, data, first, count)

    monkeypatch.setattr(ready, "_read", dying)
    if blocks < 8:
        with pytest.raises(KilledError):
            convert(CONFIG, root, index(root), scratch)
        assert len(read) == blocks
        blocks = 99
    convert(CONFIG, root, index(root), scratch)
    assert len(set(read)) == len(read) == 8  # nothing was read twice
    assert written(scratch) == written(whole)


def test_going_on_with_other_blocks(
    root: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ready._read

    def dying(path: Path, data: Any, first: int, count: int) -> Any:
        if path.name == "a.h5" and first == 4:
            raise KilledError
        return original(path, data, first, count)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(ready, "_read", dying)
        convert(CONFIG, root, index(root), scratch)
    assert (scratch / "rows_done").read_text() == "10"
    monkeypatch.setattr(ready, "BLOCK", 3 * T * F * 4)
    clean = convert(CONFIG, root, index(root), scratch)
    together = np.concatenate([load(root / name) for name in ("c.h5", "b.h5", "a.h5")])
    np.testing.assert_array_equal(clean, together.astype(np.float16))


def test_an_array_cut_short_by_a_kill_is_made_again(root: Path, scratch: Path) -> None:
    (scratch / "clean.npy").write_bytes(b"\x93NUMPY")
    assert convert(CONFIG, root, index(root), scratch).shape == (13, T, F)


def test_the_file_is_never_in_memory_as_a_whole(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 MB that were never written, so nothing is on disk; read in blocks of 1 MB."""
    monkeypatch.setattr(ready, "BLOCK", 2**20)
    with h5py.File(tmp_path / "big.h5", "w") as file:
        file.create_dataset("feats", (4000, 4, 1000), np.float32, fillvalue=1.5)
    config = ReadyConfig(
        root="", frames=4, width=1000, splits={"train": SplitFiles(features=["big.h5"])}
    )
    manifest = index_ready(config, tmp_path, 1)
    tracemalloc.start()
    clean = convert(config, tmp_path, manifest, scratch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 2**20
    assert (clean == 1.5).all()


def test_blocks_are_whole_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "BLOCK", 10 * T * F * 4)
    values = np.zeros((50, T, F), np.float32)
    for options, rows in (
        ({}, 10),
        ({"chunks": (4, 1, 1)}, 8),
        ({"chunks": (10, 3, 4)}, 10),
        ({"chunks": (16, 3, 4)}, 16),
    ):
        write(tmp_path / "f.h5", values, **options)
        with h5py.File(tmp_path / "f.h5") as file:
            assert block_rows(file["feats"]) == rows
    monkeypatch.setattr(ready, "BLOCK", 1)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        assert block_rows(file.create_dataset("x", (9, 2, 2), np.float64)) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "nan, not finite"),
        (np.inf, "inf, not finite"),
        (-np.inf, "-inf, not finite"),
        (65520.0, "65520, beyond fp16, which ends at 65,504"),
        (-1e9, r"-1e\+09, beyond fp16"),
    ],
)
def test_values_without_a_place_in_fp16(root: Path, scratch: Path, value: float, said: str) -> None:
    def spoil(values: NDArray[Any]) -> None:
        values[5, 1, 2] = value
        values[6] = np.nan  # the first one is named

    change(root / "a.h5", spoil)
    with pytest.raises(InputError, match=rf"a\.h5: row 5 holds {said}"):
        convert(CONFIG, root, index(root), scratch)


def test_the_largest_number_that_rounds_into_fp16(root: Path, scratch: Path) -> None:
    def grow(values: NDArray[Any]) -> None:
        values[0, 0, 0] = 65519.0

    change(root / "c.h5", grow)
    assert convert(CONFIG, root, index(root), scratch)[0, 0, 0] == 65504


def test_a_file_that_changed_since_it_was_indexed(root: Path, scratch: Path) -> None:
    manifest = index(root)

    def edit(values: NDArray[Any]) -> None:
        values[3, 1, 1] += 1

    change(root / "a.h5", edit)
    with pytest.raises(InputError, match=r"a\.h5: has changed since it was indexed"):
        convert(CONFIG, root, manifest, scratch)


def test_a_file_that_went_away_or_was_cut_short(root: Path, scratch: Path) -> None:
    manifest = index(root)
    content = (root / "a.h5").read_bytes()
    (root / "a.h5").write_bytes(content[:-9])
    with pytest.raises(InputError, match=r"a\.h5: not a whole HDF5 file, or damaged"):
        convert(CONFIG, root, manifest, scratch)
    (root / "a.h5").unlink()
    with pytest.raises(InputError, match=r"a\.h5: no such file"):
        convert(CONFIG, root, manifest, scratch)


def test_a_damaged_chunk(root: Path, scratch: Path) -> None:
    values = load(root / "a.h5")
    write(root / "a.h5", values, chunks=(2, T, F), compression="gzip")
    with h5py.File(root / "a.h5") as file:
        chunk = file["feats"].id.get_chunk_info(2)
    content = bytearray((root / "a.h5").read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    (root / "a.h5").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5: row 4 can't be read: ") as caught:
        convert(CONFIG, root, index(root), scratch)
    assert "\n" not in str(caught.value)


def test_a_full_disk(root: Path, scratch: Path) -> None:
    with room_for(13 * T * F * 2), pytest.raises(InputError, match=r"clean\.npy: .* GB of disk"):
        convert(CONFIG, root, index(root), scratch)
    with room_for(4096):
        convert(CONFIG, root, index(root), scratch)

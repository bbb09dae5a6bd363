"""The rows of the training clips, read alone."""

from pathlib import Path

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.views.training_rows import read_training_rows


def test_sound_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", np.array([3, 0, 4]))
    assert read_training_rows(tmp_path / "train.npy", 5).tolist() == [3, 0, 4]


@pytest.mark.parametrize("rows", [[5], [-1, 2], [], [0.0], [[1]]], ids=str)
def test_rows_that_can_not_be(tmp_path: Path, rows: list[int]) -> None:
    np.save(tmp_path / "train.npy", np.array(rows, dtype=None if rows else np.int64))
    with pytest.raises(InputError, match=r"train\.npy: "):
        read_training_rows(tmp_path / "train.npy", 5)


def test_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.npy: no such file"):
        read_training_rows(tmp_path / "train.npy", 5)
    (tmp_path / "train.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"train\.npy: not an array of int64"):
        read_training_rows(tmp_path / "train.npy", 5)

"""Arrays that are mapped: what is read is checked, and what is created has its room on the disk."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from full_disk import room_for

from chain.core.arrays import check_rows, create_array, read_array, reopen_array
from chain.core.errors import InputError

SHAPE = (100, 50)


def test_what_is_created_is_zeros_and_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    array = create_array(path, np.float16, SHAPE)
    assert array.shape == SHAPE and array.dtype == np.float16 and not array.any()
    assert 512 * path.stat().st_blocks >= array.nbytes  # no hole in the file
    array[7] = 3
    array.flush()
    again = reopen_array(path, np.float16, SHAPE)
    again[8] = 4
    again.flush()
    found = read_array(path, np.float16, 2)
    assert found[[6, 7, 8], 0].tolist() == [0, 3, 4] and not found.flags.writeable


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with room_for(5000), pytest.raises(InputError, match=r"a\.npy: it takes 0\.0 GB of disk"):
        create_array(path, np.float16, SHAPE)
    assert not list(tmp_path.iterdir())
    with room_for(5000), pytest.raises(InputError, match=r"a\.npy: it takes .* GB of disk"):
        create_array(path, np.float16, (10**6, 10**6))


def test_a_disk_that_filled_up_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with holes, as older versions left it, keeps what it has."""
    path = tmp_path / "a.npy"
    np.lib.format.open_memmap(path, "w+", np.float16, SHAPE)[7] = 3

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match="GB of disk"):
        reopen_array(path, np.float16, SHAPE)
    assert read_array(path, np.float16, 2)[7, 0] == 3


@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 2)), np.zeros(3, np.float16), np.zeros((0, 2), np.float16), np.array(["a"])],
)
def test_other_arrays(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"a\.npy: not an array of float16 in 2 dimensions"):
        read_array(tmp_path / "a.npy", np.float16, 2)
    with pytest.raises(InputError, match=r"a\.npy: .*; delete its folder"):
        reopen_array(tmp_path / "a.npy", np.float16, (3, 2))


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(InputError, match=r"a\.npy: no such file; run `dvc repro`$"):
        read_array(path, np.float16, 2)
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((3, 2), np.float16))
    with pytest.raises(InputError, match=r"a\.npy: not an array"):
        read_array(path, np.float16, 2)


def test_cut_or_changed_anywhere_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((6, 2), np.float16))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.npy: not an array") as caught:
            read_array(path, np.float16, 2)
        assert "\n" not in str(caught.value)
    for place in range(128):
        changed = bytearray(whole)
        changed[place] ^= 0x15
        path.write_bytes(changed)
        with suppress(InputError):
            read_array(path, np.float16, 2)


def test_rows() -> None:
    check_rows(Path("a.npy"), np.zeros((3, 2)), 3)
    with pytest.raises(InputError, match=r"^a\.npy: 3 rows, but there are 4 clips"):
        check_rows(Path("a.npy"), np.zeros((3, 2)), 4)

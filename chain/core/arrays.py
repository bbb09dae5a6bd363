"""Arrays in .npy files that are mapped into memory: checked when they are read, room reserved."""

import errno
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray

from chain.core.errors import REPRO, UNFINISHED, InputError, reading

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_array(path: Path, dtype: DTypeLike, dimensions: int) -> NDArray[Any]:
    """Map an .npy file, read-only.

    Raises InputError naming the file if it is missing or damaged, or if the array is of another
    type, has another number of dimensions, or is empty.
    """
    with reading(path, f"an array of {np.dtype(dtype)} in {dimensions} dimensions"):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype != dtype or array.ndim != dimensions or not array.size:
            raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
    return array


def check_rows(path: Path, array: NDArray[Any], rows: int) -> None:
    """Raise InputError naming the file at `path` if its array has not one row for each clip."""
    if len(array) != rows:
        raise InputError(f"{path}: {len(array)} rows, but there are {rows} clips; {REPRO}")


def create_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Create an .npy file of zeros and map it; its room on the disk is reserved.

    Without that, a write to the map would kill the process once the disk is full. Raises InputError
    naming the file if there is not enough room.
    """
    try:
        with _room(path, math.prod(shape) * np.dtype(dtype).itemsize):
            array = open_memmap(path, "w+", np.dtype(dtype), shape)
            _reserve(path)
    except InputError:
        path.unlink(missing_ok=True)
        raise
    return array


def reopen_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Map a file that `create_array` made, to go on writing. Raises InputError as both do."""
    with reading(path, "unfinished work of this kind", UNFINISHED):
        array = open_memmap(path, "r+")
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
    with _room(path, array.nbytes):
        _reserve(path)
    return array


@contextmanager
def _room(path: Path, size: int) -> Iterator[None]:
    """Raise InputError if the disk is too full for what the body writes to `path`."""
    free = shutil.disk_usage(path.parent).free
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"{path}: it takes {size / 1e9:.1f} GB of disk, but {free / 1e9:.1f} GB are free "
            f"({error.strerror})"
        ) from None


def _reserve(path: Path) -> None:
    """Reserve the room of a file, where the system and its file system can."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno in FULL:
                raise

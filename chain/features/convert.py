"""Ready-made features: HDF5 files of floats are streamed into the store's fp16 array."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from chain.core.arrays import create_array, reopen_array
from chain.core.errors import InputError, one_line
from chain.core.files import replacing
from chain.core.scratch import read_progress
from chain.datasets.feature_files import ROW, ReadyConfig, file_stamp, open_features

BLOCK = 128 * 2**20  # bytes that are read at once


def convert(
    config: ReadyConfig, root: Path, index: pd.DataFrame, scratch: Path
) -> NDArray[np.float16]:
    """Copy the features (N, T, F) of the N rows of `index` to a memory map `clean` in `scratch`.

    `index` is the manifest that `index_ready` made of the files under `root`. A file is read a
    block at a time. The file `rows_done` in `scratch` counts the rows that are done, and a run that
    was killed goes on from there. Raises InputError if

    * a file has changed since it was indexed, or can't be read;
    * a value is not finite, or beyond the range of fp16;
    * the disk has not enough room.
    """
    shape = (len(index), config.frames, config.width)
    marker = scratch / "rows_done"
    start = read_progress(marker)
    open_array = reopen_array if start else create_array
    clean = open_array(scratch / "clean.npy", np.float16, shape)
    files = index["path"].str.rpartition(ROW)[0]
    stamps = index.groupby(files, sort=False)["sha256"].first()
    listed = files.value_counts()
    before = 0  # rows of earlier files
    bar = tqdm(total=len(index), initial=start, desc="convert", unit="clip", mininterval=1)
    with bar:
        for name, stamp in stamps.items():
            path = root / str(name)
            with open_features(path, config) as data:
                if file_stamp(path) != stamp:
                    raise InputError(f"{path}: has changed since it was indexed; prepare it again")
                if listed[str(name)] != len(data):
                    raise InputError(
                        f"{path}: {len(data)} rows, but the index lists {listed[str(name)]}; "
                        "prepare it again"
                    )
                step = block_rows(data)
                for first in range(max(0, start - before), len(data), step):
                    block = _to_half(path, first, _read(path, data, first, step))
                    done = before + first + len(block)
                    clean[done - len(block) : done] = block
                    clean.flush()
                    with replacing(marker) as temporary:
                        temporary.write_text(str(done))
                    bar.update(len(block))
                before += len(data)
    return clean


def block_rows(data: Any) -> int:
    """Return how many rows of an h5py data set (N, T, F) to read at once.

    It is as many as `BLOCK` bytes hold, in whole HDF5 chunks, and at least one row of chunks: with
    less, HDF5 would unpack the same chunks again for every block.
    """
    rows = max(1, BLOCK // int(data.dtype.itemsize * np.prod(data.shape[1:])))
    chunk = data.chunks[0] if data.chunks else 1
    return int(max(chunk, rows - rows % chunk))


def _read(path: Path, data: Any, first: int, count: int) -> NDArray[np.floating[Any]]:
    try:
        block: NDArray[np.floating[Any]] = data[first : first + count]
    except Exception as error:  # h5py raises many types for damaged files
        raise InputError(f"{path}: row {first:,} can't be read: {one_line(error)}") from None
    return block


def _to_half(path: Path, first: int, block: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """Convert the rows of `path` from `first` on to fp16. Raises InputError if a value can't be."""
    with np.errstate(over="ignore"):
        half = block.astype(np.float16)
    bad = np.flatnonzero(~np.isfinite(half).all(axis=(1, 2)))
    if len(bad):
        row = block[bad[0]]
        culprit = row[~np.isfinite(half[bad[0]])][0]
        reason = "beyond fp16, which ends at 65,504" if np.isfinite(culprit) else "not finite"
        raise InputError(f"{path}: row {first + bad[0]:,} holds {culprit:g}, {reason}")
    return half

"""The features of a data set as training and encoding see them: memory maps and an index."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from chain.core.arrays import check_rows, read_array
from chain.core.errors import REPRO, InputError
from chain.datasets.manifest import read_index
from chain.views.sampling import uniform_frames
from chain.views.training_rows import read_training_rows

CHUNK = 256  # training clips read at once


class FeatureMap(np.memmap[Any, np.dtype[np.float16]]):
    """A memory map that lets go of the pages it has copied from.

    Pages of a map count as memory of the process until the system is short of memory. So one epoch
    would take up as much as the whole file. Pages that were let go stay in the system's page cache,
    where the next read finds them.
    """

    _mmap: mmap.mmap | None  # numpy sets it, on maps and their views but not on copies

    @classmethod
    def open(cls, path: Path, dimensions: int) -> "FeatureMap":
        """Map an .npy file, read-only. InputError as `read_array` raises it."""
        return read_array(path, np.float16, dimensions).view(cls)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if self._mmap is None or getattr(found, "_mmap", None) is not None:
            return found  # it comes from no map, or it is a view that has yet to be read
        self._let_go(self._mmap)
        return np.asarray(found)[()]

    def _let_go(self, pages: mmap.mmap) -> None:
        """Let go of the pages under this array, which may be a part of the map."""
        origin = np.frombuffer(pages, np.uint8).ctypes.data
        first, last = np.lib.array_utils.byte_bounds(self)
        start = (first - origin) // mmap.PAGESIZE * mmap.PAGESIZE
        pages.madvise(mmap.MADV_DONTNEED, start, last - origin - start)


@dataclass(frozen=True)
class FeatureStore:
    """CNN features of N clips in float16, opened read-only."""

    index: pd.DataFrame
    """One row for each clip, with its id, labels, split and so on."""
    clean: NDArray[np.float16]
    """(N, D, F) features of the D stored frames, without augmentation."""
    train: NDArray[np.int64]
    """(M,) rows of the training clips."""
    banks: dict[str, NDArray[np.float16]]
    """For each kind of draw, (M, V, D, F) features of V augmented views of the training clips."""

    @property
    def width(self) -> int:
        """F, the CNN's feature size."""
        return int(self.clean.shape[2])

    @property
    def dense(self) -> int:
        """D, stored frames a clip."""
        return int(self.clean.shape[1])

    def encoded_frames(self, count: int) -> NDArray[np.int64]:
        """(T,) which stored frames are encoded, T = `count`; InputError if fewer are stored."""
        if count > self.dense:
            raise InputError(
                f"methods.*.frames is {count}, but decode.frames keeps only {self.dense} a clip"
            )
        return uniform_frames(self.dense, count)

    def clean_frames(self, rows: NDArray[np.int64], count: int) -> Tensor:
        """The T = `count` frames that are encoded, of the clips `rows` (B,): (B, T, F) float32."""
        return torch.from_numpy(self.clean[rows[:, None], self.encoded_frames(count)]).float()

    def training_chunks(self, count: int) -> Iterator[Tensor]:
        """`clean_frames` of all training clips in their order, a few hundred clips at a time."""
        for start in range(0, len(self.train), CHUNK):
            yield self.clean_frames(self.train[start : start + CHUNK], count)

    def bank(self, kind: str) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """The bank (·, V, D, F) of one kind of draw, and the row in it of each training clip (M,).

        The kind `none` gives the clean frames as a single view. InputError if there is no such
        bank.
        """
        if kind == "none":
            return self.clean[:, None], self.train
        if kind not in self.banks:
            held = ", ".join(sorted(self.banks)) or "none"
            raise InputError(
                f"bank.spatial: the features hold no {kind!r} bank (they hold: {held}); add it"
            )
        return self.banks[kind], np.arange(len(self.train))

    @classmethod
    def open(cls, folder: Path) -> "FeatureStore":
        """Open what the `features` stage wrote. Arrays stay on disk until they are read.

        Raises InputError, naming the file, if one is missing or damaged, or if they don't fit
        together.
        """
        index = read_index(folder / "index.csv")
        clean = FeatureMap.open(folder / "clean.npy", 3)
        check_rows(folder / "clean.npy", clean, len(index))
        train = read_training_rows(folder / "train.npy", len(index))
        banks: dict[str, NDArray[np.float16]] = {}
        for path in sorted(folder.glob("bank_*.npy")):
            bank = FeatureMap.open(path, 4)
            check_rows(path, bank, len(train))
            if bank.shape[2:] != clean.shape[1:]:
                raise InputError(f"{path}: its frames are not those of clean.npy; {REPRO}")
            banks[path.stem.removeprefix("bank_")] = bank
        return cls(index=index, clean=clean, train=train, banks=banks)


def gather(
    bank: NDArray[np.float16],
    rows: NDArray[np.int64],
    views: NDArray[np.int64],
    frames: NDArray[np.int64],
) -> Tensor:
    """Frames (B, T) of the views (B,) of rows (B,) of a bank (M, V, D, F): (B, T, F) float32."""
    return torch.from_numpy(bank[rows[:, None], views[:, None], frames]).float()

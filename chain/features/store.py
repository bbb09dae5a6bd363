"""The features of a data set as training and encoding see them: memory maps and an index."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from chain.datasets.manifest import read_index
from chain.errors import InputError


@dataclass(frozen=True)
class FeatureStore:
    """CNN features of N clips, fp16, opened read-only."""

    index: pd.DataFrame
    """One row per clip: id, labels, split, ..."""
    clean: NDArray[np.float16]
    """(N, D, F) un-augmented features of the D stored frames."""
    train: NDArray[np.int64]
    """(M,) rows of the training clips."""
    banks: dict[str, NDArray[np.float16]]
    """Kind of draw -> (M, V, D, F) features of augmented views; rows follow `train`."""

    @property
    def width(self) -> int:
        """F, the CNN's feature size."""
        return int(self.clean.shape[2])

    @property
    def dense(self) -> int:
        """D, stored frames a clip."""
        return int(self.clean.shape[1])

    def bank(self, kind: str) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """The bank (·, V, D, F) of one kind of draw, and each training clip's row in it (M,).

        `none` is the clean frames as a single view. InputError if there is no such bank.
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
        """What the `features` stage wrote; arrays stay on disk until they are read."""
        banks = {
            path.stem.removeprefix("bank_"): np.load(path, mmap_mode="r")
            for path in sorted(folder.glob("bank_*.npy"))
        }
        return cls(
            index=read_index(folder / "index.csv"),
            clean=np.load(folder / "clean.npy", mmap_mode="r"),
            train=np.load(folder / "train.npy"),
            banks=banks,
        )


def gather(
    bank: NDArray[np.float16],
    rows: NDArray[np.int64],
    views: NDArray[np.int64],
    frames: NDArray[np.int64],
) -> Tensor:
    """Bank (M, V, D, F), rows (B,), views (B,), frames (B, T) -> (B, T, F) float32."""
    return torch.from_numpy(bank[rows[:, None], views[:, None], frames]).float()

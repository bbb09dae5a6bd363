"""Which clips of a data set are the training clips, as the stage `features` writes it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chain.core.arrays import read_array
from chain.core.errors import REPRO, InputError


def read_training_rows(path: Path, clips: int) -> NDArray[np.int64]:
    """Read `train.npy`: the rows (M,) of the training clips in an index of so many clips.

    Raises InputError naming the file if it is missing or damaged, or names a clip that is not
    there.
    """
    rows = np.array(read_array(path, np.int64, 1))
    if rows.min() < 0 or rows.max() >= clips:
        raise InputError(f"{path}: names a clip that is not there; {REPRO}")
    return rows

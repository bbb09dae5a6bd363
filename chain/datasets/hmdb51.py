"""HMDB51 (ICCV 2011): 6,766 clips of 51 actions, with three folds of 70 + 30 clips each.

The root holds the unpacked archives:

* one of each category, `<category>/<clip>.avi`;
* the lists, `testTrainMulti_7030_splits/<category>_test_splitN.txt`.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from chain.core.params import Parameters
from chain.datasets.official_lists import find_listed, official_manifest, read_category_lists

LISTS = "testTrainMulti_7030_splits"
CATEGORIES = 51
SPLITS = {"0": "", "1": "train", "2": "test"}
PUBLISHED = {"train": 3570, "test": 1530, "all": 6766}


class HMDB51Config(Parameters):
    """Where the data set is, and which fold is used."""

    root: str
    fold: Literal[1, 2, 3]


def index_hmdb51(config: HMDB51Config, root: Path, workers: int) -> pd.DataFrame:
    """The manifest of one fold, in splits `train` and `test`; clips with code 0 are left out.

    A line of a category's list is `<clip>.avi <code>`. Code 1 means train, 2 test and 0 unused.
    Raises InputError if a list is missing or malformed, if two files are the same clip, or if none
    of the clips is there.
    """
    listed = read_category_lists(root / LISTS, config.fold, CATEGORIES, SPLITS)
    return official_manifest(root, listed, find_listed(root, listed), PUBLISHED, workers)

"""JHMDB (ICCV 2013): 928 short clips of 21 actions from HMDB51, with three folds.

The root holds the two unpacked archives:

* the clips, `<category>/<clip>.avi` at any depth;
* the lists, `splits/<category>_test_splitN.txt`.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from chain.core.params import Parameters
from chain.datasets.official_lists import find_listed, official_manifest, read_category_lists

LISTS = "splits"
CATEGORIES = 21
SPLITS = {"1": "train", "2": "test"}
PUBLISHED = {"all": 928}
FOLD_1 = {"train": 660, "test": 268}


class JHMDBConfig(Parameters):
    """Where the data set is, and which fold is used."""

    root: str
    fold: Literal[1, 2, 3]


def index_jhmdb(config: JHMDBConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest of one fold, in splits `train` and `test`.

    A line of a category's list is `<clip>.avi <code>`. Code 1 means train and 2 test. Raises
    InputError if a list is missing or malformed, if two files are the same clip, or if none of the
    clips is there.
    """
    listed = read_category_lists(root / LISTS, config.fold, CATEGORIES, SPLITS)
    published = PUBLISHED | (FOLD_1 if config.fold == 1 else {})
    return official_manifest(root, listed, find_listed(root, listed), published, workers)

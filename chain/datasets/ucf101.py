"""UCF101 (arXiv 1212.0402): 13,320 clips of 101 actions, with three folds of train and test.

The root holds the two unpacked archives:

* the clips, `[UCF-101/]<Category>/v_*.avi`;
* the lists, `ucfTrainTestlist/{classInd,trainlist0N,testlist0N}.txt`.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.datasets.official_lists import (
    Listed,
    add,
    find_listed,
    join_labels,
    official_manifest,
    read_lines,
    without_suffix,
)

LISTS = "ucfTrainTestlist"
PUBLISHED = {
    1: {"train": 9537, "test": 3783, "all": 13320},
    2: {"train": 9586, "test": 3734, "all": 13320},
    3: {"train": 9624, "test": 3696, "all": 13320},
}


class UCF101Config(Parameters):
    """Where the data set is, and which fold is used."""

    root: str
    fold: Literal[1, 2, 3]


def index_ucf101(config: UCF101Config, root: Path, workers: int) -> pd.DataFrame:
    """The manifest of one fold, in splits `train` and `test`.

    A line of a list is `<Category>/<clip>.avi`; in the lists for training, the category's number
    follows. Raises InputError if a list is missing or malformed, if two files are the same clip, or
    if none of the clips is there.
    """
    numbers = _read_categories(root / LISTS / "classInd.txt")
    listed: dict[str, Listed] = {}
    for split in ("train", "test"):
        for where, line in read_lines(root / LISTS / f"{split}list{config.fold:02d}.txt"):
            path, *number = line.split()
            category, _, clip = path.partition("/")
            if category not in numbers or not clip or number not in ([], [numbers[category]]):
                raise InputError(
                    f"{where}: expected <category>/<clip> [<its number in classInd.txt>], "
                    f"found {line!r}"
                )
            add(listed, without_suffix(path), Listed(join_labels([category], where), split), where)
    found = find_listed(root, listed)
    return official_manifest(root, listed, found, PUBLISHED[config.fold], workers)


def _read_categories(path: Path) -> dict[str, str]:
    """The number of each category, as text."""
    numbers: dict[str, str] = {}
    for where, line in read_lines(path):
        match line.split():
            case [number, category] if number.isdecimal() and category not in numbers:
                numbers[category] = number
            case _:
                raise InputError(f"{where}: expected <number> <category>, found {line!r}")
    return numbers

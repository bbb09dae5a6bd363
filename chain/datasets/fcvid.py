"""FCVID (TPAMI 2018): 91,223 web videos of 239 categories; a video may have several.

The root holds the videos, at any depth, and text files, by default named as in the release:

* The list has one line for each video, `<path or name> <1 or train | 2 or test>`. The name may lack
  a suffix.
* The labels have one line for each video, in the same order: 239 times 0 or 1, with blanks or
  commas between.
* The categories are optional: 239 lines with one name each, in the labels' order, perhaps after its
  number (`<number> <name>`). Without them a category is called by its column, `001` to `239`.
"""

from pathlib import Path

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

CATEGORIES = 239
SPLITS = {"1": "train", "train": "train", "2": "test", "test": "test"}
PUBLISHED = {"train": 45585, "test": 45600}
"""The counts of the hashing literature, which left out a few videos that it could not decode."""


class FCVIDConfig(Parameters):
    """Where the data set and its text files are; the files relative to the root, or absolute."""

    root: str
    list_file: str = "FCVID_VideoName_TrainTestSplit.txt"
    label_file: str = "FCVID_Label.txt"
    category_file: str | None = None


def index_fcvid(config: FCVIDConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest, in splits `train` and `test`, with all of a video's labels.

    Raises InputError if a text file is missing or malformed, if the list and the labels differ in
    length, if two files are the same video, or if none of the videos is there.
    """
    videos = read_lines(root / config.list_file)
    rows = read_lines(root / config.label_file)
    if len(videos) != len(rows):
        raise InputError(
            f"{root / config.label_file}: {len(rows):,} rows of labels for the {len(videos):,} "
            f"videos of {config.list_file}"
        )
    names = _read_categories(root / config.category_file if config.category_file else None)
    listed: dict[str, Listed] = {}
    for (where, line), (row_where, row) in zip(videos, rows, strict=True):
        match line.rsplit(maxsplit=1):
            case [path, code] if code in SPLITS:
                labels = _read_row(row, names, row_where)
                add(listed, without_suffix(path), Listed(labels, SPLITS[code]), where)
            case _:
                raise InputError(
                    f"{where}: expected <video> <{' | '.join(SPLITS)}>, found {line!r}"
                )
    return official_manifest(root, listed, find_listed(root, listed), PUBLISHED, workers)


def _read_row(row: str, names: list[str], where: str) -> str:
    try:
        values = [float(text) for text in row.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != len(names) or not {0.0, 1.0}.issuperset(values):
        raise InputError(f"{where}: expected {len(names)} times 0 or 1")
    return join_labels((name for name, v in zip(names, values, strict=True) if v), where)


def _read_categories(path: Path | None) -> list[str]:
    if path is None:
        return [f"{number:03d}" for number in range(1, CATEGORIES + 1)]
    names = []
    for where, line in read_lines(path):
        number, _, rest = line.partition(" ")
        name = rest.strip() if number.isdecimal() else line
        if not name or name in names:
            raise InputError(f"{where}: expected the name of another category, found {line!r}")
        names.append(name)
    if len(names) != CATEGORIES:
        raise InputError(f"{path}: {len(names)} categories, expected {CATEGORIES}")
    return names

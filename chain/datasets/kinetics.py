"""Kinetics (arXiv 1705.06950), or any data set that is listed in its CSV format.

The root holds two kinds of files:

* CSV files have the columns label, youtube_id, time_start, time_end (both in whole seconds) and
  split. Other columns are ignored.
* Clips are `[<split>/][<label>/]<youtube_id>_<start>_<end>.mp4`, with both times in six digits.
"""

import csv
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.datasets.official_lists import (
    Listed,
    add,
    find_listed,
    join_labels,
    official_manifest,
    read_lines,
)

NEEDED = ("label", "youtube_id", "time_start", "time_end", "split")


class KineticsConfig(Parameters):
    """Where the data set and its CSV files are. Paths are absolute or relative to the root."""

    root: str
    csv_files: Annotated[list[str], Field(min_length=1)]


def index_kinetics(config: KineticsConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest, with the splits as the CSV names them (`train`, `validate`, `test`).

    The number of clips is not compared with the published one, because videos vanish from the web.
    Raises InputError if a CSV file is missing or malformed, if two files are the same clip, or if
    none of the clips is there.
    """
    listed: dict[str, Listed] = {}
    for file in config.csv_files:
        _read_csv(root / file, listed)
    return official_manifest(root, listed, find_listed(root, listed), {}, workers)


def _read_csv(path: Path, listed: dict[str, Listed]) -> None:
    (_, header), *lines = read_lines(path)
    columns = next(csv.reader([header]))
    for column in NEEDED:
        if column not in columns:
            raise InputError(f"{path}: no column {column!r}")
    for where, line in lines:
        row = dict(zip(columns, next(csv.reader([line])), strict=False))
        label, clip, start, end, split = (row.get(column, "") for column in NEEDED)
        if not (clip and split and start.isdecimal() and end.isdecimal()):
            raise InputError(f"{where}: expected {', '.join(NEEDED)}, times in whole seconds")
        name = f"{clip}_{int(start):06d}_{int(end):06d}"
        add(listed, name, Listed(join_labels(filter(None, [label]), where), split), where)

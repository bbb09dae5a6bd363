"""The numbers of CHAIN's local tasks in print, and as one table for a CSV file."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from chain.results.labels import labelled
from chain.results.table import ABSENT, Cell, Table


@dataclass(frozen=True)
class Layout:
    """How one table is printed."""

    caption: str
    rows: str
    """The column that names the rows."""
    columns: Mapping[str, str]
    """The columns of numbers and their headings."""
    digits: int
    note: str


LAYOUTS = {
    "order": Layout(
        "Order of frames",
        "clips",
        {"accuracy": "accuracy of moved frames", "chance": "chance"},
        3,
        "Chance is that of guessing the position of a frame that is known to have moved.",
    ),
    "scenes": Layout(
        "Scenes of joined clips",
        "preference",
        {
            "adjusted_rand": "adjusted Rand index",
            "uncrossed": "joins without a scene across the cut",
            "scenes": "scenes of a join",
            "unjoined": "scenes of a clip",
        },
        2,
        "The first frames of one clip and the last frames of another are joined, so that the true "
        "cut is known. A clip may have cuts of its own, and scenes that find those lower the index "
        "of its joins.",
    ),
    "reversal": Layout(
        "A clip and its reversal",
        "method",
        {
            "reversed": "a clip and its reversal",
            "category": "two clips of a category",
            "random": "any two clips",
        },
        1,
        "Mean Hamming distances of codes, in bits. At 0 a method is blind to the order of frames.",
    ),
}
"""By the names of the tables, in the order in which they are printed."""


def printed(tables: Mapping[str, pd.DataFrame]) -> list[Table]:
    """Print those of the tables in `LAYOUTS` that are given.

    Each has the columns of its layout and, for several seeds, a column sd_<name> beside any. A
    standard deviation that would print as 0 is left out.
    """
    return [_table(tables[name], layout) for name, layout in LAYOUTS.items() if name in tables]


def _table(values: pd.DataFrame, layout: Layout) -> Table:
    named = labelled(values)
    cells = {
        heading: [_cell(row, name, layout.digits) for row in values.to_dict("records")]
        for name, heading in layout.columns.items()
    }
    frame = pd.DataFrame({layout.rows: named[layout.rows].astype(str), **cells})
    return Table.of(frame, layout.caption, layout.note)


def _cell(row: Mapping[Hashable, Any], name: str, digits: int) -> Cell:
    mean, sd = row[name], row.get(f"sd_{name}", float("nan"))
    if pd.isna(mean):
        return Cell(ABSENT)
    spread = f"{sd:.{digits}f}"
    known = not pd.isna(sd) and float(spread) > 0
    return Cell(f"{mean:.{digits}f} ± {spread}" if known else f"{mean:.{digits}f}")


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All numbers in one table: columns table, row, measure, mean and sd (NaN where unknown).

    They are rounded to nine decimals, so that equal seeds have an sd of 0.
    """
    rows = [
        (table, row[layout.rows], name, row[name], row.get(f"sd_{name}"))
        for table, layout in LAYOUTS.items()
        if table in tables
        for row in tables[table].to_dict("records")
        for name in layout.columns
    ]
    return pd.DataFrame(rows, columns=["table", "row", "measure", "mean", "sd"]).round(9)

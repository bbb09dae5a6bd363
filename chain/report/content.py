"""What a report holds, as plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chain.core.errors import InputError


@dataclass(frozen=True)
class Cell:
    """The text of one cell of a table; the best of its column is bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; `right` says which columns are set flush right.

    Raises InputError if a row or `right` is not as long as the header.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[bool, ...]

    def __post_init__(self) -> None:
        for line in (self.right, *self.rows):
            if len(line) != len(self.header):
                raise InputError(
                    f"table {self.caption!r}: {len(self.header)} columns, but a row of {len(line)}"
                )


@dataclass(frozen=True)
class Figure:
    """A PNG file and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Series:
    """A line through the points (x, y), with a band of ± `sd` around it where that is given.

    `colour` is CSS's, `dash` one of matplotlib's "-", "--", ":" and "-.", `width` in pixels. Raises
    InputError on lengths that differ, on no points and on numbers that are not finite.
    """

    name: str
    colour: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sd: tuple[float, ...] | None = None
    dash: str = "-"
    width: float = 1.5

    def __post_init__(self) -> None:
        columns = [self.x, self.y] + ([] if self.sd is None else [self.sd])
        if not self.x or len({len(column) for column in columns}) > 1:
            raise InputError(f"series {self.name!r}: expected x, y and sd of one length above 0")
        if not all(math.isfinite(value) for column in columns for value in column):
            raise InputError(f"series {self.name!r} holds something else than finite numbers")


@dataclass(frozen=True)
class Curves:
    """One chart: its series share both axes. Raises InputError if there are none."""

    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        if not self.series:
            raise InputError(f"curves {self.caption!r}: no series")


@dataclass(frozen=True)
class Section:
    """A heading and, in this order, text (blank lines part paragraphs), tables, curves, figures."""

    heading: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    curves: tuple[Curves, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole report: sections, then the parameters' text, and the versions and seeds by name."""

    title: str
    sections: tuple[Section, ...]
    parameters: str
    versions: Mapping[str, str]
    seeds: Mapping[str, str]

"""A table in print, which is built from a data frame and shown as Markdown and as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from chain.core.errors import InputError, reading
from chain.core.files import replacing

ABSENT = "–"
"""Stands where a value is missing."""


@dataclass(frozen=True)
class Cell:
    """The text of one cell; a bold one is the best of those that it competes with."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; `right` tells which columns are set flush right.

    `note` is a paragraph that explains the cells. It stands below the table.

    Raises InputError if a row or `right` is not as long as the header.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[bool, ...]
    note: str = ""

    def __post_init__(self) -> None:
        for line in (self.right, *self.rows):
            if len(line) != len(self.header):
                raise InputError(
                    f"table {self.caption!r}: {len(self.header)} columns, but a row of {len(line)}"
                )

    @classmethod
    def of(cls, frame: pd.DataFrame, caption: str = "", note: str = "") -> "Table":
        """Print `frame` without its index.

        * A `Cell` stays as it is, and any other value becomes its `str`.
        * A missing value becomes a dash.
        * Columns that hold a `str` are flush left, the others flush right.
        """
        columns = [list(frame[name]) for name in frame.columns]
        return cls(
            caption,
            tuple(map(str, frame.columns)),
            tuple(tuple(map(_cell, row)) for row in zip(*columns, strict=True)),
            tuple(not any(isinstance(value, str) for value in column) for column in columns),
            note,
        )

    def markdown(self) -> str:
        """A pipe table that ends in a line break, between the caption as a heading and the note."""
        rule = ["--:" if right else "---" for right in self.right]
        body = [
            [f"**{cell.text}**" if cell.bold else cell.text for cell in row] for row in self.rows
        ]
        lines = [self.header, rule, *body]
        escaped = [[text.replace("|", "\\|") for text in line] for line in lines]
        pipes = "".join(f"| {' | '.join(line)} |\n" for line in escaped)
        heading = f"### {self.caption}\n\n" if self.caption else ""
        return heading + pipes + (f"\n{self.note}\n" if self.note else "")


_TABLES = TypeAdapter(tuple[Table, ...])


def write_tables(
    data: Path, markdown: Path, tables: Sequence[Table], notes: Sequence[str] = ()
) -> None:
    """Write `tables` twice: to `data` for `read_tables`, and with `notes` below to `markdown`."""
    with replacing(data) as temporary:
        temporary.write_bytes(_TABLES.dump_json(tuple(tables), indent=1))
    paragraphs = [table.markdown() for table in tables] + [f"{note}\n" for note in notes]
    with replacing(markdown) as temporary:
        temporary.write_text("\n".join(paragraphs), encoding="utf-8")


def read_tables(data: Path) -> tuple[Table, ...]:
    """The tables that `write_tables` wrote to `data`. InputError if the file is damaged."""
    with reading(data, "tables of results"):
        return _TABLES.validate_json(data.read_bytes())


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(ABSENT if pd.isna(value) else str(value))

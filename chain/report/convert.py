"""Tables and series of a report from Markdown, data frames and installed packages."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from chain.figures.panels import checked
from chain.figures.style import method_style, ordered
from chain.report.content import Cell, Series, Table
from chain.results.tables import ABSENT


def tables_from_markdown(text: str) -> tuple[Table, ...]:
    """The pipe tables of a text such as `metrics/retrieval.md`, each captioned by its heading.

    Cells between double asterisks are bold; other marks stay as they are. Raises InputError if
    rows of a table differ in length.
    """
    tables, caption, block = [], "", list[str]()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        if block:
            tables.append(_pipe_table(caption, block))
            caption, block = "", []
        if line.startswith("#"):
            caption = line.lstrip("#").strip()
    return tuple(tables)


def _pipe_table(caption: str, lines: list[str]) -> Table:
    header, rule, *rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines
    ]
    return Table(
        caption,
        tuple(header),
        tuple(tuple(map(_cell, row)) for row in rows),
        tuple(mark.endswith(":") for mark in rule),
    )


def _cell(text: str) -> Cell:
    bold = len(text) > 4 and text.startswith("**") and text.endswith("**")
    return Cell(text[2:-2] if bold else text, bold)


def table_from_frame(frame: pd.DataFrame, caption: str = "") -> Table:
    """`frame` without its index: floats to three decimals, what is missing as a dash."""
    columns = [_column(frame[name]) for name in frame.columns]
    return Table(
        caption,
        tuple(map(str, frame.columns)),
        tuple(zip(*columns, strict=True)),
        tuple(is_numeric_dtype(frame[name]) for name in frame.columns),
    )


def _column(values: pd.Series) -> list[Cell]:
    form = "{:.3f}" if is_float_dtype(values) else "{}"
    return [Cell(ABSENT if pd.isna(value) else form.format(value)) for value in values]


def method_series(table: pd.DataFrame, x: str, y: str, spread: str = "") -> tuple[Series, ...]:
    """A series for each method of `table`, named, coloured and ordered as in the figures.

    `table` has columns method, `x` and `y`; a column `spread` becomes the band of each method for
    which it is known throughout. Raises InputError on columns that are missing or not finite.
    """
    checked(table, ["method", x], [y], unique=False)
    series = []
    for method in ordered(table["method"]):
        part, style = table[table["method"] == method], method_style(method)
        known = spread in part and part[spread].notna().all()
        xs, ys = tuple(part[x].astype(float)), tuple(part[y].astype(float))
        sd = tuple(part[spread].astype(float)) if known else None
        series.append(Series(style.label, style.colour, xs, ys, sd, style.dash, style.width))
    return tuple(series)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Python's version and that of each package (by its name in the registry), if installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions

"""The report as one HTML page that loads nothing: style, script and images are inside it."""

import base64
import json
import re
import struct
from collections.abc import Iterable, Mapping
from html import escape
from itertools import chain, count
from pathlib import Path
from string import Template
from typing import Any

from chain.core.errors import InputError
from chain.figures.style import DPI
from chain.report.content import Cell, Curves, Figure, Report, Section, Series, Table

HERE = Path(__file__).parent
PIXELS = 100  # an inch of a figure; its letters are then as large as the page's
PNG_START = b"\x89PNG\r\n\x1a\n"
NO_SCRIPT = "This chart is interactive and needs JavaScript, which is switched off."


def render(report: Report) -> str:
    """The page as HTML text; the same report gives the same text.

    Every text of `report` is escaped. Raises InputError if a figure is missing or not a PNG.
    """
    parts = [(section.heading, _section(section)) for section in report.sections]
    parts.append(("Parameters", _parameters(report.parameters)))
    parts.append(("Versions and seeds", _origins(report)))
    anchors = _anchors(heading for heading, _ in parts)
    named = list(zip(anchors, parts, strict=True))
    return Template(_asset("template.html")).substitute(
        title=escape(report.title),
        style=_asset("style.css"),
        script=_asset("report.js"),
        navigation="\n".join(
            f'<li><a href="#{anchor}">{escape(heading)}</a></li>' for anchor, (heading, _) in named
        ),
        content="\n".join(
            f'<section id="{anchor}">\n<h2>{escape(heading)}</h2>\n{body}</section>'
            for anchor, (heading, body) in named
        ),
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").rstrip()


def _anchors(headings: Iterable[str]) -> list[str]:
    """An id for each heading: its letters and digits, numbered where another has the same."""
    anchors: list[str] = []
    for heading in headings:
        slug = re.sub("[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        names = chain([slug], (f"{slug}-{number}" for number in count(2)))
        anchors.append(next(name for name in names if name not in anchors))
    return anchors


def _section(section: Section) -> str:
    paragraphs = [escape(text.strip()) for text in section.text.split("\n\n") if text.strip()]
    body = "".join(f"<p>{text}</p>\n" for text in paragraphs)
    body += "".join(map(_table, section.tables))
    if section.curves:
        body += f'<div class="charts">\n{"".join(map(_chart, section.curves))}</div>\n'
    return body + "".join(map(_figure, section.figures))


def _parameters(text: str) -> str:
    return (
        "<details>\n<summary>params.yaml</summary>\n"
        f'<pre tabindex="0">\n{escape(text)}</pre>\n</details>\n'
    )


def _origins(report: Report) -> str:
    return "".join(
        _table(_pairs(name, value, pairs))
        for name, value, pairs in (
            ("package", "version", report.versions),
            ("seed of", "value", report.seeds),
        )
    )


def _pairs(name: str, value: str, pairs: Mapping[str, str]) -> Table:
    rows = tuple((Cell(key), Cell(text)) for key, text in pairs.items())
    return Table("", (name, value), rows, (False, False))


def _table(table: Table) -> str:
    sides = [' class="right"' if right else "" for right in table.right]
    caption = f"<caption>{escape(table.caption)}</caption>\n" if table.caption else ""
    head = _row("th", [escape(name) for name in table.header], sides)
    body = "".join(
        _row("td", [_bold(escape(cell.text), cell.bold) for cell in row], sides)
        for row in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0">\n<table>\n{caption}<thead>\n{head}</thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _bold(text: str, bold: bool) -> str:
    return f"<b>{text}</b>" if bold else text


def _row(tag: str, cells: Iterable[str], sides: Iterable[str]) -> str:
    columns = zip(cells, sides, strict=True)
    return f"<tr>{''.join(f'<{tag}{side}>{cell}</{tag}>' for cell, side in columns)}</tr>\n"


def _figure(figure: Figure) -> str:
    if not figure.path.is_file():
        raise InputError(f"{figure.path}: no such file")
    data, caption = figure.path.read_bytes(), escape(figure.caption)
    if not data.startswith(PNG_START) or len(data) < 24:
        raise InputError(f"{figure.path}: not a PNG file")
    sizes = struct.unpack(">II", data[16:24])  # in the header, right after its name
    width, height = (round(size * PIXELS / DPI) for size in sizes)
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure>\n<div class="scroll" tabindex="0"><img src="{source}" width="{width}" '
        f'height="{height}" alt="{caption}"></div>\n<figcaption>{caption}</figcaption>\n</figure>\n'
    )


def _chart(curves: Curves) -> str:
    data = {
        "x": curves.x_label,
        "y": curves.y_label,
        "series": [_series(series) for series in curves.series],
    }
    # No text may end the script element or open a comment in it.
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    caption = escape(curves.caption)
    return (
        f'<figure class="chart">\n<figcaption>{caption}</figcaption>\n'
        f"<noscript><p>{NO_SCRIPT}</p></noscript>\n"
        f'<script type="application/json">{text}</script>\n</figure>\n'
    )


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "colour": series.colour,
        "dash": series.dash,
        "width": series.width,
        "x": _short(series.x),
        "y": _short(series.y),
        "sd": None if series.sd is None else _short(series.sd),
    }


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]

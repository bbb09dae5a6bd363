"""The report as one HTML page that loads nothing: style, script and images are inside it."""

import base64
import re
import struct
from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chain.core.errors import InputError
from chain.figures.style import DPI
from chain.report.charts import Chart
from chain.report.content import Figure, Report
from chain.results.table import Table

TEMPLATES = Path(__file__).parent / "templates"
PIXELS = 100  # for an inch of a figure, whose letters are then as large as the page's
PNG_START = b"\x89PNG\r\n\x1a\n"
LAST = ("Parameters", "Versions and seeds")  # headings of what every report ends with


def render(report: Report) -> str:
    """The page as HTML text; the same report gives the same text.

    Every text of `report` is escaped. Raises InputError if a figure is missing or not a PNG.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"data": _chart_data, "image": _image}
    headings = [*(section.heading for section in report.sections), *LAST]
    return environment.get_template("page.html").render(
        report=report,
        contents=list(zip(_anchors(headings), headings, strict=True)),
        origins=[
            _pairs("package", "version", report.versions),
            _pairs("seed of", "value", report.seeds),
        ],
    )


def _anchors(headings: Iterable[str]) -> list[str]:
    """An id for each heading: its letters and digits, numbered where another has the same."""
    anchors: list[str] = []
    for heading in headings:
        slug = re.sub("[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        names = chain([slug], (f"{slug}-{number}" for number in count(2)))
        anchors.append(next(name for name in names if name not in anchors))
    return anchors


def _pairs(name: str, value: str, pairs: Mapping[str, str]) -> Table:
    return Table.of(pd.DataFrame(pairs.items(), columns=[name, value]))


def _image(figure: Figure) -> dict[str, Any]:
    """The attributes of a figure's image: its bytes as a data URL, its size and what it shows."""
    if not figure.path.is_file():
        raise InputError(f"{figure.path}: no such file")
    data = figure.path.read_bytes()
    if not data.startswith(PNG_START) or len(data) < 24:
        raise InputError(f"{figure.path}: not a PNG file")
    sizes = struct.unpack(">II", data[16:24])  # in the header, right after its name
    width, height = (round(size * PIXELS / DPI) for size in sizes)
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"src": source, "width": width, "height": height, "alt": figure.caption}


def _chart_data(chart: Chart) -> dict[str, Any]:
    """What the page's script draws a chart from; numbers keep six digits."""
    return {
        "x": chart.x_label,
        "y": chart.y_label,
        "series": [
            {
                "name": series.name,
                "colour": series.colour,
                "dash": series.dash,
                "width": series.width,
                "x": _short(series.x),
                "y": _short(series.y),
                "sd": None if series.sd is None else _short(series.sd),
            }
            for series in chart.series
        ],
    }


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]

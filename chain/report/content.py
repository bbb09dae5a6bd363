"""What a report holds, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chain.report.charts import Chart
from chain.results.table import Table


@dataclass(frozen=True)
class Figure:
    """A PNG file and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with text (blank lines part paragraphs), tables, charts and figures below it."""

    heading: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole report: its sections, the texts of parameter files, versions and seeds, by name."""

    title: str
    sections: tuple[Section, ...]
    parameters: Mapping[str, str]
    versions: Mapping[str, str]
    seeds: Mapping[str, str]

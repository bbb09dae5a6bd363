"""What is committed belongs together: the README's table and the report show these metrics."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from parameter_files import EXPERIMENT, ROOT

from chain.core import params
from chain.results.floors import MARK
from chain.results.labels import dataset_label, method_label, ordered

K = EXPERIMENT["figures"]["k"]
METRICS: dict[str, Any] = json.loads((ROOT / "metrics/retrieval.json").read_text())
WIDE = pd.read_csv(ROOT / "metrics/retrieval.csv")

HALF = 0.00051  # of the last digit that is printed, and of the sixth that the files hold

Cell = tuple[str, str, int]
"""Data set, method and code length."""

Rows = list[list[str]]
"""A table's lines, each a list of the texts of its cells; the first is the header."""


def pipe_tables(text: str) -> list[Rows]:
    """The tables of a Markdown text, without the rule below each header."""
    blocks = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    lines = [block.strip().splitlines() for block in blocks]
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in (block[0], *block[2:])]
        for block in lines
    ]


class Page(HTMLParser):
    """The tables of a page by their caption; the best cells stand between asterisks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, Rows] = {}
        self.caption, self.inside = "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if tag == "table":
            self.caption = ""
        elif tag == "tr":
            self.tables.setdefault(self.caption, []).append([])
        elif tag in ("td", "th"):
            self.tables[self.caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "caption":
            self.caption = data
        elif self.inside in ("td", "th", "b"):
            self.tables[self.caption][-1][-1] = f"**{data}**" if self.inside == "b" else data


def assert_shows(texts: list[str], cells: list[Cell], protocol: str, k: int) -> None:
    """Cells that compete: each has its mean (as in the JSON) and sd (CSV), and the best is bold."""
    means = [text.strip("*")[:5] for text in texts]
    numbers = [text.strip("*").removesuffix(MARK) for text in texts]
    for text, number, mean, (dataset, method, bits) in zip(
        texts, numbers, means, cells, strict=True
    ):
        row = WIDE.query("dataset == @dataset and method == @method and bits == @bits")
        want = [METRICS[dataset][method][f"b{bits}"][protocol][f"map{k}"]]
        if f"sd_{protocol}@{k}" in WIDE:
            want.append(row[f"sd_{protocol}@{k}"].item())
        shown = [float(part) for part in number.split(" ± ")]
        assert shown == pytest.approx(want, abs=HALF, rel=0), (text, dataset, method, bits, k)
        assert text.startswith("**") == (mean == max(means) and len(texts) > 1), text


def test_the_readme_shows_these_metrics_cell_by_cell() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- results:begin -->(.*)<!-- results:end -->", readme, re.DOTALL)
    assert block is not None
    tables = pipe_tables(block[1])
    assert [header[0] for header, *_ in tables] == [
        f"{dataset_label(dataset)}, mAP@{K}" for dataset in METRICS
    ]
    for dataset, (header, *rows) in zip(METRICS, tables, strict=True):
        methods = ordered(METRICS[dataset])
        lengths = sorted(WIDE.loc[WIDE["dataset"] == dataset, "bits"].unique())
        assert header[1:] == [f"{bits} bits" for bits in lengths]
        assert [row[0] for row in rows[: len(methods)]] == [method_label(name) for name in methods]
        for column, bits in enumerate(lengths, start=1):
            cells = [(dataset, method, bits) for method in methods]
            texts = [row[column] for row in rows[: len(methods)]]
            assert_shows(texts, cells, "strict", K)
        assert rows[len(methods) :] == [
            [f"*{label}*", *[value] * len(lengths)] for label, value in without_code(dataset)
        ]


def without_code(dataset: str) -> list[tuple[str, str]]:
    """The float features' rows and mAP@K, which stand in no other file than retrieval.md."""
    header, *rows = pipe_tables((ROOT / "metrics/retrieval.md").read_text())[-1]
    column = header.index(f"mAP@{K}")
    found = [(row[1], row[column].strip("*")) for row in rows if row[0] == dataset_label(dataset)]
    assert found
    return found


def test_the_report_shows_these_metrics_cell_by_cell() -> None:
    tables = Page((ROOT / "plots/report.html").read_text()).tables
    for protocol in ("strict", "ssvh"):
        header, *rows = tables[f"mAP@K, {protocol} protocol"]
        topk = [int(name.removeprefix("mAP@")) for name in header[3:]]
        assert topk == EXPERIMENT["evaluation"]["topk"]
        cells = list(WIDE[["dataset", "method", "bits"]].itertuples(index=False, name=None))
        assert [row[:3] for row in rows] == [
            [dataset_label(dataset), str(bits), method_label(method)]
            for dataset, method, bits in cells
        ]
        for _, part in WIDE.groupby(["dataset", "bits"]):
            for column, k in enumerate(topk, start=3):
                texts = [rows[place][column] for place in part.index]
                assert_shows(texts, [cells[place] for place in part.index], protocol, k)


def test_the_report_shows_these_parameters(tmp_path: Path) -> None:
    page = (ROOT / "plots/report.html").read_text()
    found = re.findall(
        r'<summary>(.*?)</summary>\n<pre tabindex="0">\n(.*?)</pre>', page, re.DOTALL
    )
    texts = {unescape(name): unescape(text) for name, text in found}
    assert str(params.PARAMS) in texts
    assert texts.keys() == {str(params.PARAMS), *(str(params.profile_path(d)) for d in METRICS)}
    for name, text in texts.items():
        (tmp_path / "shown.yaml").write_text(text)
        printed, committed = params.load(tmp_path / "shown.yaml"), params.load(ROOT / name)
        if name == str(params.PARAMS):  # of all other blocks, one may add without a new run
            printed, committed = (
                params.select(tree, ("seed", "repeats", "evaluation"), name)
                for tree in (printed, committed)
            )
        assert printed == committed, name

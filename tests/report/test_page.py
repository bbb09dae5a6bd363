import base64
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chain.core.errors import InputError
from chain.figures.style import DPI
from chain.report.charts import Chart, Series
from chain.report.content import Figure, Report, Section
from chain.report.page import render

VOID = {"meta", "link", "img"}
EMPTY = Report("Empty", (), {}, {}, {})


class Page(HTMLParser):
    """Every element with its attributes and, in `texts`, all that stands in elements of a tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.comments: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render(report))


def test_elements_are_closed_in_order(page: Page) -> None:
    assert page.open == []
    assert page.elements[0][0] == "html"
    assert page.comments == []


def test_ids_are_unique_and_every_anchor_resolves(page: Page, report: Report) -> None:
    ids = page.values("id")
    assert len(set(ids)) == len(ids) == len(report.sections) + 2
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == [f"#{name}" for name in ids]
    assert ids[:4] == ["results", "results-2", "parameters", "section"]
    assert ids[5:] == ["parameters-2", "versions-and-seeds"]


def test_the_note_of_a_table_stands_below_it(page: Page, report: Report) -> None:
    """Only one table has a note, and it is the first."""
    notes = [n for n, (_, names) in enumerate(page.elements) if names.get("class") == "note"]
    assert [[tag for tag, _ in page.elements[:n]].count("table") for n in notes] == [1]
    assert report.sections[0].tables[0].note in page.texts["p"]


def test_nothing_is_loaded(page: Page, report: Report) -> None:
    links = [attributes["href"] for tag, attributes in page.elements if tag == "link"]
    assert all(value.startswith("data:") for value in page.values("src") + links)
    assert not any("url(" in text or "@import" in text for text in page.texts["style"])
    assert set(re.findall(r"\w+://[^\s\"']*", render(report))) == {"http://www.w3.org/2000/svg"}
    policy = next(v for v in page.values("content") if v.startswith("default-src"))
    assert policy.split(";")[0] == "default-src 'none'"


def test_images_are_embedded_byte_for_byte_at_the_figures_scale(page: Page, report: Report) -> None:
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 1
    kind, _, data = images[0]["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == report.sections[1].figures[0].path.read_bytes()
    assert DPI == 150
    assert (images[0]["width"], images[0]["height"]) == ("900", "200")
    assert images[0]["alt"] == page.texts["figcaption"][-1] == "A wide figure"


def test_texts_arrive_as_they_were(page: Page, report: Report) -> None:
    table = report.sections[0].tables[0]
    assert page.texts["title"] == page.texts["h1"] == [report.title]
    assert page.texts["h2"] == [
        *(section.heading for section in report.sections),
        *("Parameters", "Versions and seeds"),
    ]
    assert [text for text in page.texts["p"] if "JavaScript" not in text] == [
        *("First.", "Second & last.", table.note),
        report.sections[2].text,
    ]
    assert page.texts["th"] == [*table.header, "package", "version", "seed of", "value"]
    cells = [cell.text for row in table.rows for cell in row]
    assert page.texts["td"] == [*cells, "torch", "2.0", "training", "0, 1"]
    assert page.texts["b"] == [cell.text for row in table.rows for cell in row if cell.bold]
    assert page.texts["summary"] == list(report.parameters)
    # HTML drops the first line break.
    assert page.texts["pre"] == ["\n" + text for text in report.parameters.values()]


def test_columns_of_numbers_are_flush_right(page: Page) -> None:
    sides = [attributes.get("class") for tag, attributes in page.elements if tag == "td"]
    assert sides[:14] == [None, None, *["right"] * 12]
    assert sides[-4:] == [None] * 4


def test_curves_survive_json(page: Page, report: Report) -> None:
    data, _, script = page.texts["script"]
    assert "<" not in data
    assert "ResizeObserver" in script
    want = report.sections[0].charts[0]
    got = json.loads(data)
    assert (got["x"], got["y"]) == (want.x_label, want.y_label)
    for series, line in zip(want.series, got["series"], strict=True):
        expected = dataclasses.asdict(series)
        assert {k: tuple(v) if isinstance(v, list) else v for k, v in line.items()} == expected


def test_numbers_keep_six_digits_and_the_bytes_do_not_change(report: Report) -> None:
    chart = Chart("c", "x", "y", (Series("s", "red", (1,), (2 / 3,)),))
    html = render(dataclasses.replace(EMPTY, sections=(Section("h", charts=(chart,)),)))
    assert '"y": [0.666667]' in html
    assert render(report) == render(dataclasses.replace(report))
    assert render(report) != render(dataclasses.replace(report, title="Other"))


def test_an_empty_report() -> None:
    page = Page(render(EMPTY))
    assert page.texts["h1"] == ["Empty"]
    assert "td" not in page.texts
    assert "figure" not in page.texts


def test_bad_figures(tmp_path: Path) -> None:
    def with_figure(path: Path) -> Report:
        return dataclasses.replace(EMPTY, sections=(Section("h", figures=(Figure(path, "c"),)),))

    with pytest.raises(InputError, match=r"absent\.png: no such file"):
        render(with_figure(tmp_path / "absent.png"))
    for content in (b"", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.png: not a PNG file"):
            render(with_figure(tmp_path / "bad.png"))

from pathlib import Path

import pandas as pd

from chain.figures.style import METHOD_STYLES
from chain.report.content import Figure
from chain.report.sections import (
    BENCHMARKS,
    FIGURES,
    GALLERY,
    LOCAL_TASKS,
    benchmark_sections,
    figure_sections,
    opening_section,
    result_section,
)
from chain.results.map_tables import map_table
from chain.results.table import Table, write_tables

COLUMNS = ["dataset", "method", "bits", "k", "map_strict", "sd_strict"]
SCORES = pd.DataFrame(
    [
        ("ucf101", "chain", 32, 5, 0.5, 0.01),
        ("ucf101", "chain", 32, 20, 0.25, 0.02),
        ("ucf101", "lsh", 32, 5, 0.4, 0.0),
        ("ucf101", "lsh", 32, 20, 0.3, 0.0),
        ("ucf101", "chain", 16, 5, 0.2, 0.01),
        ("ucf101", "chain", 16, 20, 0.1, 0.03),
        ("ucf101", "lsh", 16, 5, 0.1, 0.0),
        ("ucf101", "lsh", 16, 20, 0.05, 0.0),
        ("demo", "chain", 16, 20, 0.75, 0.0),
    ],
    columns=COLUMNS,
)


def draw(plots: Path, *names: str) -> None:
    for name in names:
        (plots / name).parent.mkdir(parents=True, exist_ok=True)
        (plots / name).touch()


def test_every_figure_stands_under_its_heading_in_order(tmp_path: Path) -> None:
    draw(tmp_path, *(name for captions in FIGURES.values() for name in captions))
    sections = figure_sections(tmp_path, {})
    assert [section.heading for section in sections] == list(FIGURES)
    for section in sections:
        captions = FIGURES[section.heading]
        assert section.figures == tuple(Figure(tmp_path / n, text) for n, text in captions.items())
        assert not (section.text or section.tables or section.charts)


def test_figures_that_were_not_drawn_are_left_out(tmp_path: Path) -> None:
    assert figure_sections(tmp_path, {}) == ()
    draw(tmp_path, "local_tasks/order.png", "retrieved/tsne.png", "figures/other.png")
    found = {
        section.heading: [figure.path.name for figure in section.figures]
        for section in figure_sections(tmp_path, {})
    }
    assert found == {"Codes": ["tsne.png"], "The local tasks": ["order.png"]}


def test_tables_stand_above_the_figures_of_their_heading(tmp_path: Path) -> None:
    draw(tmp_path, "local_tasks/order.png", "retrieved/tsne.png")
    tables = (map_table(SCORES),)
    codes, local_tasks = figure_sections(tmp_path, {LOCAL_TASKS: tables})
    assert (codes.heading, codes.tables) == ("Codes", ())
    assert (local_tasks.heading, local_tasks.tables) == (LOCAL_TASKS, tables)
    assert [figure.path.name for figure in local_tasks.figures] == ["order.png"]


def test_results_have_the_tables_and_a_chart_of_each_cell() -> None:
    tables = (map_table(SCORES),)
    section = result_section(SCORES, tables)
    assert section.heading == "Results" and section.figures == ()
    assert section.tables == tables
    captions = [chart.caption for chart in section.charts]
    assert captions == ["UCF101, 32 bits", "UCF101, 16 bits", "Demo, 16 bits"]
    assert {(chart.x_label, chart.y_label) for chart in section.charts} == {("K", "mAP@K")}
    lsh, chain = section.charts[0].series
    assert (lsh.name, lsh.x, lsh.y, lsh.sd) == ("LSH", (5, 20), (0.4, 0.3), (0, 0))
    assert (chain.name, chain.x, chain.y, chain.sd) == ("CHAIN", (5, 20), (0.5, 0.25), (0.01, 0.02))
    assert chain.colour == METHOD_STYLES["chain"].colour
    assert [len(chart.series) for chart in section.charts] == [2, 2, 1]


def test_results_of_one_seed_have_no_band() -> None:
    section = result_section(SCORES.drop(columns="sd_strict"), ())
    assert section.tables == ()
    assert all(series.sd is None for chart in section.charts for series in chart.series)


def test_results_without_categories() -> None:
    section = result_section(pd.DataFrame(), ())
    assert section.heading == "Results" and not (section.tables or section.charts)


def test_the_opening_has_a_paragraph_for_each_answer_and_the_gallery(tmp_path: Path) -> None:
    assert opening_section(["One."], tmp_path).figures == ()
    draw(tmp_path, GALLERY)
    opening = opening_section(["One.", "Two."], tmp_path)
    assert opening.text == "One.\n\nTwo."
    assert [figure.path for figure in opening.figures] == [tmp_path / GALLERY]
    assert GALLERY not in [name for captions in FIGURES.values() for name in captions]


def test_benchmarks_that_were_run_have_a_section(tmp_path: Path) -> None:
    assert benchmark_sections(tmp_path) == ()
    table = Table.of(pd.DataFrame({"way": ["old"], "all": ["0.5"]}))
    for name in ("update", "hasher"):
        write_tables(tmp_path / f"{name}.json", tmp_path / f"{name}.md", [table])
    draw(tmp_path, "update.png", "other.png")
    (found,) = benchmark_sections(tmp_path)
    heading, caption = BENCHMARKS["update"]
    assert found.heading == heading and found.tables == (table,)
    assert found.figures == (Figure(tmp_path / "update.png", caption),)

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chain.figures.style import METHOD_STYLES
from chain.report.content import Cell, Figure
from chain.report.convert import tables_from_markdown
from chain.report.sections import FIGURES, figure_sections, readme_table, result_section
from chain.results.tables import markdown_table

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


NONE = pd.DataFrame()


def draw(plots: Path, *names: str) -> None:
    for name in names:
        (plots / name).parent.mkdir(parents=True, exist_ok=True)
        (plots / name).touch()


def test_every_figure_stands_under_its_heading_in_order(tmp_path: Path) -> None:
    draw(tmp_path, *(name for captions in FIGURES.values() for name in captions))
    sections = figure_sections(tmp_path)
    assert [section.heading for section in sections] == list(FIGURES)
    for section in sections:
        captions = FIGURES[section.heading]
        assert section.figures == tuple(Figure(tmp_path / n, text) for n, text in captions.items())
        assert not (section.text or section.tables or section.curves)


def test_figures_that_were_not_drawn_are_left_out(tmp_path: Path) -> None:
    assert figure_sections(tmp_path) == ()
    draw(tmp_path, "local_tasks/order.png", "retrieved/tsne.png", "figures/other.png")
    found = {
        section.heading: [figure.path.name for figure in section.figures]
        for section in figure_sections(tmp_path)
    }
    assert found == {"What is found": ["tsne.png"], "The local tasks": ["order.png"]}


def test_results_have_the_tables_and_a_chart_of_each_cell() -> None:
    text = f"### strict\n\n{markdown_table(SCORES)}"
    section = result_section(SCORES, text)
    assert section.heading == "Results" and section.figures == ()
    assert section.tables == tables_from_markdown(text)
    assert [table.caption for table in section.tables] == ["strict"]
    captions = [curves.caption for curves in section.curves]
    assert captions == ["UCF101, 32 bits", "UCF101, 16 bits", "Demo, 16 bits"]
    assert {(curves.x_label, curves.y_label) for curves in section.curves} == {("K", "mAP@K")}
    lsh, chain = section.curves[0].series
    assert (lsh.name, lsh.x, lsh.y, lsh.sd) == ("LSH", (5, 20), (0.4, 0.3), (0, 0))
    assert (chain.name, chain.x, chain.y, chain.sd) == ("CHAIN", (5, 20), (0.5, 0.25), (0.01, 0.02))
    assert chain.colour == METHOD_STYLES["chain"].colour
    assert [len(curves.series) for curves in section.curves] == [2, 2, 1]


def test_results_of_one_seed_have_no_band() -> None:
    section = result_section(SCORES.drop(columns="sd_strict"), "")
    assert section.tables == ()
    assert all(series.sd is None for curves in section.curves for series in curves.series)


def test_results_without_categories() -> None:
    section = result_section(pd.DataFrame(), "No data set has categories.\n")
    assert section.heading == "Results" and not (section.tables or section.curves)


def test_readme_by_hand() -> None:
    assert readme_table(SCORES, NONE, 20) == (
        "| UCF101, mAP@20 | 16 bits | 32 bits |\n"
        "| --- | --: | --: |\n"
        "| LSH | 0.050 ± 0.000 | **0.300 ± 0.000** |\n"
        "| CHAIN | **0.100 ± 0.030** | 0.250 ± 0.020 |\n"
        "\n"
        "| Demo, mAP@20 | 16 bits |\n"
        "| --- | --: |\n"
        "| CHAIN | **0.750 ± 0.000** |\n"
    )


def test_readme_at_another_k_and_of_one_seed() -> None:
    assert readme_table(SCORES.drop(columns="sd_strict"), NONE, 5) == (
        "| UCF101, mAP@5 | 16 bits | 32 bits |\n"
        "| --- | --: | --: |\n"
        "| LSH | 0.100 | 0.400 |\n"
        "| CHAIN | **0.200** | **0.500** |\n"
    )


def test_readme_of_equal_means_and_of_a_spread_that_is_not_known() -> None:
    """As in the tables of all results: what prints the same shares the bold."""
    scores = SCORES.replace({"map_strict": {0.3: 0.2504}, "sd_strict": {0.02: np.nan}})
    rows = [
        line
        for line in readme_table(scores, NONE, 20).splitlines()
        if "CHAIN" in line or "LSH" in line
    ]
    assert rows[0] == "| LSH | 0.050 ± 0.000 | **0.250 ± 0.000** |"
    assert rows[1] == "| CHAIN | **0.100 ± 0.030** | **0.250** |"


def test_readme_puts_the_float_features_below_the_methods() -> None:
    floats = pd.DataFrame(
        {"dataset": ["ucf101"] * 2 + ["demo"], "k": [5, 20, 20], "map_strict": [0.3, 0.26, 0.5]}
    )
    first, second = readme_table(SCORES, floats, 20).split("\n\n")
    assert first.splitlines()[-1] == "| *float features, cosine* | 0.260 | 0.260 |"
    assert second.splitlines()[-1] == "| *float features, cosine* | 0.500 |"


@pytest.mark.parametrize("seed", [0, 1])
def test_readme_does_not_follow_the_order_of_rows_within_a_data_set(seed: int) -> None:
    ucf101, demo = SCORES[:8].sample(frac=1, random_state=seed), SCORES[8:]
    assert readme_table(pd.concat([ucf101, demo]), NONE, 20) == readme_table(SCORES, NONE, 20)


def test_the_report_can_read_the_readme() -> None:
    first, second = tables_from_markdown(readme_table(SCORES, NONE, 20))
    assert first.rows[0] == (Cell("LSH"), Cell("0.050 ± 0.000"), Cell("0.300 ± 0.000", bold=True))
    assert second.header == ("Demo, mAP@20", "16 bits")

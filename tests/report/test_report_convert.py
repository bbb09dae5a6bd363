import platform
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.figures.style import METHOD_STYLES
from chain.report.content import Cell, Table
from chain.report.convert import (
    installed_versions,
    method_series,
    table_from_frame,
    tables_from_markdown,
)
from chain.results.tables import markdown_table

SCORES = pd.DataFrame(
    {
        "dataset": "demo",
        "method": ["chain", "chain", "lsh", "lsh"],
        "bits": 16,
        "k": [5, 20, 5, 20],
        "map_strict": [0.5, 0.25, 0.4, 0.3],
        "sd_strict": [0.01, 0.02, 0.03, np.nan],
    }
)


def test_markdown_by_hand() -> None:
    text = (
        "# Lost\n\n### strict\n\n| method | mAP@5 |\n| --- | --: |\n| LSH | – |\n"
        "| a*b | **0.500 ± 0.010** |\nText.\n\n| x |\n| --- |\n"
    )
    assert tables_from_markdown(text) == (
        Table(
            "strict",
            ("method", "mAP@5"),
            (
                (Cell("LSH"), Cell("–")),
                (Cell("a*b"), Cell("0.500 ± 0.010", bold=True)),
            ),
            (False, True),
        ),
        Table("", ("x",), (), (False,)),
    )
    assert tables_from_markdown("Nothing to evaluate.\n") == ()


def test_markdown_as_the_pipeline_writes_it() -> None:
    text = f"### strict\n\n{markdown_table(SCORES.drop(columns='sd_strict'))}"
    (table,) = tables_from_markdown(text)
    assert table.header == ("data set", "bits", "method", "mAP@5", "mAP@20")
    assert table.right == (False, True, False, True, True)
    bold = [(row[2].text, cell.text) for row in table.rows for cell in row if cell.bold]
    assert bold == [("LSH", "0.300"), ("CHAIN", "0.500")]


def test_ragged_markdown() -> None:
    with pytest.raises(InputError, match="table 'odd': 2 columns, but a row of 3"):
        tables_from_markdown("# odd\n| a | b |\n| --- | --- |\n| 1 | 2 | 3 |\n")


def test_frame_by_hand() -> None:
    frame = pd.DataFrame({"name": ["<a>", None], "bits": [16, 32], "mAP": [0.12345, np.nan]})
    assert table_from_frame(frame, "c") == Table(
        "c",
        ("name", "bits", "mAP"),
        ((Cell("<a>"), Cell("16"), Cell("0.123")), (Cell("–"), Cell("32"), Cell("–"))),
        (False, True, True),
    )
    assert table_from_frame(frame.iloc[:0]).rows == ()


def test_series_look_like_the_figures() -> None:
    lsh, chain = method_series(SCORES, "k", "map_strict", "sd_strict")
    style = METHOD_STYLES["chain"]
    assert (lsh.name, lsh.x, lsh.y, lsh.sd) == ("LSH", (5, 20), (0.4, 0.3), None)
    assert (chain.name, chain.sd) == ("CHAIN", (0.01, 0.02))
    assert (chain.colour, chain.dash, chain.width) == (style.colour, style.dash, style.width)
    assert all(series.sd is None for series in method_series(SCORES, "k", "map_strict"))
    unknown = method_series(SCORES, "k", "map_strict", "sd_absent")
    assert all(series.sd is None for series in unknown)


def test_bad_series() -> None:
    with pytest.raises(InputError, match="no column 'rank'"):
        method_series(SCORES, "rank", "map_strict")
    with pytest.raises(InputError, match="'sd_strict' holds NaN"):
        method_series(SCORES, "k", "sd_strict")


def test_versions() -> None:
    assert installed_versions(["numpy", "no-such-package"]) == {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "no-such-package": "not installed",
    }

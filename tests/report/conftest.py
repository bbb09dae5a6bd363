"""A small report that has one of everything, with texts that would break careless HTML."""

from pathlib import Path

import pytest
from PIL import Image

from chain.report.charts import Chart, Series
from chain.report.content import Figure, Report, Section
from chain.results.table import Cell, Table

HOSTILE = '</script><script>window.broken = 1</script><!-- & "it\'s" $title'
LONG = "anamewithoutanyplacewhereitcouldbebroken" * 3


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path: Path = tmp_path_factory.mktemp("figures") / "wide.png"
    Image.new("RGB", (1350, 300), "teal").save(path)
    row = (Cell("CHAIN"), Cell(HOSTILE), *(Cell(f"0.{n:03}", n == 500) for n in range(500, 512)))
    header = ("method", "note", *(f"mAP@{n}" for n in range(12)))
    right = (False, False, *(True for _ in range(12)))
    table = Table("Wide", header, (row, row), right, note="Below. " + HOSTILE)
    chart = Chart(
        "mAP@K",
        "K",
        "mAP",
        (
            Series("CHAIN", "#d55e00", (5, 20, 100), (0.5, 0.25, 0.75), (0.01, 0.02, 0.03)),
            Series("ConMH", "#0072b2", (5, 20, 60), (0.4, 0.2, 0.3), dash="--"),
            Series(HOSTILE + LONG, "grey", (5, 20, 100), (0.1, 0.125, 0.1), dash=":", width=2.5),
        ),
    )
    one = Chart("One point", "x", "y", (Series("dot", "black", (3,), (2.5,)),))
    sections = (
        Section("Results", "First.\n\nSecond & last.", (table,), (chart, one)),
        Section("Results", "", figures=(Figure(path, "A wide figure"),)),
        Section("Parameters", HOSTILE),
        Section("±"),
        Section(LONG),
    )
    texts = {"params.yaml": f"seed: 0  # <b> & {'x' * 200}\n", "params/<b>&.yaml": "\nlast: line"}
    return Report("Report " + HOSTILE, sections, texts, {"torch": "2.0"}, {"training": "0, 1"})

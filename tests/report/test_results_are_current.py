"""What is committed belongs together: the README's table and the report show these metrics."""

import re
from pathlib import Path

import pandas as pd

from chain.core import params
from chain.figures.style import dataset_label
from chain.report.convert import tables_from_markdown
from chain.report.sections import readme_table

ROOT = Path(__file__).parents[2]


def scores() -> pd.DataFrame:
    wide = pd.read_csv(ROOT / "metrics/retrieval.csv")
    k = params.load(ROOT / "params.yaml")["figures"]["k"]
    names = {f"map_strict@{k}": "map_strict", f"sd_strict@{k}": "sd_strict"}
    kept = [name for name in names if name in wide]
    return wide[["dataset", "method", "bits", *kept]].rename(columns=names).assign(k=k)


def floats(k: int) -> pd.DataFrame:
    """The float features' mAP@k, which stands in the tables only."""
    tables = tables_from_markdown((ROOT / "metrics/retrieval.md").read_text())
    (shown,) = (table for table in tables if table.caption == "Without a code")
    column = shown.header.index(f"mAP@{k}")
    by_label = {row[0].text: float(row[column].text) for row in shown.rows}
    datasets = scores()["dataset"].unique()
    values = [by_label[dataset_label(name)] for name in datasets]
    return pd.DataFrame({"dataset": datasets, "k": k, "map_strict": values})


def test_the_readme_shows_these_metrics() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- results:begin -->(.*)<!-- results:end -->", readme, re.DOTALL)
    assert block is not None
    table = scores()
    k = int(table["k"].iloc[0])
    assert block[1].strip() == readme_table(table, floats(k), k).strip()


def test_the_report_shows_these_metrics_and_parameters() -> None:
    page = (ROOT / "plots/report.html").read_text()
    for value in scores()["map_strict"]:
        assert f"{value:.3f}" in page
    shipped = params.load(ROOT / "params.yaml")
    assert f"repeats: {shipped['repeats']}" in page

"""What is committed belongs together: the README's table and the report show these metrics."""

import re
from pathlib import Path

import pandas as pd

from chain import params
from chain.report.sections import readme_table

ROOT = Path(__file__).parents[2]


def scores() -> pd.DataFrame:
    wide = pd.read_csv(ROOT / "metrics/retrieval.csv")
    k = params.load(ROOT / "params.yaml")["figures"]["k"]
    names = {f"map_strict@{k}": "map_strict", f"sd_strict@{k}": "sd_strict"}
    kept = [name for name in names if name in wide]
    return wide[["dataset", "method", "bits", *kept]].rename(columns=names).assign(k=k)


def test_the_readme_shows_these_metrics() -> None:
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- results:begin -->(.*)<!-- results:end -->", readme, re.DOTALL)
    assert block is not None
    table = scores()
    assert block[1].strip() == readme_table(table, int(table["k"].iloc[0])).strip()


def test_the_report_shows_these_metrics_and_parameters() -> None:
    page = (ROOT / "plots/report.html").read_text()
    for value in scores()["map_strict"]:
        assert f"{value:.3f}" in page
    shipped = params.load(ROOT / "params.yaml")
    assert f"repeats: {shipped['repeats']}" in page

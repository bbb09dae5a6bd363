"""All methods and code lengths side by side: metrics, a table, and curves for DVC."""

from pathlib import Path
from typing import Any

import pandas as pd

from chain.core.files import write_csv, write_json
from chain.results.grid import map_by_k, over_seeds, read_all_floats, read_grid, read_notes
from chain.results.labels import dataset_label
from chain.results.map_tables import float_table, map_table
from chain.results.table import write_tables
from chain.results.wide import wide_curve, wide_table
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, run

PLOTS = Path("plots/compare")
PROTOCOLS = ("strict", "ssvh")


def tables(dataset: str, lengths: str) -> str:
    datasets, grid = parameters("datasets", "grid")
    bits = sorted(set(map(int, lengths.split(","))))
    cells = (ARTIFACTS, datasets, grid["methods"], bits)
    scores = over_seeds(read_grid(*cells, "map"), "k")
    ranks = over_seeds(read_grid(*cells, "by_rank"), "rank")

    metrics: dict[str, Any] = {}
    wide = curve = precision = pd.DataFrame()
    printed, notes = [], ["No data set has categories, so there is nothing to evaluate."]
    if len(scores):
        for (name, method, length), cell in scores.groupby(["dataset", "method", "bits"]):
            by_method = metrics.setdefault(str(name), {})
            by_length = by_method.setdefault(str(method), {})
            by_length[f"b{length}"] = {p: map_by_k(cell, f"map_{p}") for p in PROTOCOLS}
        spreads = [f"sd_{p}" for p in PROTOCOLS if f"sd_{p}" in scores]
        wide = wide_table(scores, [*(f"map_{p}" for p in PROTOCOLS), *spreads])
        floats = read_all_floats(ARTIFACTS, datasets)
        printed = [map_table(scores, "strict", floats), map_table(scores, "ssvh")]
        printed.append(float_table(floats))
        notes = [
            f"**{dataset_label(name)}**: {note}"
            for name in datasets
            for note in read_notes(ARTIFACTS, name)
        ]
    if len(scores) and dataset in set(scores["dataset"]):
        curve = wide_curve(scores, dataset, bits[-1], "k", "map_strict")
        precision = wide_curve(ranks, dataset, bits[-1], "recall", "precision")

    write_json(METRICS / "retrieval.json", metrics)
    write_csv(METRICS / "retrieval.csv", wide)
    write_tables(TABLES / "retrieval.json", METRICS / "retrieval.md", printed, notes)
    write_csv(PLOTS / "map.csv", curve)
    write_csv(PLOTS / "precision_recall.csv", precision)
    return f"tables: {METRICS}/retrieval.md; curves of {dataset} at {bits[-1]} bits in {PLOTS}"


if __name__ == "__main__":
    run(tables, "dataset", "lengths")

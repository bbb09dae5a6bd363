"""All methods and code lengths side by side: metrics, a table, and curves for DVC."""

from pathlib import Path

from chain.figures.tables import markdown_table, wide_curve, wide_table
from chain.files import replacing, write_csv, write_json
from chain.results import map_by_k, over_seeds, read_grid
from stages.common import ARTIFACTS, parameters, run

METRICS, PLOTS = Path("metrics"), Path("plots/compare")


def tables(lengths: str) -> str:
    datasets, dataset, grid = parameters("datasets", "dataset", "grid")
    bits = sorted(set(map(int, lengths.split(","))))
    scores = over_seeds(read_grid(ARTIFACTS, datasets, grid["methods"], bits, "map"), "k")
    ranks = over_seeds(read_grid(ARTIFACTS, datasets, grid["methods"], bits, "by_rank"), "rank")
    metrics: dict = {}
    for (name, method, length), cell in scores.groupby(["dataset", "method", "bits"], sort=False):
        by_method = metrics.setdefault(name, {}).setdefault(method, {})
        by_method[f"b{length}"] = {
            protocol: map_by_k(cell, f"map_{protocol}") for protocol in ("strict", "ssvh")
        }
    write_json(METRICS / "retrieval.json", metrics)
    write_csv(METRICS / "retrieval.csv", wide_table(scores, ["map_strict", "map_ssvh"]))
    with replacing(METRICS / "retrieval.md") as temporary:
        parts = [f"### {name}\n\n{markdown_table(scores, name)}" for name in ("strict", "ssvh")]
        temporary.write_text("\n".join(parts))
    longest = bits[-1]
    write_csv(PLOTS / "map.csv", wide_curve(scores, dataset, longest, "k", "map_strict"))
    write_csv(
        PLOTS / "precision_recall.csv", wide_curve(ranks, dataset, longest, "recall", "precision")
    )
    return f"tables: {METRICS / 'retrieval.md'}, curves of {dataset} at {longest} bits in {PLOTS}"


if __name__ == "__main__":
    run(tables, "lengths")

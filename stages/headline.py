"""The one result that `dvc metrics diff` and `dvc plots diff` compare between experiments."""

from pathlib import Path

from chain.core.files import write_csv, write_json
from chain.results.grid import map_by_k, over_seeds, read_cell, read_history
from stages.common import ARTIFACTS, METRICS, parameters, run

PLOTS = Path("plots/headline")


def headline() -> str:
    (dataset, *_), method, bits, seed = parameters("datasets", "method", "bits", "seed")
    cell = (ARTIFACTS, dataset, method, bits)
    scores = over_seeds(read_cell(*cell, "map"), "k")
    by_rank = over_seeds(read_cell(*cell, "by_rank"), "rank")
    history = read_history(*cell)
    if len(history):
        history = history[history["seed"] == seed]
    metrics = {
        protocol: map_by_k(scores, f"map_{protocol}") if len(scores) else {}
        for protocol in ("strict", "ssvh")
    }
    write_json(METRICS / "headline.json", {dataset: metrics})  # other data sets don't compare
    for name, table, columns in (
        ("map", scores, ["k", "map_strict", "map_ssvh"]),
        ("precision_recall", by_rank, ["rank", "precision", "recall"]),
        ("training", history, ["epoch", "loss"]),
    ):
        write_csv(PLOTS / f"{name}.csv", table.reindex(columns=columns))
    found = ", ".join(f"{name} {value}" for name, value in metrics["strict"].items())
    shown = f"strict {found}" if found else "not evaluated (no categories)"
    return f"headline: {method} on {dataset} at {bits} bits: {shown}"


if __name__ == "__main__":
    run(headline)

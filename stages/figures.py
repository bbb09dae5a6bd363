"""The paper's figures of scores: mAP@K, precision-recall, code lengths, gains, learning curves."""

from pathlib import Path

import pandas as pd

from chain.core.files import replacing
from chain.datasets.demo import ORDER_ONLY
from chain.datasets.manifest import read_index
from chain.figures.bits import map_by_bits
from chain.figures.category_gain import category_gain, category_gains
from chain.figures.learning_curves import learning_curves
from chain.figures.map_curves import map_curves
from chain.figures.precision_recall import precision_recall
from chain.figures.style import save
from chain.results.at_k import at_k
from chain.results.grid import over_seeds, read_cell, read_grid, read_history
from chain.results.published import read_published
from stages.common import ARTIFACTS, parameters, run


def figures(dataset: str, lengths: str) -> str:
    datasets, grid, settings = parameters("datasets", "grid", "figures")
    methods, k = grid["methods"], settings["k"]
    bits = sorted(set(map(int, lengths.split(","))))
    cells = (ARTIFACTS, datasets, methods, bits)
    scores = over_seeds(read_grid(*cells, "map"), "k")
    with replacing(Path("plots/figures")) as out:
        out.mkdir()
        learned = [read_history(ARTIFACTS, dataset, method, bits[-1]) for method in methods]
        if any(map(len, learned)):
            save(learning_curves(pd.concat(learned)), out / "learning_curves.png")
        if len(scores):
            save(map_curves(scores, "strict"), out / "map_strict.png")
            save(map_curves(scores, "ssvh", read_published()), out / "map_ssvh.png")
            save(map_by_bits(scores, k=k), out / "map_by_bits.png")
            ranks = over_seeds(read_grid(*cells, "by_rank"), "rank")
            save(precision_recall(ranks), out / "precision_recall.png")
        ours, theirs = (
            read_cell(ARTIFACTS, dataset, method, bits[-1], "queries")
            for method in ("chain", "conmh")
        )
        if len(ours) and len(theirs):
            index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
            labels = dict(zip(index["id"], index["labels"], strict=True))
            k = at_k(scores[scores["dataset"] == dataset], k)["k"].iloc[0]
            gains = category_gains(ours, theirs, labels, k, ORDER_ONLY)
            save(category_gain(gains, k), out / "category_gain.png")
        count = len(list(out.glob("*.png")))
    return f"figures: {count} in plots/figures"


if __name__ == "__main__":
    run(figures, "dataset", "lengths")

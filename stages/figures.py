"""The paper's figures: mAP@K, precision-recall, learning curves, retrieved clips and t-SNE."""

from pathlib import Path

import numpy as np
import pandas as pd

from chain.codes import load_codes
from chain.datasets.demo import ORDER_ONLY
from chain.datasets.manifest import Roles, has_labels, read_index, select
from chain.figures.bits import map_by_bits
from chain.figures.category_gain import category_gain, category_gains
from chain.figures.gallery import gallery
from chain.figures.learning_curves import learning_curves
from chain.figures.map_curves import map_curves
from chain.figures.precision_recall import precision_recall
from chain.figures.retrieval_examples import choose_queries, embed_categories, gallery_rows
from chain.figures.style import save
from chain.figures.tsne import tsne_panels
from chain.files import replacing
from chain.params import parse
from chain.published import read_published
from chain.results import over_seeds, read_cell, read_grid, read_history
from stages.common import ARTIFACTS, parameters, run

COMPARED = ("chain", "conmh")  # the two that the paper's figures 5 and 6 show


def figures(dataset: str, lengths: str) -> str:
    datasets, grid, settings, seed, roles = parameters(
        "datasets", "grid", "figures", "seed", f"data.{dataset}.roles"
    )
    bits = sorted(set(map(int, lengths.split(","))))
    methods = [method for method in COMPARED if method in grid["methods"]]
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    with replacing(Path("plots/figures")) as out:
        out.mkdir()
        learned = [read_history(ARTIFACTS, dataset, method, bits[-1]) for method in grid["methods"]]
        if any(map(len, learned)):
            save(learning_curves(pd.concat(learned)), out / "learning_curves.png")
        cells = (ARTIFACTS, datasets, grid["methods"], bits)
        scores = over_seeds(read_grid(*cells, "map"), "k")
        if len(scores):
            save(map_curves(scores, "strict"), out / "map_strict.png")
            save(map_curves(scores, "ssvh", read_published()), out / "map_ssvh.png")
            save(map_by_bits(scores, k=settings["k"]), out / "map_by_bits.png")
            if len(methods) == len(COMPARED) and dataset in set(scores["dataset"]):
                ours, theirs = (
                    read_cell(ARTIFACTS, dataset, method, bits[-1], "queries") for method in methods
                )
                gains = category_gains(
                    ours,
                    theirs,
                    dict(index[["id", "labels"]].to_numpy()),
                    settings["k"],
                    ORDER_ONLY,
                )
                save(category_gain(gains, settings["k"]), out / "category_gain.png")
            ranks = over_seeds(read_grid(*cells, "by_rank"), "rank")
            save(precision_recall(ranks), out / "precision_recall.png")
        if methods and has_labels(index):
            folder = ARTIFACTS / "codes" / dataset
            codes = {m: load_codes(folder / f"{m}_{bits[-1]}/seed_{seed}.npz") for m in methods}
            checked = parse(Roles, roles, f"data.{dataset}.roles")
            query, database = select(index, checked.query), select(index, checked.database)
            chosen = choose_queries(index, query, settings["queries"], settings["seed"])
            frames = np.load(ARTIFACTS / "frames" / dataset / "frames.npy", mmap_mode="r")
            save(
                gallery(gallery_rows(index, frames, codes, chosen, database)), out / "retrieved.png"
            )
            clips = np.union1d(query, database)
            points = embed_categories(index, codes, clips, settings["categories"], settings["seed"])
            save(tsne_panels(points, settings["categories"]), out / "tsne.png")
        count = len(list(out.glob("*.png")))
    return f"figures: {count} in plots/figures"


if __name__ == "__main__":
    run(figures, "dataset", "lengths")

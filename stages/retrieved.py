"""What CHAIN and ConMH find: the paper's gallery of clips, and the t-SNE of their codes."""

from pathlib import Path

import numpy as np

from chain.core.files import replacing
from chain.datasets.manifest import Roles, has_labels, read_index, select
from chain.figures.gallery import gallery
from chain.figures.retrieval_examples import choose_queries, embed_categories, gallery_rows
from chain.figures.style import save
from chain.figures.tsne import tsne_panels
from chain.retrieval.codes import load_codes
from chain.video.pack import read_frames
from stages.common import ARTIFACTS, parameters, parsed, run

COMPARED = ("chain", "conmh")  # as in the paper's figures 5 and 6


def retrieved(dataset: str, bits: int) -> str:
    grid, settings, seed = parameters("grid", "figures", "seed")
    roles = parsed(Roles, "roles", dataset)
    methods = [method for method in COMPARED if method in grid["methods"]]
    index = read_index(ARTIFACTS / "features" / dataset / "index.csv")
    packed = ARTIFACTS / "frames" / dataset / "frames.npy"
    with replacing(Path("plots/retrieved")) as out:
        out.mkdir()
        if has_labels(index):
            folder = ARTIFACTS / "codes" / dataset
            codes = {m: load_codes(folder / f"{m}_{bits}", seed, index, bits) for m in methods}
            query, database = select(index, roles.query), select(index, roles.database)
            chosen = choose_queries(index, query, settings["queries"], settings["seed"])
            if packed.exists():  # ready-made features have no frames to show
                frames = read_frames(packed, len(index))
                rows = gallery_rows(index, frames, codes, chosen, database)
                save(gallery(rows), out / "retrieved.png")
            clips = np.union1d(query, database)
            points = embed_categories(index, codes, clips, settings["categories"], settings["seed"])
            save(tsne_panels(points, settings["categories"]), out / "tsne.png")
        count = len(list(out.glob("*.png")))
    return f"retrieved: {count} figures in plots/retrieved"


if __name__ == "__main__":
    run(retrieved, "dataset", "bits")

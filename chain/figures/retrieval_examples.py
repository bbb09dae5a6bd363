"""What the gallery and the t-SNE show: what each method finds, and which clips are drawn."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.datasets.manifest import label_matrix
from chain.figures.gallery import QueryRow, Retrieved
from chain.figures.tsne import first_categories, tsne_embedding
from chain.retrieval.codes import Codes, unpack
from chain.retrieval.hamming import nearest

TOP = 5
SHOWN = 3  # frames of a clip, as one cannot show order


def choose_queries(
    index: pd.DataFrame, query: NDArray[np.int64], count: int, seed: int
) -> list[int]:
    """Draw with `seed` up to `count` queries, each of another category."""
    shuffled = pd.Series(np.random.default_rng(seed).permutation(query))
    labels = index["labels"].to_numpy()[shuffled]
    first = shuffled[~pd.Series(labels).duplicated()]
    return [int(row) for row in first[:count]]


def gallery_rows(
    index: pd.DataFrame,
    frames: NDArray[np.uint8],
    codes: Mapping[str, Codes],
    chosen: list[int],
    database: NDArray[np.int64],
) -> list[QueryRow]:
    """The five clips that each method finds first for the `chosen` clips, without the query.

    A smaller database is shown whole. `frames` are the packed frames (N, D, S, S, 3), and the codes
    follow `index`. A clip is cut into three parts of equal length, and the frame in the middle of
    each is shown.
    """
    labels, _ = label_matrix(index["labels"])
    names = index["labels"].to_numpy()
    shown = (2 * np.arange(SHOWN) + 1) * frames.shape[1] // (2 * SHOWN)
    rows = []
    for clip in chosen:
        others = database[database != clip]
        results = {}
        for method, all_codes in codes.items():
            k = min(TOP, len(others))
            found, distances = nearest(all_codes.codes[[clip]], all_codes.codes[others], k)
            results[method] = [
                Retrieved(
                    frames[hit, shown],
                    names[hit],
                    int(d),
                    bool((labels[hit] & labels[clip]).any()),
                )
                for hit, d in zip(others[found[0]], distances[0], strict=True)
            ]
        rows.append(QueryRow(frames[clip, shown], names[clip], results))
    return rows


def embed_categories(
    index: pd.DataFrame, codes: Mapping[str, Codes], clips: NDArray[np.int64], count: int, seed: int
) -> dict[str, tuple[NDArray[np.float32], list[str]]]:
    """Embed by t-SNE each method's codes of the `clips` in the first `count` categories."""
    names = index["labels"].to_numpy()
    shown = set(first_categories(names[clips], count))
    rows = np.array([clip for clip in clips if names[clip] in shown])
    return {
        method: (tsne_embedding(unpack(all_codes.codes[rows]), seed), list(names[rows]))
        for method, all_codes in codes.items()
    }

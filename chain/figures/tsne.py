"""t-SNE of the codes of a few categories (figure 6 of arXiv 2310.18926).

The method is that of van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 2008.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from chain.core.errors import InputError
from chain.figures.panels import PANEL_WIDTH
from chain.figures.style import WIDTH, house_style, legend_columns, shorten
from chain.results.labels import method_label

FEWEST = 4  # points, for a perplexity of at least 1
PERPLEXITY = 30
LONGEST_NAME = 28

# Paul Tol's "muted" colours, which the colour-blind can tell apart, and black.
COLOURS = [
    "#332288",
    "#cc6677",
    "#117733",
    "#ddb72c",
    "#88ccee",
    "#882255",
    "#44aa99",
    "#999933",
    "#aa4499",
    "#000000",
]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "*"]


def tsne_embedding(signs: NDArray[np.int8], seed: int) -> NDArray[np.float32]:
    """Points (N, 2) of codes given as signs (N, b) in {-1, +1}; they are the same on every run.

    The squared Euclidean distance of two such codes is four times their Hamming distance. Codes
    that are all alike become one point. Raises InputError on fewer than 4 codes.
    """
    if signs.ndim != 2 or len(signs) < FEWEST:
        raise InputError(f"t-SNE: expected (N, b) with N at least {FEWEST}, not {signs.shape}")
    if (signs == signs[0]).all():
        return np.zeros((len(signs), 2), dtype=np.float32)
    model = TSNE(
        perplexity=min(PERPLEXITY, (len(signs) - 1) / 3),
        init="pca",
        learning_rate="auto",
        random_state=seed,
    )
    with threadpool_limits(limits=1):  # then sums have one order, whatever the number of cores
        points: NDArray[np.float32] = model.fit_transform(signs.astype(np.float32))
    return points


def first_categories(names: Iterable[str], count: int) -> list[str]:
    """The first `count` distinct names in alphabetical order."""
    return sorted(set(names))[:count]


@house_style()
def tsne_panels(
    embeddings: Mapping[str, tuple[NDArray[np.float32], Sequence[str]]], categories: int = 10
) -> Figure:
    """Draw methods side by side, from points (N, 2) with the name of each point's category.

    The first `categories` in alphabetical order are shown, under one legend. Raises InputError if
    there is no method or no point, and if there is not one name for each point.
    """
    if not embeddings or not all(len(points) for points, _ in embeddings.values()):
        raise InputError("t-SNE: nothing to show")
    for method, (points, names) in embeddings.items():
        if points.shape != (len(names), 2):
            raise InputError(f"t-SNE: {method}: {len(names)} names for points {points.shape}")
    everything = [name for _, names in embeddings.values() for name in names]
    looks = {
        name: _look(place) for place, name in enumerate(first_categories(everything, categories))
    }
    handles = [
        Line2D([], [], label=shorten(name, LONGEST_NAME), **look) for name, look in looks.items()
    ]
    width = max(2 * PANEL_WIDTH, min(WIDTH, 4.5 * len(embeddings)))
    columns = legend_columns([str(handle.get_label()) for handle in handles], width)
    height = min(4.2, width / len(embeddings)) + 0.3 + 0.22 * math.ceil(len(handles) / columns)
    figure = Figure((width, height), layout="constrained")
    axes = figure.subplots(1, len(embeddings), squeeze=False)
    for panel, (method, (points, names)) in zip(axes[0], embeddings.items(), strict=True):
        named = np.asarray(names)
        for name, look in looks.items():
            x, y = points[named == name].T
            panel.plot(x, y, alpha=0.75, label=name, **look)
        panel.set(title=method_label(method), xticks=[], yticks=[])
        panel.spines[:].set_visible(True)
        panel.margins(0.05)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _look(place: int) -> dict[str, Any]:
    """A colour and a shape, paired anew each time the colours run out: 100 are all different."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
        "linestyle": "",
        "markersize": 5,
        "markeredgewidth": 0,
    }

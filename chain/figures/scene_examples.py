"""Which clips the figure of the scenes shows: a few queries, and a few joins with a known cut."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chain.analysis.joins import Joins
from chain.datasets.manifest import has_labels
from chain.figures.scenes import LETTERS, scene_strips
from chain.figures.style import shorten
from chain.scenes.clustering import SceneConfig, cluster_scenes
from chain.views.store import FeatureStore


def scene_examples(
    store: FeatureStore,
    frames: NDArray[np.uint8],
    clips: Sequence[int],
    joins: Joins,
    config: SceneConfig,
) -> Figure:
    """Draw the scenes of the rows `clips` of the store, and then those of as many joins.

    `frames` (N, D, S, S, 3) are the pictures of the store's clips. A clip has its category for a
    name, or its id where there are no categories.
    """
    index, chosen = store.index, np.array(clips)
    names = index["labels"] if has_labels(index) else index["id"].astype(str)
    some = Joins(*(part[: len(clips)] for part in (joins.first, joins.second, joins.cuts)))

    def both(arrays: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([arrays[chosen], some.of(arrays)])

    features = both(store.clean)[:, None]
    scenes = cluster_scenes(features, np.arange(len(features)), config)[:, 0]
    joined = [
        f"{shorten(names[first], LETTERS - 2)} | {shorten(names[second], LETTERS)}"
        for first, second in zip(some.first, some.second, strict=True)
    ]
    cuts = [None] * len(clips) + [int(cut) for cut in some.cuts]
    return scene_strips(both(frames), scenes, [*names.iloc[chosen], *joined], cuts)

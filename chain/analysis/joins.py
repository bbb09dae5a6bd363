"""How well affinity propagation finds a cut: clips are joined, so that the cut is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from chain.datasets.manifest import label_matrix
from chain.scenes.clustering import SceneConfig, cluster_scenes

COUNT = 300
CUT = (0.3, 0.7)  # where a join may be cut, as a fraction of its frames
FACTORS = (0.5, 1.0, 2.0)  # of the preference


@dataclass(frozen=True, eq=False)
class Joins:
    """J joins of two clips each: the first frames of the one, and the last frames of the other."""

    first: NDArray[np.int64]  # (J,) rows of the clips
    second: NDArray[np.int64]  # (J,)
    cuts: NDArray[np.int64]  # (J,) how many frames are of the first clip

    def of(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Join the frames, or the features of frames, of N clips: (N, D, ...) -> (J, D, ...).

        Features are computed frame by frame, so that to join them is to join the videos.
        """
        places = np.arange(frames.shape[1])
        rows = np.where(places < self.cuts[:, None], self.first[:, None], self.second[:, None])
        joined: NDArray[Any] = frames[rows, places]
        return joined


def draw_joins(labels: Iterable[str], dense: int, seed: int, count: int = COUNT) -> Joins:
    """Draw `count` joins among N clips with these `labels` and D = `dense` frames, with `seed`.

    The two clips of a join share no category. Where no clip is of another category, or there are no
    categories, they are any two. ValueError if there is only one clip.
    """
    random = np.random.default_rng(seed)
    categories, _ = label_matrix(labels)
    clips = np.arange(len(categories))
    first = random.choice(clips, size=count)
    second = np.empty_like(first)
    for place, row in enumerate(first):
        others = clips != row
        unlike = others & ~(categories & categories[row]).any(axis=1)
        second[place] = random.choice(clips[unlike if unlike.any() else others])
    cuts = (dense * random.uniform(*CUT, size=count)).round().astype(np.int64)
    return Joins(first, second, cuts.clip(1, dense - 1))


def cut_scores(scenes: NDArray[np.int64], cuts: NDArray[np.int64]) -> dict[str, float]:
    """How well the `scenes` (J, D) of joins agree with where the joins are cut, `cuts` (J,).

    * `adjusted_rand` is the mean adjusted Rand index (Hubert & Arabie, 1985) between the scenes and
      the two sides of the cut. It is 1 if they agree, and 0 on average for scenes by chance.
    * `uncrossed` is the share of joins in which no scene has frames on both sides.
    * `scenes` is the mean number of scenes.

    Frames without a scene count as one scene.
    """
    sides = np.arange(scenes.shape[1]) >= cuts[:, None]
    rand = [adjusted_rand_score(*pair) for pair in zip(sides, scenes, strict=True)]
    uncrossed = [
        not np.intersect1d(found[:cut], found[cut:]).size
        for found, cut in zip(scenes, cuts, strict=True)
    ]
    return {
        "adjusted_rand": float(np.mean(rand)),
        "uncrossed": float(np.mean(uncrossed)),
        "scenes": _mean_number(scenes),
    }


def join_scores(clean: NDArray[np.float16], joins: Joins, config: SceneConfig) -> pd.DataFrame:
    """`cut_scores` of the joins of clips with features `clean` (N, D, F), at three preferences.

    They are half the configured one, that itself, and twice it. Columns are preference, those of
    `cut_scores`, and `unjoined`, the mean number of scenes of the joins' first clips as they are.
    """
    joined = joins.of(clean)[:, None]
    every = np.arange(len(joined))
    rows = []
    for factor in FACTORS:
        changed = config.model_copy(update={"preference": factor * config.preference})
        scores = cut_scores(cluster_scenes(joined, every, changed)[:, 0], joins.cuts)
        alone = _mean_number(cluster_scenes(clean[:, None], joins.first, changed)[:, 0])
        rows.append({"preference": changed.preference, **scores, "unjoined": alone})
    return pd.DataFrame(rows)


def _mean_number(scenes: NDArray[np.int64]) -> float:
    return float(np.mean([len(np.unique(found)) for found in scenes]))

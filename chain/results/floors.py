"""Floors: what a learned method has to beat, since it costs no training.

They are the training-free methods at the same code length, and the float features without a code.
"""

import numpy as np
import pandas as pd

TRAINING_FREE = ("lsh", "pca_itq", "pca_itq_halves", "pca_rotation")
"""The methods that learn nothing by gradient."""

MARK = " †"
NOTE = (
    "† This learned method does not beat the best floor at its K and code length. Floors are the "
    "methods without training and the float features."
)


def best_floats(floats: pd.DataFrame) -> pd.DataFrame:
    """The best variant at each K of each data set, by mAP over all queries.

    `floats` has columns dataset, variant, k and map_strict. The first of equal ones is taken.
    """
    falling = floats.sort_values("map_strict", ascending=False, kind="stable")
    return falling.drop_duplicates(["dataset", "k"])


def marked(scores: pd.DataFrame, floats: pd.DataFrame) -> pd.DataFrame:
    """Put `MARK` into the column `mark` of those learned methods that do not beat the best floor.

    `scores` has columns dataset, method, bits, k and map_strict; `floats` is as in `best_floats`.
    The floor of a row is the highest mean of the training-free methods in `scores` of the same data
    set, code length and K, or the best float features of that data set and K if these are higher. A
    row without any floor has no mark, and neither has a training-free method.
    """
    free = scores["method"].isin(TRAINING_FREE)
    cell = [scores[name] for name in ("dataset", "bits", "k")]
    of_methods = scores["map_strict"].where(free).groupby(cell).transform("max")
    best = best_floats(floats)[["dataset", "k", "map_strict"]]
    of_floats = scores[["dataset", "k"]].merge(best, on=["dataset", "k"], how="left")["map_strict"]
    floor = np.fmax(of_methods.to_numpy(dtype=float), of_floats.to_numpy(dtype=float))
    below = ~free & (scores["map_strict"] <= floor)
    return scores.assign(mark=np.where(below, MARK, ""))


def floor_note(scores: pd.DataFrame) -> str:
    """The sentence that explains the marks of `marked`; it is empty if there are none."""
    return NOTE if (scores["mark"] == MARK).any() else ""

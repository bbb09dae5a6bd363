"""Scores at one K, which a small database may not have."""

import pandas as pd


def at_k(scores: pd.DataFrame, k: int) -> pd.DataFrame:
    """The rows of each data set with the largest K at which it was evaluated, up to `k`.

    `scores` has columns dataset and k. A data set that was evaluated above `k` only is left out.
    """
    largest = scores["k"].where(scores["k"] <= k).groupby(scores["dataset"]).transform("max")
    return scores[scores["k"] == largest]

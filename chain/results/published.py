"""mAP that the literature has published, to be set beside ours."""

from pathlib import Path

import pandas as pd

READY = "_features"
"""Ends the name of a data set that comes as ready-made features."""


def benchmark(dataset: str) -> str:
    """The benchmark that a data set is, with or without pixels: fcvid_features -> fcvid."""
    return dataset.removesuffix(READY)


def read_published() -> pd.DataFrame:
    """Columns method, dataset, bits, k, map_ssvh (a fraction, `ssvh` protocol) and source.

    Methods and data sets have the names of `params.yaml` where they are found there. The features
    are those of the literature, so the numbers compare only with runs on the same.
    """
    return pd.read_csv(Path(__file__).with_suffix(".csv"))

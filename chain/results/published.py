"""The mAP that the literature has published, to be set beside ours."""

from pathlib import Path

import pandas as pd

READY = "_features"
"""The end of the name of a data set that comes as ready-made features."""


def benchmark(dataset: str) -> str:
    """The benchmark that a data set is, with or without pixels: fcvid_features -> fcvid."""
    return dataset.removesuffix(READY)


def read_published() -> pd.DataFrame:
    """Read a table with columns method, dataset, bits, k, map_ssvh (a fraction) and source.

    Methods and data sets have the names of `params.yaml` where they are found there. The numbers
    follow the `ssvh` protocol, and compare only with runs on the same features.
    """
    return pd.read_csv(Path(__file__).with_suffix(".csv"))

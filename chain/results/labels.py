"""What methods and data sets are called in print, and the order in which methods appear."""

from collections.abc import Iterable

import pandas as pd

from chain.results.published import benchmark

METHOD_LABELS = {
    "lsh": "LSH",
    "pca_itq": "PCA-ITQ",
    "pca_itq_halves": "PCA-ITQ halves",
    "pca_rotation": "PCA-RR",
    "bth": "BTH",
    "mcmsh": "MCMSH",
    "conmh": "ConMH",
    "wsch": "WSCH",
    "s5vh": "S5VH",
    "autossvh": "AutoSSVH",
    "chain": "CHAIN",
    "chain_plus": "CHAIN+",
}
"""In the order of legends and tables: lower bounds, earlier methods, CHAIN and CHAIN+."""

FLOAT_LABELS = {
    "raw": "float features",
    "centred": "float features, centred",
    "centred_halves": "float features, centred halves",
}
"""The variants of the CNN's features without a code."""

DATASET_LABELS = {
    "demo": "Demo",
    "fcvid": "FCVID",
    "activitynet": "ActivityNet",
    "ucf101": "UCF101",
    "hmdb51": "HMDB51",
    "jhmdb": "JHMDB",
    "yfcc": "YFCC",
}


def method_label(method: str) -> str:
    """The name of a method in print; a method without one keeps its own."""
    return METHOD_LABELS.get(method, method)


def dataset_label(dataset: str) -> str:
    """The name of a data set in print; a data set without one keeps its own."""
    known = DATASET_LABELS.get(benchmark(dataset))
    if known is None:
        return dataset
    return known if benchmark(dataset) == dataset else f"{known} (ready-made features)"


def ordered(methods: Iterable[str]) -> list[str]:
    """The distinct methods in the order of `METHOD_LABELS`, then the others as they come."""
    rank = {method: place for place, method in enumerate(METHOD_LABELS)}
    return sorted(dict.fromkeys(methods), key=lambda method: rank.get(method, len(rank)))


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the names in print into the columns dataset, source and method, where there are any."""
    label = {"dataset": dataset_label, "source": dataset_label, "method": method_label}
    return frame.assign(**{name: frame[name].map(label[name]) for name in label if name in frame})

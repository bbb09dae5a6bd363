"""How far the code of a clip is from the code of the same clip played backwards."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from chain.core.files import by_seed
from chain.datasets.manifest import label_matrix
from chain.methods.base import Method
from chain.methods.saved_models import load_method
from chain.views.store import FeatureStore

BATCH = 256
MOST = 500  # clips; they make 124,750 pairs


def reversal_table(
    models: Path,
    methods: Sequence[str],
    bits: int,
    store: FeatureStore,
    clips: NDArray[np.int64],
    seed: int,
    device: torch.device,
) -> pd.DataFrame:
    """`reversal_distances` of every trained model: columns method, seed, and the distances.

    The models of a seed lie at `<models>/<method>_<bits>/seed_<n>.pt`. `clips` are rows of the
    store, of which 500 are drawn with `seed` if there are more.
    """
    clips = np.sort(np.random.default_rng(seed).permutation(clips)[:MOST])

    def rows() -> Iterator[dict[str, Any]]:
        labels, _ = label_matrix(store.index["labels"].iloc[clips])
        for method in methods:
            for number, weights in by_seed(models / f"{method}_{bits}", ".pt").items():
                model = load_method(weights).to(device).eval()
                features = store.clean_frames(clips, model.frames).to(device)
                distances = reversal_distances(model, features, labels)
                yield {"method": method, "seed": number, **distances}

    return pd.DataFrame(rows())


def reversal_distances(
    model: Method, features: Tensor, labels: NDArray[np.bool_]
) -> dict[str, float]:
    """Mean Hamming distances, in bits, between codes of clips with these `features` (M, T, F).

    * `reversed` is between a clip and the same frames in reverse.
    * `category` is between two clips that share a category in `labels` (M, C). It is NaN if no two
      do.
    * `random` is between any two clips. It is NaN for a single clip.
    """
    codes, backwards = signs(model, features), signs(model, features.flip(1))
    apart = (codes.shape[1] - codes @ codes.T) / 2  # (M, M) in bits
    pairs = np.triu(np.ones(apart.shape, dtype=np.bool_), 1)
    return {
        "reversed": float((codes != backwards).sum(axis=1).mean()),
        "category": _mean(apart[pairs & (labels @ labels.T)]),
        "random": _mean(apart[pairs]),
    }


@torch.inference_mode()
def signs(model: Method, features: Tensor) -> NDArray[np.float32]:
    """The codes (M, b), each -1 or +1, of features (M, T, F), some clips at a time."""
    codes = torch.cat([model.encode(part).cpu() for part in torch.split(features, BATCH)])
    return np.where(codes.numpy() >= 0, 1, -1).astype(np.float32)


def _mean(values: NDArray[np.floating[Any]]) -> float:
    return float(values.mean()) if values.size else float("nan")

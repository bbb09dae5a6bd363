"""Clusters of the training clips, as MCMSH and WSCH learn from them."""

from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from chain.core.errors import InputError
from chain.methods.base import Method, encoded_frames
from chain.views.store import FeatureStore

CHUNK = 256  # clips read at once


def check_clusters(clusters: int, store: FeatureStore, key: str) -> None:
    """InputError naming `key` unless there are fewer clusters than training clips."""
    if clusters >= len(store.train):
        raise InputError(
            f"{key} is {clusters}, but there are only {len(store.train)} training clips; "
            "lower it or add clips"
        )


@torch.no_grad()
def of_training_clips(
    model: Method, store: FeatureStore, describe: Callable[[Tensor], Tensor]
) -> Tensor:
    """What `describe`, (B, T, F) -> (B, D), says of the training clips: (M, D) on the CPU.

    The frames are the clean ones on the model's device, the model is as it encodes.
    """
    device = next(model.parameters()).device
    frames = encoded_frames(store, model.frames)
    training = model.training
    model.eval()
    parts = []
    for start in range(0, len(store.train), CHUNK):
        rows = store.train[start : start + CHUNK, None]
        features = torch.from_numpy(store.clean[rows, frames]).float()
        parts.append(describe(features.to(device)).cpu())
    model.train(training)
    return torch.cat(parts)


def kmeans(points: Tensor, clusters: int, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Labels (M,) and centres (K, D) of points (M, D), on the CPU; seeded by torch's generator.

    Lloyd's iterations go on from the centres `start` (K, D), or begin with k-means++.
    """
    from sklearn.cluster import KMeans  # takes over a second to load, and few methods need it

    init = "k-means++" if start is None else start.numpy()
    seed = int(torch.randint(2**31, ()))
    with threadpool_limits(limits=1):  # sums in one order, whatever the number of cores
        found = KMeans(clusters, init=init, n_init=1, random_state=seed).fit(points.numpy())
    return torch.from_numpy(found.labels_).long(), torch.from_numpy(found.cluster_centers_)

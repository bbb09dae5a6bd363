"""Checks and descriptions of all training clips at once, as methods that cluster them need."""

from collections.abc import Callable

import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.methods.base import Method
from chain.views.store import FeatureStore


def check_clusters(clusters: int, store: FeatureStore, key: str) -> None:
    """Raise InputError, naming the parameter `key`, if the clips are not more than the clusters."""
    if clusters >= len(store.train):
        raise InputError(
            f"{key} is {clusters}, but there are only {len(store.train)} training clips; "
            "lower it or add clips"
        )


def check_numbers(codes: Tensor, method: str) -> None:
    """Raise InputError, naming the method, if a code is not finite; k-means could not use it."""
    if not codes.isfinite().all():
        raise InputError(f"{method}: the codes are no longer numbers; lower training.lr")


@torch.no_grad()
def of_training_clips(
    model: Method, store: FeatureStore, describe: Callable[[Tensor], Tensor]
) -> Tensor:
    """The rows (M, D), on the CPU, that `describe` gives for the M training clips.

    Args:
        model: computes on its own device and in evaluation mode, as it does when it encodes.
        store: gives the frames that are encoded.
        describe: (B, T, F) -> (B, D), usually a part of `model`.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    parts = [describe(clips.to(device)).cpu() for clips in store.training_chunks(model.frames)]
    model.train(training)
    return torch.cat(parts)

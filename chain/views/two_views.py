"""Two views of a clip that see different frames, for ConMH and the methods that build on it.

The frames of a clip are permuted at random. One view sees the first of them, the other the last,
and each has to predict the frames that it does not see. WSCH and S5VH see them in temporal order,
as `two_views` gives them; ConMH and AutoSSVH see them as they are permuted.
"""

import numpy as np
import torch
from torch import Tensor


def permutations(clips: int, frames: int, random: np.random.Generator) -> Tensor:
    """A random order of the frames of each clip: (B, T) int64."""
    return torch.from_numpy(random.random((clips, frames)).argsort(axis=1))


def two_views(permutation: Tensor, masked: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """For each of both views the frames that it sees and those that it does not, ascending.

    Args:
        permutation: (B, T) an order of the frames of each clip.
        masked: how many frames a view does not see.

    Returns:
        ((visible, hidden), (visible, hidden)), with visible (B, T − masked) and hidden (B, masked).
        The first view sees the first frames of the permutation, the second view the last ones.
    """
    seen = permutation.shape[1] - masked
    splits = (
        (permutation[:, :seen], permutation[:, seen:]),
        (permutation[:, masked:], permutation[:, :masked]),
    )
    return tuple(
        (visible.sort(dim=1).values, hidden.sort(dim=1).values) for visible, hidden in splits
    )


def take(features: Tensor, frames: Tensor) -> Tensor:
    """The frames (B, V) of features (B, T, F): (B, V, F)."""
    clips = torch.arange(len(features), device=features.device)[:, None]
    return features[clips, frames]  # `take_along_dim` would need an index for each feature

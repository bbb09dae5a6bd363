"""What stands in for spatial augmentation where there are features but no pixels.

CHAIN (arXiv 2310.18926) augments frames before the CNN, with one draw for all frames of a view. A
ready-made feature file has no frames, so the features themselves are disturbed, again with one draw
for all frames of a view. Nothing of this is in the paper. `docs/choices.md` says how much of the
gain from augmented pixels it keeps.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from chain.core.params import Parameters

Disturb = Callable[[Tensor, float, np.random.Generator], Tensor]


class StandInConfig(Parameters):
    """Which disturbance, and how much of it."""

    kind: Literal["dropout", "noise", "mix"]
    strength: Annotated[float, Field(ge=0, lt=1)]
    """What it measures depends on the kind.

    * `dropout`: the share of channels that become 0.
    * `noise`: the noise's standard deviation, relative to that of the channel over the batch.
    * `mix`: the largest share that the mean of another clip may take.
    """


def disturb(features: Tensor, config: StandInConfig, random: np.random.Generator) -> Tensor:
    """Disturb views (B, T, F), with one draw for all frames of a view, and return them.

    It works in place, since a batch of the literature's size takes half a gigabyte.
    """
    return KINDS[config.kind](features, config.strength, random)


def _dropout(features: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    kept = _tensor(random.random((len(features), 1, features.shape[2])) >= strength)
    return features.mul_(kept / (1 - strength))


def _noise(features: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    spread = features.flatten(0, 1).std(dim=0)
    drawn = _tensor(random.standard_normal((len(features), 1, features.shape[2])))
    return features.add_(strength * spread * drawn)


def _mix(features: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    other = features.mean(dim=1, keepdim=True)[random.permutation(len(features))]
    return features.lerp_(other, _tensor(random.random((len(features), 1, 1)) * strength))


def _tensor(drawn: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(drawn.astype(np.float32))


KINDS: dict[str, Disturb] = {"dropout": _dropout, "noise": _noise, "mix": _mix}

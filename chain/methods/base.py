"""The interface that every method shares, and the parameters of its training."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.views.sampling import uniform_frames
from chain.views.store import FeatureStore

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class TrainingConfig(Parameters):
    """How a learned method is optimised."""

    epochs: Count
    batch: Annotated[int, Field(ge=2)]
    """Clips in a step; the last, smaller batch of an epoch is dropped."""
    optimiser: Literal["adam", "adamw"]
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["step", "cosine"]
    """`step`: ×0.9 every 20 epochs down to `floor`; `cosine`: one half-period down to `floor`."""
    floor: Annotated[float, Field(ge=0)]
    """Smallest learning rate."""
    precision: Literal["fp32", "bf16"]


class MethodConfig(Parameters):
    """What all methods have in common."""

    frames: Count
    """Frames of a view and of an encoded clip, T."""
    training: TrainingConfig | None = None
    """None for methods that learn nothing by gradient; the others declare it as required."""


class Method(nn.Module, ABC):
    """A way from frame features to codes of `bits` bits.

    Construction is seeded by the caller (`torch.manual_seed`). `fit` sees the training features
    once before any step and `start_epoch` before each epoch; `draw` makes a batch on the CPU and
    `losses` its loss parts, whose weighted sum "loss" is minimised. What an epoch changes must lie
    in buffers, since a resumed run restores nothing else. Direct child modules treat the rows
    of their first argument one by one and give one tensor, since processes may share the rows, and
    `draw` has no randomness but `random`. Subclasses name their schema in `Config`.
    """

    Config: ClassVar[type[MethodConfig]]

    def __init__(self, config: MethodConfig, feature_width: int, bits: int) -> None:
        super().__init__()
        self.frames = config.frames
        self.training_config = config.training
        self.bits = bits

    def fit(self, store: FeatureStore) -> None:
        """Look at the training features before the first step (anchors, projections)."""

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Prepare epoch `epoch` (from 0): phases, schedules, anchors. Seeded by the loop."""

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """CPU tensors of one step for the training clips `rows` (indices into `store.train`)."""
        raise NotImplementedError(f"{type(self).__name__} learns nothing by gradient")

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        """Scalar loss parts of a drawn batch; "loss" is their weighted sum."""
        raise NotImplementedError(f"{type(self).__name__} learns nothing by gradient")

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """Clean frame features (B, T, F) -> real codes (B, b) whose signs are the hash code."""


def encoded_frames(store: FeatureStore, frames: int) -> NDArray[np.int64]:
    """(T,) the stored frames that are encoded; InputError if fewer than T are stored."""
    if frames > store.dense:
        raise InputError(
            f"methods.*.frames is {frames}, but decode.frames keeps only {store.dense} a clip"
        )
    return uniform_frames(store.dense, frames)

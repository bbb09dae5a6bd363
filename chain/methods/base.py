"""The interface that every method shares, and the parameters of its training."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.core.params import Parameters
from chain.views.store import FeatureStore

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
"""The weight of a term of a loss."""


class LossWeights(Parameters):
    """Base of the weights of a loss that is a sum of terms, of which at least one has to count."""

    @model_validator(mode="after")
    def _some_term_counts(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("all are 0, so there is nothing to learn")
        return self


class TrainingConfig(Parameters):
    """How a learned method is optimised."""

    epochs: Count
    batch: Annotated[int, Field(ge=2)]
    """Clips in a step. Clips that fill no step at the end of an epoch make a smaller one, as in the
    literature's released code. A single one joins the step before, since there is nothing to
    contrast it with."""
    optimiser: Literal["adam", "adamw"]
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["step", "cosine"]
    """How the learning rate falls to `floor`: `step` multiplies it by 0.9 every 20 epochs, `cosine`
    follows half a period of the cosine."""
    floor: Annotated[float, Field(ge=0)]
    """Smallest learning rate."""
    precision: Literal["fp32", "bf16"]


class MethodConfig(Parameters):
    """What all methods have in common."""

    frames: Count
    """T, the number of frames that a view and an encoded clip have."""
    training: TrainingConfig | None = None
    """None for methods that learn nothing by gradient. The others declare it as required."""


class Method(nn.Module, ABC):
    """A way from frame features to codes of `bits` bits.

    The training loop (`chain/training/loop.py`) calls `fit` once, `start_epoch` before each epoch,
    and `draw` and `losses` at each step. What it relies on:

    * A subclass names the schema of its parameters in `Config`. One that learns by gradient
      declares `training` there as required; the others implement neither `draw` nor `losses`.
    * The caller seeds torch before construction, and the loop seeds it before each epoch and step.
    * `draw` is called on the CPU. All its randomness comes from `random`, never from a global
      generator, since several processes have to draw the same batch.
    * A resumed run restores parameters and buffers only. So `start_epoch` keeps in buffers whatever
      it can not derive again from the epoch, the store and the weights.
    * Several processes may share the rows of a batch (`chain/training/distributed.py`). So each
      direct child module gives one tensor, and treats the rows of its first argument one by one:
      f(x)[i] = f(x[i : i + 1]) but for rounding. Batch normalisation alone may look at all rows.
      `losses` calls no module inside a child.
    """

    Config: ClassVar[type[MethodConfig]]

    config: MethodConfig

    def __init__(self, config: MethodConfig, feature_width: int, bits: int) -> None:
        super().__init__()
        self.config = config
        self.frames = config.frames
        self.bits = bits

    def fit(self, store: FeatureStore) -> None:
        """Look at the training features before the first step, for statistics or clusters."""

    def phase_start(self, epoch: int) -> int:
        """The first epoch of the phase of training to which `epoch` belongs.

        A phase begins with a fresh optimiser, and the learning rate falls from there on. A method
        has one phase, from epoch 0 on, unless it trains twice as BTH does.
        """
        return 0

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Prepare epoch `epoch`, counted from 0: its phase, its schedules, its anchors."""

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """CPU tensors of one step for the training clips `rows` (indices into `store.train`)."""
        raise NotImplementedError(f"{type(self).__name__} learns nothing by gradient")

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        """The loss "loss" of a drawn batch, which is minimised, and its parts; all are scalars."""
        raise NotImplementedError(f"{type(self).__name__} learns nothing by gradient")

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """Clean frame features (B, T, F) -> real codes (B, b) whose signs are the hash code."""

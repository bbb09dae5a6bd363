"""CHAIN: Exploring Global-Local Spatio-Temporal Information (ACM MM 2023, arXiv 2310.18926).

A view of a video is a temporal sample of its frames under one spatial augmentation. CHAIN takes two
views of each video and learns from three tasks, whose weighted sum is minimised:

| symbol | task | sees | loss |
|---|---|---|---|
| L_con | spatio-temporal contrast of the views' codes | global | losses/debiased.py |
| L_ord | order verification: each frame's position | local, temporal | losses/frame_order.py |
| L_sce | scene change: frames against scene prototypes | local, spatial | losses/scene.py |

No official code exists, and the paper leaves sizes, weights and details open. `docs/choices.md`
says what we chose and holds the figures behind it. Two choices shape the code:

* The order task sees the first view with a share of its frames *permuted among themselves*, in a
  pass of its own (HERO, arXiv 2005.00200, has the same form). Embeddings mark the places, but not
  where a frame came from. The others can be verified against the frames that stayed.
* Scenes are clustered once, before training, on the CNN features of each stored view. On the
  encoder's output, position embeddings would make neighbours in time a scene. On the few frames of
  each sample, clustering would cost as much as the network does.
"""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.core.params import Parameters
from chain.features.augmentation import Spatial
from chain.losses.debiased import debiased_contrastive
from chain.losses.frame_order import frame_order
from chain.losses.scene import scene_contrast
from chain.methods.base import (
    LossWeights,
    Method,
    MethodConfig,
    Positive,
    TrainingConfig,
    Weight,
)
from chain.models.encoders import EncoderConfig, TemporalEncoder
from chain.models.hash_layer import HashLayer, sign
from chain.scenes.clustering import NO_SCENE, SceneConfig, cluster_scenes
from chain.views.order import permute
from chain.views.sampling import Sampling, sample_frames
from chain.views.stand_in import StandInConfig, disturb
from chain.views.store import FeatureStore, gather

Read = Literal["states", "codes"]
"""What a local task reads of a frame: its hidden state, or the real code of that state."""


class TaskWeights(LossWeights):
    """Weights of the three tasks. A weight of 0 switches a task off and saves its cost."""

    contrastive: Weight
    order: Weight
    scene: Weight


class OrderConfig(Parameters):
    """The form of the order task."""

    share: Annotated[float, Field(gt=0, le=1)]
    """How many of a view's frames are permuted. 1 permutes them all."""
    positions: bool
    """Whether embeddings mark the places at which the transformer sees the permuted frames. It must
    not be False with a share below 1, as nothing would then tell the permuted frames apart."""
    read: Read

    @model_validator(mode="after")
    def _permuted_frames_can_be_told_apart(self) -> Self:
        if self.share < 1 and not self.positions:
            raise ValueError("a share below 1 needs positions: true")
        return self


class ChainSceneConfig(SceneConfig):
    """Scenes, and what the prototype contrast reads."""

    read: Read


class ChainConfig(MethodConfig):
    """CHAIN's parameters."""

    encoder: EncoderConfig
    sampling: Sampling
    spatial: Spatial | Literal["feature"]
    """The kind of augmented views. `feature` stands for clean frames, disturbed by `stand_in`."""
    stand_in: StandInConfig
    weights: TaskWeights
    temperature: Positive
    tau_plus: Annotated[float, Field(ge=0, lt=1)]
    """Prior of false negatives in the contrastive loss (arXiv 2007.00224). 0 gives NT-Xent."""
    order: OrderConfig
    scene: ChainSceneConfig
    training: TrainingConfig


class Chain(Method):
    """Temporal encoder, hash layer and the heads of the two local tasks."""

    Config: ClassVar[type[ChainConfig]] = ChainConfig

    config: ChainConfig

    def __init__(self, config: ChainConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.spatial: Spatial = "none" if config.spatial == "feature" else config.spatial
        self.encoder = TemporalEncoder(config.encoder, feature_width, config.frames)
        self.hash = HashLayer(config.encoder.width, bits)
        read = bits if config.order.read == "codes" else config.encoder.width
        self.order_head = nn.Linear(read, config.frames)

    def fit(self, store: FeatureStore) -> None:
        """Find the scenes of every training view if the scene task is on."""
        self.scenes = self._scenes(*store.bank(self.spatial))

    def _scenes(self, bank: NDArray[np.float16], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.config.weights.scene:
            return np.full((len(rows), *bank.shape[1:3]), NO_SCENE)
        return cluster_scenes(bank, rows, self.config.scene)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            * both views of the clips, (2B, T, F), the first views of all before the second;
            * the scene of each of their frames, (2B, T);
            * the frame that the order task sees at each place of the first views, (B, T).
        """
        store.encoded_frames(self.frames)  # raises where too few are stored
        batch, views = len(rows), self.scenes.shape[1]
        first = random.integers(0, views, batch)
        # Another view than the first, unless there is only one.
        second = (first + random.integers(min(1, views - 1), max(1, views), batch)) % views
        frames = sample_frames(self.config.sampling, 2 * batch, store.dense, self.frames, random)
        clips, chosen = np.tile(rows, 2), np.concatenate([first, second])
        features = self._features(store, clips, chosen, frames, random)
        scenes = self.scenes[clips[:, None], chosen[:, None], frames]
        order = permute(batch, self.frames, self.config.order.share, random)
        return features, torch.from_numpy(scenes), torch.from_numpy(order)

    def _features(
        self,
        store: FeatureStore,
        clips: NDArray[np.int64],
        views: NDArray[np.int64],
        frames: NDArray[np.int64],
        random: np.random.Generator,
    ) -> Tensor:
        """Features (B, T, F) of training clips (B,), seen in `views` (B,) at `frames` (B, T)."""
        bank, row_of = store.bank(self.spatial)
        features = gather(bank, row_of[clips], views, frames)
        if self.config.spatial == "feature":
            return disturb(features, self.config.stand_in, random)
        return features

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, scenes, order = batch
        return self.weighted(self.tasks(features, self.encoder(features), scenes, order))

    def tasks(
        self, features: Tensor, hidden: Tensor, scenes: Tensor, order: Tensor
    ) -> dict[str, Tensor]:
        """The loss of each task that is on; `hidden` (2B, T, W) are the encoded `features`."""
        weights, parts = self.config.weights, {}
        if weights.contrastive:
            code1, code2 = self.codes(hidden).chunk(2)
            parts["contrastive"] = debiased_contrastive(
                code1, code2, self.config.temperature, self.config.tau_plus
            )
        if weights.order:
            parts["order"] = frame_order(self.order_logits(features[: len(order)], order), order)
        if weights.scene:
            read = self._read(hidden, self.config.scene.read)
            parts["scene"] = scene_contrast(read, scenes, self.config.scene.temperature)
        return parts

    def weighted(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted sum of `parts` as "loss", followed by `parts`."""
        loss = sum(getattr(self.config.weights, name) * value for name, value in parts.items())
        return {"loss": torch.as_tensor(loss), **parts}

    def codes(self, hidden: Tensor) -> Tensor:
        """Encoded frames (B, T, W) -> codes (B, b) in {-1, +1}."""
        return sign(self.hash(hidden.mean(dim=1)))

    def order_logits(self, features: Tensor, order: Tensor) -> Tensor:
        """Scores (B, T, T) of the T positions, for the frames (B, T, F) put in the order (B, T)."""
        permuted = features.gather(1, order[:, :, None].expand_as(features))
        hidden = self.encoder(permuted, ordered=self.config.order.positions)
        logits: Tensor = self.order_head(self._read(hidden, self.config.order.read))
        return logits

    def _read(self, hidden: Tensor, read: Read) -> Tensor:
        """What a local task reads of hidden states (B, T, W): (B, T, W) or (B, T, b)."""
        seen: Tensor = self.hash(hidden) if read == "codes" else hidden
        return seen

    def encode(self, features: Tensor) -> Tensor:
        codes: Tensor = self.hash(self.encoder(features).mean(dim=1))
        return codes

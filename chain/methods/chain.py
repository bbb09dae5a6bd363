"""CHAIN: Exploring Global-Local Spatio-Temporal Information (ACM MM 2023, arXiv 2310.18926).

Two views of a video, each a temporal sample of its frames under one spatial augmentation, and three
tasks trained together as one weighted sum:

| symbol | task | sees | loss |
|---|---|---|---|
| L_con | spatio-temporal contrast of the views' codes | global | losses/debiased.py |
| L_ord | order verification: each frame's position | local, temporal | losses/frame_order.py |
| L_sce | scene change: frames against scene prototypes | local, spatial | losses/scene.py |

No official code exists and the paper leaves sizes, weights and details open. What we chose, and the
figures behind it, stands in `docs/choices.md`:

* The order task sees the frames *shuffled* and *without position embeddings*, in a pass of its own:
  given positions, the answer would leak and the task teach nothing.
* Scenes are clustered on the CNN features, not on the encoder's output, whose position embeddings
  would make neighbours in time a scene.
"""

from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.features.augment import Spatial
from chain.features.sampling import Sampling, sample_frames
from chain.features.store import FeatureStore, gather
from chain.losses.debiased import debiased_contrastive
from chain.losses.frame_order import frame_order
from chain.losses.scene import scene_contrast
from chain.methods.base import Method, MethodConfig, Positive, TrainingConfig, encoded_frames
from chain.models.affinity_propagation import (
    affinity_propagation,
    frame_similarity,
    median_preference,
)
from chain.models.encoders import EncoderConfig, TemporalEncoder
from chain.models.hash_layer import HashLayer, sign
from chain.params import Parameters

Weight = Annotated[float, Field(ge=0)]


class TaskWeights(Parameters):
    """Weights of the three tasks; 0 switches a task, and its cost, off."""

    contrastive: Weight
    order: Weight
    scene: Weight

    @model_validator(mode="after")
    def _some_task_is_on(self) -> Self:
        if not (self.contrastive or self.order or self.scene):
            raise ValueError("all are 0, so there is nothing to learn")
        return self


class SceneConfig(Parameters):
    """Affinity propagation and the prototype contrast."""

    preference: Positive
    """AP preference over the median similarity, which is negative: more = fewer scenes."""
    damping: Annotated[float, Field(ge=0.5, lt=1)]
    temperature: Positive


class ChainConfig(MethodConfig):
    """CHAIN's parameters."""

    encoder: EncoderConfig
    sampling: Sampling
    spatial: Spatial
    weights: TaskWeights
    temperature: Positive
    tau_plus: Annotated[float, Field(ge=0, lt=1)]
    """Prior of false negatives in the contrastive loss (arXiv 2007.00224); 0 = NT-Xent."""
    scene: SceneConfig
    training: TrainingConfig


class Chain(Method):
    """Temporal encoder, hash layer and the heads of the two local tasks."""

    Config = ChainConfig

    def __init__(self, config: ChainConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.config = config
        self.encoder = TemporalEncoder(config.encoder, feature_width, config.frames)
        self.hash = HashLayer(config.encoder.width, bits)
        self.order_head = nn.Linear(config.encoder.width, config.frames)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Both views (2B, T, F), first views first, and a shuffle (2B, T) for the order task."""
        encoded_frames(store, self.frames)
        bank, row_of = store.bank(self.config.spatial)
        batch, views = len(rows), bank.shape[1]
        first = random.integers(0, views, batch)
        second = (first + random.integers(min(1, views - 1), max(1, views), batch)) % views
        frames = sample_frames(self.config.sampling, 2 * batch, store.dense, self.frames, random)
        clips = np.tile(row_of[rows], 2)
        features = gather(bank, clips, np.concatenate([first, second]), frames)
        shuffle = random.random((2 * batch, self.frames)).argsort(axis=1)
        return features, torch.from_numpy(shuffle)

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, shuffle = batch
        weights = self.config.weights
        parts = {}
        if weights.contrastive or weights.scene:
            hidden = self.encoder(features)  # (2B, T, W)
        if weights.contrastive:
            code1, code2 = sign(self.hash(hidden.mean(dim=1))).chunk(2)
            parts["contrastive"] = debiased_contrastive(
                code1, code2, self.config.temperature, self.config.tau_plus
            )
        if weights.order:
            parts["order"] = frame_order(self.order_logits(features, shuffle), shuffle)
        if weights.scene:
            parts["scene"] = scene_contrast(
                hidden, self.scenes(features), self.config.scene.temperature
            )
        loss = sum(getattr(weights, name) * value for name, value in parts.items())
        return {"loss": torch.as_tensor(loss), **parts}

    def order_logits(self, features: Tensor, shuffle: Tensor) -> Tensor:
        """Scores (B, T, T) of the T positions, for frames (B, T, F) put in the order `shuffle`."""
        shuffled = features.gather(1, shuffle[:, :, None].expand_as(features))
        logits: Tensor = self.order_head(self.encoder(shuffled, ordered=False))
        return logits

    def scenes(self, features: Tensor) -> Tensor:
        """Frame features (B, T, F) -> scene of each frame (B, T), by affinity propagation."""
        similarity = frame_similarity(features)
        return affinity_propagation(
            similarity,
            preference=median_preference(similarity, self.config.scene.preference),
            damping=self.config.scene.damping,
        )

    def encode(self, features: Tensor) -> Tensor:
        codes: Tensor = self.hash(self.encoder(features).mean(dim=1))
        return codes

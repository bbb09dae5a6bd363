"""WSCH: ConMH's masked autoencoder with a state space encoder and clusters of its own codes.

What is known of it:

* A LayerNorm comes before the projection.
* The encoder has one SSD layer and one attention.
* Views, positions, hash layer, decoder and contrast are ConMH's.
* The first stage trains reconstruction and the debiased contrast, under a high mask ratio.
* The second stage has a lower mask ratio and alternates by epoch. In one epoch it trains
  reconstruction and a cross-entropy against cluster labels, in the next reconstruction and the
  contrast.

What is left open and we chose:

* The encoder reads the visible frames in temporal order.
* The second stage begins with an epoch of cluster labels. Before each such epoch, k-means finds
  them from the codes of the training clips before the sign. It goes on from the last centres. If it
  began afresh, it would number the clusters anew, and what the cluster head knows would be lost.
* The cluster head is linear and reads a view's mean code. The cross-entropies of both views are
  averaged.
* The contrast has the weight `contrastive_weight`, all other terms have the weight 1.
"""

from typing import Annotated, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.methods.conmh import ConMH, ConMHConfig
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.models.kmeans import kmeans
from chain.models.ssd import SSDAttention
from chain.models.transformer import xavier_linears
from chain.views.store import FeatureStore


class WSCHConfig(ConMHConfig):
    """ConMH's parameters, with the first stage's `mask_ratio`, and those of the second stage."""

    second_mask_ratio: Annotated[float, Field(gt=0, lt=1)]
    reconstruct_epochs: Annotated[int, Field(ge=0)]
    """How many epochs the first stage takes."""
    clusters: Annotated[int, Field(ge=2)]
    """k of k-means. It has to be less than the number of training clips."""

    @model_validator(mode="after")
    def _second_stage_masks_and_lasts(self) -> Self:
        if not int(self.second_mask_ratio * self.frames):
            raise ValueError(
                f"second_mask_ratio {self.second_mask_ratio} of {self.frames} frames masks none"
            )
        if self.reconstruct_epochs >= self.training.epochs:
            raise ValueError(
                f"reconstruct_epochs {self.reconstruct_epochs} leaves none of the "
                f"{self.training.epochs} training.epochs to the second stage"
            )
        return self


class WSCH(ConMH):
    """Two-stage masked autoencoder with a hash bottleneck and cluster labels."""

    Config = WSCHConfig
    Encoder = SSDAttention

    config: WSCHConfig
    centres: Tensor

    def __init__(self, config: WSCHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.project = nn.Sequential(nn.LayerNorm(feature_width), self.project)
        self.cluster_head = nn.Linear(bits, config.clusters)
        xavier_linears(self.cluster_head)
        self.register_buffer("centres", torch.zeros(config.clusters, bits))
        self.labels: Tensor | None = None

    def fit(self, store: FeatureStore) -> None:
        """Raise InputError, before any training, if the clips are too few for the clusters."""
        check_clusters(self.config.clusters, store, "methods.wsch.clusters")

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Set the stage's mask. In every other epoch of the second stage, find cluster labels."""
        turn = epoch - self.config.reconstruct_epochs
        second = turn >= 0
        ratio = self.config.second_mask_ratio if second else self.config.mask_ratio
        self.masked_frames = int(ratio * self.frames)
        self.labels = None
        if second and turn % 2 == 0:
            codes = of_training_clips(self, store, self.encode)
            if not codes.isfinite().all():
                raise InputError("wsch: the codes are no longer numbers; lower training.lr")
            start = self.centres.cpu() if turn else None
            self.labels, centres = kmeans(codes, self.config.clusters, start)
            self.centres.copy_(centres)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What ConMH draws and, in an epoch of cluster labels, the labels of the clips (B,)."""
        views = super().draw(store, rows, random)
        return views if self.labels is None else (*views, self.labels[rows])

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, permutation, *labels = batch
        if not labels:
            return super().losses(features, permutation)
        code1, code2, reconstruction = self._views(features, permutation)
        logits = self.cluster_head(torch.cat([code1, code2]))
        cluster = F.cross_entropy(logits, labels[0].repeat(2))
        return {
            "loss": reconstruction + cluster,
            "reconstruction": reconstruction,
            "cluster": cluster,
        }

    def _view(self, features: Tensor, visible: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        return super()._view(features, visible.sort(dim=1).values, masked)

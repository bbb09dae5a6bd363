"""WSCH: ConMH's masked autoencoder with a state space encoder and clusters of its own codes.

Known of it: a LayerNorm before the projection, an encoder of one SSD layer and one attention, and
two stages. The first trains reconstruction and the debiased contrast under a high mask ratio; the
second, under a lower one, alternates by epoch between reconstruction with a cross-entropy against
cluster labels and reconstruction with the contrast. Views, positions, hash layer, decoder and
contrast are ConMH's.

What is left open and we chose:

* The encoder reads the visible frames in temporal order.
* The second stage begins with the cluster labels. They come from k-means on the training clips'
  codes before the sign, found anew before each such epoch. It goes on from the last centres:
  begun afresh it would number the clusters anew, and what the cluster head knows would be lost.
* The cluster head is linear on a view's mean code; both views' cross-entropies are averaged.
* Terms are summed with weight 1, the contrast with `contrastive_weight`.
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
    """ConMH's parameters, `mask_ratio` being that of the first stage, and the second stage's."""

    second_mask_ratio: Annotated[float, Field(gt=0, lt=1)]
    reconstruct_epochs: Annotated[int, Field(ge=0)]
    """Epochs of the first stage."""
    clusters: Annotated[int, Field(ge=2)]
    """k of k-means; below the number of training clips."""

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
        """InputError, before any training, if there are too few clips for the clusters."""
        check_clusters(self.config.clusters, store, "methods.wsch.clusters")

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Set the stage's mask and, for every other epoch of the second, the cluster labels."""
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
        """ConMH's; in a cluster epoch also the clips' labels (B,)."""
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

"""MCMSH: Self-Supervised Video Hashing with MC-MLP (Hao et al., ACM MM 2022).

A mixer (models/mc_mlp.py) reads the frame features and gives a soft code h = mean_t tanh(α·x_t).
Its slope α = √(epoch + 1) grows, so that the code hardens. The loss has four terms:

* A clip's mean hidden state is drawn to the centre of its cluster.
* The codes of a similar pair are to agree, those of a dissimilar pair to disagree.
* Soft codes are to be near their signs.
* Similar pairs are to be nearer to each other than dissimilar ones, by a margin.

The network, α, the terms and their weights are the paper's. What it leaves open and we chose:

* Clusters are those of the mean clean CNN features, found once by k-means. Their centres in the
  hidden space are the mean hidden states of their clips, taken anew before each epoch.
* Each clip of a batch has one partner, and half of the pairs are similar. A similar partner is
  another clip of the same cluster, or the clip itself if it is alone there. A dissimilar partner is
  any clip of another cluster.
* A quadruplet is a similar and a dissimilar pair, and all those of a batch count. Its term is
  max(0, margin + d(similar) − d(dissimilar)), where d = (1 − ⟨h1, h2⟩ / b) / 2. For hard codes d
  is the share of bits that differ.
* ‖h − b‖² is taken per bit, so that its weight does not grow with the code.
* A LayerNorm ends the mixer. Without it, the network could satisfy the cluster term by shrinking
  all hidden states.
"""

import math
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.methods.base import Count, Method, MethodConfig, TrainingConfig
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.models.hash_layer import sign
from chain.models.kmeans import cluster_means, kmeans
from chain.models.mc_mlp import MixerBlock
from chain.views.store import FeatureStore

Weight = Annotated[float, Field(ge=0)]


class TermWeights(Parameters):
    """Weights of the four terms."""

    cluster: Weight
    similarity: Weight
    quantisation: Weight
    quadruplet: Weight


class MCMSHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    width: Count
    depth: Count
    """Number of mixer blocks."""
    clusters: Annotated[int, Field(ge=2)]
    """k of k-means. It has to be less than the number of training clips."""
    margin: Annotated[float, Field(ge=0, le=1)]
    """Share of bits by which dissimilar pairs are to be further apart than similar ones."""
    weights: TermWeights
    training: TrainingConfig


class MCMSH(Method):
    """Mixer with soft frame codes that harden from epoch to epoch."""

    Config = MCMSHConfig

    config: MCMSHConfig
    slope: Tensor

    def __init__(self, config: MCMSHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.mixer = nn.Sequential(
            nn.Linear(feature_width, config.width),
            nn.ReLU(),
            *(MixerBlock(config.frames, config.width) for _ in range(config.depth)),
            nn.LayerNorm(config.width),
        )
        self.hash = nn.Linear(config.width, bits)
        self.register_buffer("slope", torch.ones(()))

    def fit(self, store: FeatureStore) -> None:
        """Cluster the training clips. InputError if they are too few, or all the same."""
        check_clusters(self.config.clusters, store, "methods.mcmsh.clusters")
        pooled = of_training_clips(self, store, lambda features: features.mean(dim=1))
        self.labels, _ = kmeans(pooled, self.config.clusters)
        if not self.labels.any():
            raise InputError("mcmsh: all training clips have the same features")
        self.partners = Partners(self.labels.numpy())

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Harden the codes and move the clusters' centres to where their clips are now."""
        self.slope.fill_(math.sqrt(epoch + 1))
        hidden = of_training_clips(self, store, lambda features: self.mixer(features).mean(dim=1))
        self.centres = cluster_means(hidden, self.labels, self.config.clusters)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            * the clean frames (2B, T, F) of the clips, and after them those of their partners;
            * which pairs are similar, (B,) bool;
            * the centres of the clusters of clips and partners, (2B, W).
        """
        similar = random.permutation(len(rows)) < len(rows) // 2
        clips = np.concatenate([rows, self.partners.draw(rows, similar, random)])
        features = store.clean_frames(store.train[clips], self.frames)
        return features, torch.from_numpy(similar), self.centres[self.labels[clips]]

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, similar, centres = batch
        hidden = self.mixer(features)
        codes = self._soft_codes(hidden)
        code1, code2 = codes.chunk(2)
        agreement = (code1 * code2).mean(dim=1)
        parts = {
            "cluster": F.mse_loss(hidden.mean(dim=1), centres),
            "similarity": (similar.float() * 2 - 1 - agreement).square().mean(),
            "quantisation": F.mse_loss(codes, sign(codes).detach()),
            "quadruplet": quadruplet(agreement, similar, self.config.margin),
        }
        loss = sum(getattr(self.config.weights, name) * value for name, value in parts.items())
        return {"loss": torch.as_tensor(loss), **parts}

    def encode(self, features: Tensor) -> Tensor:
        return self._soft_codes(self.mixer(features))

    def _soft_codes(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, W) -> codes (B, b) in (-1, 1)."""
        frame_codes: Tensor = (self.slope * self.hash(hidden)).tanh()
        return frame_codes.mean(dim=1)


class Partners:
    """Draws similar and dissimilar clips, given the cluster of each clip: labels (M,).

    There have to be two clusters or more. The clips are sorted by cluster. A similar partner is
    drawn from the stretch of the clip's cluster, and a dissimilar one from what follows that
    stretch, up to the end and on from the beginning.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._clips = labels.argsort(kind="stable")
        self._place = self._clips.argsort(kind="stable")
        size = np.bincount(labels)
        self._size, self._start = size[labels], (size.cumsum() - size)[labels]

    def draw(
        self, rows: NDArray[np.int64], similar: NDArray[np.bool_], random: np.random.Generator
    ) -> NDArray[np.int64]:
        """A partner (B,) for each of `rows` (B,), of the same cluster where `similar` (B,)."""
        size, start = self._size[rows], self._start[rows]
        step = 1 + random.integers(0, np.maximum(size - 1, 1))
        within = start + (self._place[rows] - start + step) % size
        beyond = start + size + random.integers(0, len(self._clips) - size)
        place = np.where(similar, within, beyond % len(self._clips))
        partners: NDArray[np.int64] = self._clips[place]
        return partners


def quadruplet(agreement: Tensor, similar: Tensor, margin: float) -> Tensor:
    """The hinge loss of every similar pair against every dissimilar one.

    Args:
        agreement: (B,) ⟨h1, h2⟩ / b of each pair. The pair's distance is (1 − agreement) / 2.
        similar: (B,) bool. There has to be at least one pair of either kind.
        margin: by how much the distance of a dissimilar pair is to be larger.

    Returns:
        () mean over all quadruplets of max(0, margin + d(similar) − d(dissimilar)).
    """
    distance = (1 - agreement) / 2
    gaps = margin + distance[similar][:, None] - distance[~similar]
    return gaps.clamp(min=0).mean()

"""MCMSH: Unsupervised Video Hashing with Multi-granularity Contextualization and Multi-structure
Preservation (Hao et al., ACM MM 2022).

A mixer (models/mc_mlp.py) reads the frame features and gives a soft code h = mean_t tanh(α·x_t).
Its slope α = √(epoch + 1) grows, so that the code hardens. Each clip is seen with four others. Its
partner is similar or dissimilar, and clip and partner are masked as in BTH. A similar and two
dissimilar clips are seen as they are. The loss has four terms:

* The mean hidden states of clip and partner are drawn to the centres of their clusters.
* The codes of a similar pair are to agree, those of a dissimilar pair to disagree.
* Soft codes are to be near their signs. The sign passes its gradient on, so the term has none.
* Clips h, s (similar), d and e (dissimilar) make a quadruplet. The squared distance of h and s is
  to be less than that of h and d, and than that of d and e, each by a margin.

Clusters come from k-means on mean CNN features. Their centres, brought to the network's width by
PCA, are fixed. Similar and dissimilar clips are drawn as in BTH (models/anchor_graph.py), with
these centres as anchors.

Network, losses, weights, targets and pairs are those of the authors' released code. This differs
on purpose:

| what | released | here |
|---|---|---|
| α of a trained network, on which the codes' signs depend | not saved, later 1 | the last, saved |
| masks | last until the epoch ends, since masking is in place (a slip) | new at each step |
| a replaced frame | any of the training set | any other of the batch, which saves reading |
| k-means | 16 rounds from random starts, empty clusters dropped | k-means++, to the end, all kept |
| PCA's axes | in the solver's order | the largest variances first, to keep what varies most |
| fewer clusters than the width | axes of noise | coordinates of 0, since PCA has no more axes |
| a clip without dissimilar ones (in tiny sets) | the code fails | takes that of least affinity |
| the sign of 0 | 0 | +1, since a code has two values |
"""

import math
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.methods.base import LossWeights, Method, MethodConfig, TrainingConfig, Weight
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.models.anchor_graph import REACH, AnchorGraph, nearest_anchors
from chain.models.hash_layer import sign
from chain.models.kmeans import kmeans
from chain.models.mc_mlp import MCMLP, check_width
from chain.views.masking import corrupt, mask_frames
from chain.views.store import FeatureStore

MARGINS = 1 / 4, 1 / 64  # of h against d, and of d against e, as shares of the bits
SEEN = 5  # clips a step for each of its rows


def _grouped(width: int) -> int:
    check_width(width)
    return width


class TermWeights(LossWeights):
    """Weights of the four terms."""

    cluster: Weight
    similarity: Weight
    quantisation: Weight
    quadruplet: Weight


class MCMSHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    width: Annotated[int, Field(ge=2), AfterValidator(_grouped)]
    clusters: Annotated[int, Field(ge=REACH)]
    """k of k-means. It has to be less than the number of training clips."""
    weights: TermWeights
    training: TrainingConfig


class MCMSH(Method):
    """Mixer with soft frame codes that harden from epoch to epoch."""

    Config = MCMSHConfig

    config: MCMSHConfig
    slope: Tensor

    def __init__(self, config: MCMSHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.project = nn.Linear(feature_width, config.width)
        self.mixer = MCMLP(config.frames, config.width)
        self.hash = nn.Linear(config.width, bits)
        self.register_buffer("slope", torch.ones(()))

    def fit(self, store: FeatureStore) -> None:
        """Cluster the training clips. InputError if they are too few, or all the same."""
        check_clusters(self.config.clusters, store, "methods.mcmsh.clusters")
        pooled = of_training_clips(self, store, lambda features: features.mean(dim=1))
        labels, centres = kmeans(pooled, self.config.clusters)
        if not labels.any():
            raise InputError("mcmsh: all training clips have the same features")
        nearest, distance = nearest_anchors(pooled, centres)
        self.graph = AnchorGraph(nearest.numpy(), distance.numpy())
        self.targets = principal_coordinates(centres, self.config.width)[nearest[:, 0]]

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Harden the codes."""
        self.slope.fill_(math.sqrt(epoch + 1))

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            * the clean frames (5B, T, F) of the clips and, one after the other, of their partners,
              of similar clips, and of two dissimilar ones;
            * what is shown in the places of clips and partners, (2B, T) as of `mask_frames`;
            * the similarities of clips and partners, (B,) in {-1, 1};
            * the cluster centres of clips and partners, (2B, W).
        """
        alike = random.random(len(rows)) < 0.5
        partners = self.graph.partners(rows, alike, random)
        similar = self.graph.similar(rows, random)
        first, second = (self.graph.dissimilar(rows, random) for _ in range(2))
        again = self.graph.are_similar(first, second)
        second[again] = self.graph.dissimilar(rows[again], random)  # once, whatever comes of it
        pair = np.concatenate([rows, partners])
        shown = mask_frames(len(pair), self.frames, random)
        clips = np.concatenate([pair, similar, first, second])
        return (
            store.clean_frames(store.train[clips], self.frames),
            torch.from_numpy(shown),
            torch.from_numpy(alike).float() * 2 - 1,
            self.targets[torch.from_numpy(pair)],
        )

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, shown, similarity, centres = batch
        pair, others = features[: len(shown)], features[len(shown) :]
        return self.terms(torch.cat([corrupt(pair, shown), others]), similarity, centres)

    def terms(self, seen: Tensor, similarity: Tensor, centres: Tensor) -> dict[str, Tensor]:
        """The four terms and their weighted sum; each fifth of `seen` (5B, T, F) is a pass."""
        projected = self.project(seen)
        passes = projected.view(SEEN, -1, *projected.shape[1:]).transpose(0, 1)  # (B, 5, T, W)
        hidden = self.mixer(passes).transpose(0, 1).flatten(0, 1)
        clip, partner, similar, first, second = self._soft_codes(hidden).chunk(SEEN)
        pair = torch.cat([clip, partner])
        means = hidden[: len(pair)].mean(dim=1)
        parts = {
            "cluster": 2 * F.mse_loss(means, centres),  # the sum of both halves' means
            "similarity": (similarity - (clip * partner).mean(dim=1)).square().mean(),
            "quantisation": 2 * F.mse_loss(pair, sign(pair)),
            "quadruplet": quadruplet(clip, similar, first, second),
        }
        loss = sum(getattr(self.config.weights, name) * value for name, value in parts.items())
        return {"loss": torch.as_tensor(loss), **parts}

    def encode(self, features: Tensor) -> Tensor:
        return self._soft_codes(self.mixer(self.project(features)))

    def _soft_codes(self, hidden: Tensor) -> Tensor:
        """Hidden states (B, T, W) -> codes (B, b) in (-1, 1)."""
        frame_codes: Tensor = (self.slope * self.hash(hidden)).tanh()
        return frame_codes.mean(dim=1)


def quadruplet(clip: Tensor, similar: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The sum of two hinge losses of squared distances, () the mean over a batch.

    Args:
        clip: (B, b) codes.
        similar: (B, b) those of clips that are similar to them.
        first: (B, b) those of clips that are dissimilar to them.
        second: (B, b) those of other dissimilar clips.
    """
    near = (clip - similar).square().sum(dim=1)
    far = (clip - first).square().sum(dim=1), (first - second).square().sum(dim=1)
    bits = clip.shape[1]
    hinges = [(m * bits + near - d).clamp(min=0) for m, d in zip(MARGINS, far, strict=True)]
    return torch.stack(hinges).sum(dim=0).mean()


def principal_coordinates(points: Tensor, width: int) -> Tensor:
    """The coordinates (K, width) of points (K, F) along their principal axes, largest first.

    They are centred. An axis is turned to make its largest coordinate positive. Coordinates for
    which there is no axis are 0.
    """
    centred = points.double() - points.double().mean(dim=0)
    values, vectors = torch.linalg.eigh(centred @ centred.T)  # of K × K instead of F × F
    axes = vectors.flip(dims=[1])[:, :width]
    length = values.flip(dims=[0])[:width]
    coordinates = axes * length.where(length > 1e-12 * length[0], 0).sqrt()
    largest = coordinates.abs().argmax(dim=0, keepdim=True)
    turned = coordinates * coordinates.gather(0, largest).sign()
    return F.pad(turned, (0, width - turned.shape[1])).to(points.dtype)

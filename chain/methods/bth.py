"""BTH: Self-Supervised Video Hashing via Bidirectional Transformers (CVPR 2021).

A BERT block reads the frame features and gives a binary code for each frame. It learns from three
tasks: to reconstruct masked frames, to keep the similarity of pairs of clips, and to draw a clip's
mean hidden state to its anchor. Anchors and pairs come from a network that was trained by
reconstruction alone. Here that network is the state of the same run after `pretrain_epochs`, and
the second phase goes on with its weights, optimiser and schedule.

Sizes, masking, losses, their weights, k-means anchors and the anchor graph are the paper's. What it
leaves open and we chose:

* A hidden frame is all zeros. A random frame may be of any clip of the batch.
* ⟨b1, b2⟩ is taken between mean frame codes. The signs of these means would pass no gradient where
  all frames agree.
* The graph's kernel width is the mean distance to the last of a clip's anchors (Liu et al.,
  "Hashing with graphs", ICML 2011).
* A pair is similar or dissimilar with equal chance.
* Anchors and graph stay as the first phase left them.
* The decoder's bias starts at the mean feature.
"""

from typing import Annotated, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.core.params import Parameters
from chain.methods.base import Count, Method, MethodConfig, TrainingConfig
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.models.hash_layer import sign
from chain.models.kmeans import kmeans
from chain.models.positions import sinusoid
from chain.views.store import FeatureStore

MASKED = 0.15  # share of a clip's frames that are to be reconstructed (BERT, arXiv 1810.04805)
ZEROED, REPLACED = 0.8, 0.1  # shares of the masked frames; the rest are shown as they are
HIDDEN = -1  # stands for a frame of zeros in what `mask_frames` says is shown
CHUNK = 256  # clips compared with the anchors at once

Weight = Annotated[float, Field(ge=0)]


class TaskWeights(Parameters):
    """Weights of the three tasks."""

    reconstruction: Weight
    neighbourhood: Weight
    anchor: Weight


class BTHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    width: Count
    """Hidden size of the block, whose attention has one head."""
    ffn: Count
    """Hidden size of its feed-forward network."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    pretrain_epochs: Count
    """How many epochs at the start train reconstruction alone. The others train all tasks."""
    anchors: Annotated[int, Field(ge=2)]
    """k of k-means. It has to be less than the number of training clips."""
    nearest: Count
    """How many anchors a clip is tied to in the graph."""
    neighbours: Count
    """How many clips, those of largest affinity, count as similar to a clip."""
    weights: TaskWeights
    training: TrainingConfig

    @model_validator(mode="after")
    def _anchors_and_epochs_suffice(self) -> Self:
        if self.nearest > self.anchors:
            raise ValueError(f"nearest {self.nearest} is more than the {self.anchors} anchors")
        if self.pretrain_epochs >= self.training.epochs:
            raise ValueError(
                f"pretrain_epochs {self.pretrain_epochs} leaves none of {self.training.epochs} "
                "training.epochs for the second phase"
            )
        return self


class BTH(Method):
    """Masked autoencoder of binary frame codes, with neighbourhood and cluster tasks."""

    Config = BTHConfig

    config: BTHConfig
    places: Tensor
    anchors: Tensor
    nearest: Tensor
    closeness: Tensor

    def __init__(self, config: BTHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.project = nn.Linear(feature_width, config.width)
        self.register_buffer("places", sinusoid(config.frames, config.width), persistent=False)
        self.block = nn.TransformerEncoderLayer(
            config.width, 1, config.ffn, config.dropout, activation="gelu", batch_first=True
        )
        self.hash = nn.Linear(config.width, bits)
        self.decoder = nn.Linear(bits, feature_width)
        self.register_buffer("anchors", torch.zeros(config.anchors, config.width))
        self.register_buffer("nearest", torch.zeros(0, config.nearest, dtype=torch.int64))
        self.register_buffer("closeness", torch.zeros(0, config.nearest))
        self.graph: AnchorGraph | None = None

    def fit(self, store: FeatureStore) -> None:
        """Start the decoder's bias at the mean feature.

        Adam moves a bias by about `lr` a step. On small sets it would therefore not reach the mean,
        and the codes would have to hold it in bits that are the same for all clips. InputError if
        the training clips are too few for the anchors.
        """
        check_clusters(self.config.anchors, store, "methods.bth.anchors")
        pooled = of_training_clips(self, store, lambda clips: clips.mean(dim=1))
        with torch.no_grad():
            self.decoder.bias.copy_(pooled.mean(dim=0))

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Find the anchors and the graph once the first phase is over."""
        if epoch < self.config.pretrain_epochs:
            return
        if epoch == self.config.pretrain_epochs:
            states = of_training_clips(self, store, lambda clips: self._hidden(clips).mean(dim=1))
            _, anchors = kmeans(states, self.config.anchors)
            nearest, closeness = anchor_weights(states, anchors, self.config.nearest)
            self.anchors.copy_(anchors)
            self.nearest = nearest.to(self.anchors.device)
            self.closeness = closeness.to(self.anchors.device)
        self.graph = AnchorGraph(self.nearest.cpu().numpy(), self.closeness.cpu().numpy())

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            In the first phase, with N = B:

            * the clean frames (N, T, F);
            * which of them are masked, (N, T) bool;
            * what is shown in their places, (N, T) as of `mask_frames`.

            In the second phase each clip has a partner. Then N = 2B with the partners last, and two
            more follow:

            * the similarities of clips and partners, (B,) in {-1, 1};
            * the nearest anchor of each clip, (N,).
        """
        pairs: tuple[Tensor, ...] = ()
        if self.graph is not None:
            similar = random.random(len(rows)) < 0.5
            partners = self.graph.partners(rows, similar, self.config.neighbours, random)
            rows = np.concatenate([rows, partners])
            similarity = torch.from_numpy(similar).float() * 2 - 1
            pairs = similarity, torch.from_numpy(self.graph.nearest[rows, 0])
        masked, shown = mask_frames(len(rows), self.frames, random)
        features = store.clean_frames(store.train[rows], self.frames)
        return features, torch.from_numpy(masked), torch.from_numpy(shown), *pairs

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, masked, shown, *pairs = batch
        hidden = self._hidden(corrupt(features, shown))
        codes = sign(self.hash(hidden))
        reconstruction = F.mse_loss(self.decoder(codes[masked]), features[masked])
        neighbourhood = anchor = torch.zeros_like(reconstruction)
        if pairs:
            similarity, assigned = pairs
            code1, code2 = codes.mean(dim=1).chunk(2)
            neighbourhood = (similarity - (code1 * code2).mean(dim=1)).square().mean()
            anchor = F.mse_loss(hidden.mean(dim=1), self.anchors[assigned])
        weights = self.config.weights
        loss = (
            weights.reconstruction * reconstruction
            + weights.neighbourhood * neighbourhood
            + weights.anchor * anchor
        )
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "neighbourhood": neighbourhood,
            "anchor": anchor,
        }

    def encode(self, features: Tensor) -> Tensor:
        return sign(self.hash(self._hidden(features))).mean(dim=1)

    def _hidden(self, features: Tensor) -> Tensor:
        """Frame features (N, T, F) -> hidden states (N, T, W)."""
        states: Tensor = self.block(self.project(features) + self.places)
        return states

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Give the graph its length, which is that of a training set unknown to a fresh model."""
        for name in ("nearest", "closeness"):
            if prefix + name in state_dict:
                empty = torch.empty_like(state_dict[prefix + name], device=self.anchors.device)
                setattr(self, name, empty)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class AnchorGraph:
    """Affinity of clips through anchors that they share: A = Z·diag(1ᵀZ)⁻¹·Zᵀ (ICML 2011).

    Z (M, anchors) holds each clip's closeness to its nearest anchors, and 0 for all others. It is
    given by `nearest` (M, k) and `closeness` (M, k), as `anchor_weights` returns them. A (M, M) is
    never formed. Instead a row of it is gathered from the clips that are tied to the same anchors.
    """

    def __init__(self, nearest: NDArray[np.int64], closeness: NDArray[np.float32]) -> None:
        self.nearest = nearest
        self.closeness = closeness.astype(np.float64)
        flat = nearest.ravel()
        degree = np.bincount(flat, self.closeness.ravel())
        by_anchor = flat.argsort(kind="stable")
        self._members = by_anchor // nearest.shape[1]
        self._shares = (self.closeness / degree[nearest]).ravel()[by_anchor]
        self._bounds = np.concatenate([[0], np.bincount(flat).cumsum()])

    def row(self, clip: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The clips that share an anchor with `clip`, in ascending order, and its affinity to each.

        `clip` is among them. Its affinity to clips that are not among them is 0.
        """
        groups = [slice(*self._bounds[anchor : anchor + 2]) for anchor in self.nearest[clip]]
        clips = np.concatenate([self._members[group] for group in groups])
        flows = [z * self._shares[g] for z, g in zip(self.closeness[clip], groups, strict=True)]
        shared, place = np.unique(clips, return_inverse=True)
        affinity = np.bincount(place, np.concatenate(flows))
        return shared, affinity.astype(np.float64)

    def partners(
        self,
        clips: NDArray[np.int64],
        similar: NDArray[np.bool_],
        neighbours: int,
        random: np.random.Generator,
    ) -> NDArray[np.int64]:
        """A partner (B,) for each of `clips` (B,).

        Where `similar` (B,), it is one of the `neighbours` clips of largest affinity, else one of
        affinity 0.
        """
        chosen = [
            self._similar(clip, neighbours, random) if alike else self._dissimilar(clip, random)
            for clip, alike in zip(clips.tolist(), similar, strict=True)
        ]
        return np.array(chosen)

    def _similar(self, clip: int, neighbours: int, random: np.random.Generator) -> int:
        """One of the clips of largest affinity, or the clip itself if no other shares an anchor."""
        shared, affinity = self.row(clip)
        others = shared != clip
        if not others.any():
            return clip
        best = shared[others][np.argsort(-affinity[others], kind="stable")[:neighbours]]
        return int(random.choice(best))

    def _dissimilar(self, clip: int, random: np.random.Generator) -> int:
        """Any clip of affinity 0, or that of least affinity if there is none."""
        shared, affinity = self.row(clip)
        apart = len(self.nearest) - len(shared)
        if not apart:
            return int(shared[affinity.argmin()])
        rank = random.integers(apart)  # among the clips that are not in `shared`
        skipped = np.searchsorted(shared - np.arange(len(shared)), rank, side="right")
        return int(rank + skipped)


def mask_frames(
    clips: int, frames: int, random: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """BERT's masking (arXiv 1810.04805, section 3.1) of N clips of T frames.

    Returns:
        masked (N, T) bool: 15 % of a clip's frames, and at least one.
        shown (N, T) int64: the frame that the network sees in each place, counted through the
            batch. In a masked place it is HIDDEN with a chance of 80 % and any other frame with a
            chance of 10 %. Everywhere else it is the frame of that place.
    """
    ranks = random.random((clips, frames)).argsort(axis=1)
    masked = ranks < max(1, round(MASKED * frames))
    own = np.arange(clips * frames).reshape(clips, frames)
    other = (own + random.integers(1, own.size, own.shape)) % own.size
    fate = random.random(own.shape)
    shown = np.where(masked & (fate < ZEROED), HIDDEN, own)
    return masked, np.where(masked & (fate >= 1 - REPLACED), other, shown)


def corrupt(features: Tensor, shown: Tensor) -> Tensor:
    """What the network sees of features (N, T, F): a new tensor of the same shape.

    It holds the frames `shown` (N, T), and zeros where that is HIDDEN.
    """
    frames = features.flatten(0, 1)[shown.clamp(min=0)]
    return frames.masked_fill((shown == HIDDEN)[:, :, None], 0)


def anchor_weights(states: Tensor, anchors: Tensor, nearest: int) -> tuple[Tensor, Tensor]:
    """The k nearest anchors of states (M, W), nearest first (M, k), and their weights (M, k).

    A weight is exp(−d²/h²), where d is the distance to the anchor and h the mean distance of all
    states to their k-th anchor. The weights of a state are scaled so that their sum is 1.
    """
    exact = "donot_use_mm_for_euclid_dist"
    closest = [
        torch.cdist(states[start : start + CHUNK], anchors, compute_mode=exact).topk(
            nearest, largest=False
        )
        for start in range(0, len(states), CHUNK)
    ]
    indices = torch.cat([found.indices for found in closest])
    distance = torch.cat([found.values for found in closest])
    smallest = torch.finfo(distance.dtype).tiny
    scaled = distance / distance[:, -1].mean().clamp(min=smallest)
    # Never quite 0, so that clips that share an anchor have an affinity above 0.
    return indices, (-scaled.square()).softmax(dim=1).clamp(min=smallest)

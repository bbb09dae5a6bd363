"""WSCH: a masked autoencoder with a state space encoder, drawn to clusters of its own codes.

The frames that a view sees pass one SSD layer and one attention (models/ssd.py), and ConMH's hash
layer makes a code of each. The decoder predicts the frames that the view does not see. It knows no
positions, so all of them get the same prediction. Training has two stages:

* In the first `warmup_epochs` epochs, views see few frames and the reconstruction is the only loss.
* After that, views see more frames and epochs take turns. One draws codes to their nearest centres,
  the next contrasts the two views. Before each epoch of the first kind, k-means finds the centres
  among the codes of the first stage's views, starting from the centres it found before.

The network, losses, weights and schedule are those of the authors' code (anon271/WSCH, commit
5ca3ff3). An epoch there is two here, one of either kind. What we do otherwise:

* The first k-means starts from k-means++, and a mean of exactly 0 gives a centre the sign +1.
* An exact 0 before the sign gives +1, where theirs gives −1.
"""

from typing import Annotated, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.core.params import Parameters
from chain.losses.debiased import debiased_contrastive
from chain.losses.nearest_centre import nearest_centre
from chain.methods.base import Method, MethodConfig, Positive, TrainingConfig, Weight
from chain.methods.training_clips import check_clusters, check_numbers, of_training_clips
from chain.models.hash_layer import HashLayer, sign
from chain.models.kmeans import kmeans
from chain.models.ssd import AttentionBlock, SSDBlock, heads_of
from chain.views.store import FeatureStore
from chain.views.two_views import permutations, take, two_views

Ratio = Annotated[float, Field(gt=0, lt=1)]


class AttentionSize(Parameters):
    """Width of the tokens, and into how many heads their attention divides it."""

    width: Annotated[int, Field(ge=8)]
    heads: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads don't divide width {self.width}")
        return self


class EncoderSize(AttentionSize):
    """Size of the encoder, whose SSD layer has heads of its own."""

    @model_validator(mode="after")
    def _ssd_heads_divide_width(self) -> Self:
        if 2 * self.width % heads_of(self.width):
            raise ValueError(f"width {self.width} makes no whole heads; take a multiple of 64")
        return self


class TermWeights(Parameters):
    """Weights of the second stage's terms beside the reconstruction."""

    cluster: Weight
    contrastive: Weight


class WSCHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    encoder: EncoderSize
    decoder: AttentionSize
    first_mask_ratio: Ratio
    """The share of a clip's frames that a view does not see in the first stage."""
    second_mask_ratio: Ratio
    warmup_epochs: Annotated[int, Field(ge=0)]
    """How many epochs the first stage takes."""
    clusters: Annotated[int, Field(ge=2)]
    """k of k-means. It has to be less than the number of training clips."""
    cluster_temperature: Positive
    temperature: Positive
    tau_plus: Annotated[float, Field(ge=0, lt=1)]
    """Prior probability that a negative is of the anchor's class."""
    weights: TermWeights
    training: TrainingConfig

    @model_validator(mode="after")
    def _stages_mask_and_last(self) -> Self:
        for name in ("first_mask_ratio", "second_mask_ratio"):
            if not int(getattr(self, name) * self.frames):
                raise ValueError(f"{name} {getattr(self, name)} of {self.frames} frames masks none")
        if self.warmup_epochs >= self.training.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} leaves none of the "
                f"{self.training.epochs} training.epochs to the second stage"
            )
        return self


class WSCH(Method):
    """Two-stage masked autoencoder with a hash bottleneck and binary cluster centres."""

    Config = WSCHConfig

    config: WSCHConfig
    centres: Tensor

    def __init__(self, config: WSCHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        width = config.encoder.width
        self.project = nn.Sequential(
            nn.LayerNorm(feature_width), nn.Linear(feature_width, width, bias=False)
        )
        self.encoder = nn.Sequential(SSDBlock(width), AttentionBlock(width, config.encoder.heads))
        self.hash = HashLayer(width, bits)
        self.mask_token = nn.Parameter(torch.zeros(bits))
        self.decoder = Decoder(bits, config.decoder, feature_width)
        self.register_buffer("centres", torch.zeros(config.clusters, bits))
        self.masked_frames = self._masked(config.first_mask_ratio)
        self.task: str | None = None

    def fit(self, store: FeatureStore) -> None:
        """Raise InputError, before any training, if the clips are too few for the clusters."""
        check_clusters(self.config.clusters, store, "methods.wsch.clusters")

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Set the stage's mask and the epoch's task, and find the centres if it needs new ones."""
        turn = epoch - self.config.warmup_epochs
        if turn < 0:
            return
        self.masked_frames = self._masked(self.config.second_mask_ratio)
        self.task = "contrastive" if turn % 2 else "cluster"
        if self.task == "cluster":
            codes = of_training_clips(self, store, self._codes_of_few_frames)
            check_numbers(codes, "wsch")
            start = self.centres.cpu() if turn else None
            _, centres = kmeans(codes.view(-1, self.bits), self.config.clusters, start)
            self.centres.copy_(sign(centres))

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Clean frames (B, T, F), and a random permutation of the frames of each clip (B, T)."""
        features = store.clean_frames(store.train[rows], self.frames)
        return features, permutations(len(rows), self.frames, random)

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, permutation = batch
        views = two_views(permutation, self.masked_frames)
        visible, hidden = (torch.cat(frames, dim=1) for frames in zip(*views, strict=True))
        clips, _, width = features.shape
        shown = take(features, visible).view(2 * clips, -1, width)  # both views of each clip
        codes = self._frame_codes(shown)
        tokens = torch.cat([self.mask_token.expand(len(codes), 1, -1), codes], dim=1)
        predicted = self.decoder(tokens, self.masked_frames)  # (2B, 1, F)
        target = take(features, hidden).view(2 * clips, -1, width)
        # As many frames are hidden in both views, so that this is the sum of their two errors.
        reconstruction = 2 * (1 - F.cosine_similarity(predicted, target, dim=2).mean())
        code1, code2 = codes.mean(dim=1).view(clips, 2, -1).unbind(dim=1)
        config = self.config
        if self.task is None:
            return {"loss": reconstruction, "reconstruction": reconstruction}
        if self.task == "cluster":
            term = nearest_centre(code1, self.centres, config.cluster_temperature)
            term = term + nearest_centre(code2, self.centres, config.cluster_temperature)
        else:
            term = debiased_contrastive(code1, code2, config.temperature, config.tau_plus)
        loss = reconstruction + getattr(config.weights, self.task) * term
        return {"loss": loss, "reconstruction": reconstruction, self.task: term}

    def encode(self, features: Tensor) -> Tensor:
        return self._frame_codes(features).mean(dim=1)

    def _masked(self, ratio: float) -> int:
        return int(ratio * self.frames)

    def _frame_codes(self, features: Tensor) -> Tensor:
        """Codes (B, V, b) in {-1, +1} of the frames (B, V, F), which are in temporal order."""
        return sign(self.hash(self.encoder(self.project(features))))

    def _codes_of_few_frames(self, features: Tensor) -> Tensor:
        """Signs (B, 2b) of the mean codes of two views, masked as in the first stage."""
        permutation = torch.rand(features.shape[:2]).argsort(dim=1).to(features.device)
        views = two_views(permutation, self._masked(self.config.first_mask_ratio))
        codes = [self._frame_codes(take(features, visible)).mean(dim=1) for visible, _ in views]
        return sign(torch.cat(codes, dim=1))


class Decoder(nn.Sequential):
    """Predicts the frames that a view does not see from the codes of those that it sees.

    Without positions the masked frames are all alike, so one of them is computed for all.
    """

    def __init__(self, bits: int, size: AttentionSize, feature_width: int) -> None:
        super().__init__(
            nn.Linear(bits, size.width, bias=False),
            AttentionBlock(size.width, size.heads),
            nn.Linear(size.width, feature_width),
        )

    def forward(self, tokens: Tensor, masked: int) -> Tensor:  # type: ignore[override]
        """Predict from a mask token, which stands for `masked` of them, and V codes after it.

        (B, 1 + V, b) -> (B, 1, F).
        """
        block = self[1]
        assert isinstance(block, AttentionBlock)
        predicted: Tensor = self[2](block.of_first(self[0](tokens), masked))
        return predicted

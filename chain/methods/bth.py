"""BTH: Self-Supervised Video Hashing via Bidirectional Transformers (CVPR 2021).

A BERT block reads the frame features and gives a binary code for each frame. It learns from three
tasks: to reconstruct clips of which some frames are masked, to keep the similarity of pairs of
clips, and to draw a clip's mean hidden state to its anchor. Anchors and pairs come from a network
that was trained by reconstruction alone. So a run has two phases, and the second begins with fresh
weights and a fresh optimiser.

Network, losses, their weights and pairs are those of the authors' released code. This differs on
purpose:

| what | released | here |
|---|---|---|
| target of the reconstruction | the masked clip, since masking is in place | the clean clip |
| masks | last until the epoch ends, by the same slip | new at each step |
| a replaced frame | any of the training set | any other of the batch, which saves reading |
| decoder's bias | PyTorch's default | starts at the mean feature (see `fit`) |
| pre-training | a run of its own, of unknown length | `pretrain_epochs` |
| k-means | 16 rounds from random starts, empty clusters dropped | k-means++, to the end, all kept |
| a clip without dissimilar ones (in tiny sets) | the code fails | takes that of least affinity |
| the sign of 0 | −1 in a frame's code, 0 in a clip's | +1, since a code has two values |
"""

from typing import Annotated, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.methods.base import Count, LossWeights, Method, MethodConfig, TrainingConfig, Weight
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.models.anchor_graph import REACH, AnchorGraph, nearest_anchors
from chain.models.dropout import Dropout
from chain.models.hash_layer import sign
from chain.models.kmeans import kmeans
from chain.models.positions import sinusoid
from chain.views.masking import corrupt, mask_frames
from chain.views.store import FeatureStore

FFN = 4  # hidden size of the feed-forward network, in widths


class TaskWeights(LossWeights):
    """Weights of the three tasks."""

    reconstruction: Weight
    neighbourhood: Weight
    anchor: Weight


class BTHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    width: Annotated[int, Field(ge=2)]
    """Hidden size of the block, whose attention has one head."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    pretrain_epochs: Count
    """How many epochs at the start train reconstruction alone. The others train all tasks."""
    anchors: Annotated[int, Field(ge=REACH)]
    """k of k-means. It has to be less than the number of training clips."""
    weights: TaskWeights
    training: TrainingConfig

    @model_validator(mode="after")
    def _epochs_suffice(self) -> Self:
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
    distance: Tensor

    def __init__(self, config: BTHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.project = nn.Linear(feature_width, config.width)
        self.register_buffer("places", sinusoid(config.frames, config.width), persistent=False)
        self.block = BertBlock(config.width, config.dropout)
        self.hash = nn.Linear(config.width, bits)
        self.decoder = nn.Linear(bits, feature_width)
        self.register_buffer("anchors", torch.zeros(config.anchors, config.width))
        self.register_buffer("nearest", torch.zeros(0, REACH, dtype=torch.int64))
        self.register_buffer("distance", torch.zeros(0, REACH))
        self.graph: AnchorGraph | None = None

    def fit(self, store: FeatureStore) -> None:
        """Start the decoder's bias at the mean feature.

        Adam moves a bias by about `lr` a step. On small sets it would therefore not reach the mean,
        and the codes would have to hold it in bits that are the same for all clips. InputError if
        the training clips are too few for the anchors.
        """
        check_clusters(self.config.anchors, store, "methods.bth.anchors")
        pooled = of_training_clips(self, store, lambda clips: clips.mean(dim=1))
        self.mean = pooled.mean(dim=0)
        with torch.no_grad():
            self.decoder.bias.copy_(self.mean)

    def phase_start(self, epoch: int) -> int:
        pretrained = self.config.pretrain_epochs
        return pretrained if epoch >= pretrained else 0

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Find the anchors and the graph once the first phase is over, and begin afresh."""
        if epoch < self.config.pretrain_epochs:
            return
        if epoch == self.config.pretrain_epochs:
            states = of_training_clips(self, store, lambda clips: self._hidden(clips).mean(dim=1))
            _, anchors = kmeans(states, self.config.anchors)
            nearest, distance = nearest_anchors(states, anchors)
            self.anchors.copy_(anchors)
            self.nearest = nearest.to(self.anchors.device)
            self.distance = distance.to(self.anchors.device)
            self._begin_afresh()
        self.graph = AnchorGraph(self.nearest.cpu().numpy(), self.distance.cpu().numpy())

    @torch.no_grad()
    def _begin_afresh(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | Norm):
                module.reset_parameters()
        self.decoder.bias.copy_(self.mean)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            In the first phase, with N = B:

            * the clean frames (N, T, F);
            * what is shown in their places, (N, T) as of `mask_frames`.

            In the second phase each clip has a partner, similar or dissimilar with equal chance.
            Then N = 2B with the partners last, and two more follow:

            * the similarities of clips and partners, (B,) in {-1, 1};
            * the nearest anchor of each clip, (N,).
        """
        pairs: tuple[Tensor, ...] = ()
        if self.graph is not None:
            similar = random.random(len(rows)) < 0.5
            rows = np.concatenate([rows, self.graph.partners(rows, similar, random)])
            similarity = torch.from_numpy(similar).float() * 2 - 1
            pairs = similarity, torch.from_numpy(self.graph.nearest[rows, 0])
        shown = mask_frames(len(rows), self.frames, random)
        features = store.clean_frames(store.train[rows], self.frames)
        return features, torch.from_numpy(shown), *pairs

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, shown, *pairs = batch
        if pairs:
            similarity, assigned = pairs
            pairs = [similarity, self.anchors[assigned]]
        return self.tasks(corrupt(features, shown), features, *pairs)

    def tasks(self, seen: Tensor, target: Tensor, *pairs: Tensor) -> dict[str, Tensor]:
        """The loss of each task and their weighted sum.

        Args:
            seen: (N, T, F) what the network sees of each clip.
            target: (N, T, F) what it is to reconstruct.
            pairs: none in the first phase. In the second the similarities (N / 2,) of the first
                clips with the last, and the anchor of each clip (N, W).
        """
        hidden = self._hidden(seen)
        codes = sign(self.hash(hidden))
        reconstruction = F.mse_loss(self.decoder(codes), target)
        neighbourhood = anchor = torch.zeros_like(reconstruction)
        if pairs:
            similarity, anchors = pairs
            code1, code2 = codes.mean(dim=1).chunk(2)
            neighbourhood = (similarity - (code1 * code2).mean(dim=1)).square().mean()
            anchor = 2 * F.mse_loss(hidden.mean(dim=1), anchors)  # the sum of both halves' means
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
        for name in ("nearest", "distance"):
            if prefix + name in state_dict:
                empty = torch.empty_like(state_dict[prefix + name], device=self.anchors.device)
                setattr(self, name, empty)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class BertBlock(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)): (B, T, W) -> (B, T, W).

    Dropout acts on the tokens, on the attention, inside the MLP, on both branches and at the end.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.norm1 = Norm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = Norm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, FFN * width),
            nn.GELU(approximate="tanh"),
            Dropout(dropout),
            nn.Linear(FFN * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.dropout(tokens)
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens)))
        tokens = tokens + self.dropout(self.mlp(self.norm2(tokens)))
        dropped: Tensor = self.dropout(tokens)
        return dropped

    def attention(self, tokens: Tensor) -> Tensor:
        """Self-attention of one head: (B, T, W) -> (B, T, W)."""
        scores = self.query(tokens) @ self.key(tokens).mT / tokens.shape[2] ** 0.5
        mixed: Tensor = self.out(self.dropout(scores.softmax(dim=2)) @ self.value(tokens))
        return mixed


class Norm(nn.Module):
    """BTH's layer norm: a · (x − mean) / (sd + 1e-6) + b, where sd divides by W − 1, not by W."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        return self.weight * centred / (x.std(dim=-1, keepdim=True) + 1e-6) + self.bias

"""AutoSSVH (CVPR 2025, arXiv 2504.03587): ConMH whose codes are drawn to prototypes of clusters.

It differs from ConMH (methods/conmh.py) in these ways:

* The decoder's positions are learned, and start at zero.
* The features that a view sees may suffer dropout. Those that are predicted do not.
* After `warmup_epochs` epochs, the codes of all training clips are clustered before each epoch, as
  often as `prototypes` has numbers. Each view's code is then contrasted with the centroids, of
  which its clip's own is the answer.

The paper also has a sampler, which learns to pick the frames that a view sees so that the loss is
large. The released training never uses it, and neither does `sampler: random`. `sampler: learned`
follows the authors' code as far as it goes:

* A frame's score is σ(w·(x + LN(MLP(x)))) of its token x. Gumbel noise and Gaussian noise of
  deviation 10 are added, and the sums standardised over the batch.
* The frames of the largest sums are seen. Backwards, the choice counts as a softmax of the sums at
  temperature 0.5, and the gradient to the scores is reversed.
* The decoder knows slots and no frames. The seen frames fill the first slots, and it predicts all.

What carries AutoSSVH's name follows the authors' code (EliSpectre/CVPR25-AutoSSVH, commit bf07c35).
What we do otherwise:

* k-means runs once from k-means++ until no label changes, where theirs takes the best of 5 random
  starts after 20 rounds.
* A concentration below 0.01 counts as 0.01, so that clusters of equal codes leave logits finite.
* The last epoch's weights are kept, where theirs are the best of all epochs on the test queries.
* The loss of the learned sampler was not released. Ours is the mean squared error over all slots,
  and as many frames are seen as by `sampler: random`.
"""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.losses.centroids import centroid_contrast, concentrations
from chain.losses.debiased import debiased_contrastive
from chain.methods.base import Weight
from chain.methods.conmh import ConMH, ConMHConfig
from chain.methods.training_clips import check_clusters, check_numbers, of_training_clips
from chain.models.dropout import Dropout
from chain.models.hash_layer import sign
from chain.models.kmeans import kmeans
from chain.views.store import FeatureStore
from chain.views.two_views import take

NOISE = 10.0  # standard deviation of the Gaussian noise on the scores
SOFTNESS = 0.5  # temperature of the softmax that stands for the choice of frames
LEAST = 0.01  # smallest concentration


class AutoSSVHConfig(ConMHConfig):
    """ConMH's parameters and those of the prototypes. `params.yaml` holds the published values."""

    sampler: Literal["random", "learned"]
    """How the frames that a view sees are chosen."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """The dropout on the features that a view sees."""
    prototypes: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    """K of each clustering. All have to be less than the number of training clips."""
    prototype_weight: Weight
    warmup_epochs: Annotated[int, Field(ge=0)]
    """How many epochs at the start go without prototypes."""

    @model_validator(mode="after")
    def _epochs_suffice(self) -> Self:
        if self.warmup_epochs >= self.training.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} leaves none of the "
                f"{self.training.epochs} training.epochs to the prototypes"
            )
        return self


class AutoSSVH(ConMH):
    """Masked autoencoder with a hash bottleneck and contrasted cluster prototypes."""

    Config: ClassVar[type[AutoSSVHConfig]] = AutoSSVHConfig

    config: AutoSSVHConfig

    def __init__(self, config: AutoSSVHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.project = nn.Sequential(Dropout(config.dropout), self.project)
        del self.decoder_places
        self.decoder_places = nn.Parameter(torch.zeros(config.frames, config.decoder.width))
        if config.sampler == "learned":
            self.scorer = FrameScorer(config.encoder.width)
        self.clusterings: list[Clustering] = []

    def fit(self, store: FeatureStore) -> None:
        """Raise InputError, before any training, if the clips are too few for the clusters."""
        check_clusters(max(self.config.prototypes), store, "methods.autossvh.prototypes")

    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Cluster the codes of the training clips, once the warm-up is over."""
        if epoch < self.config.warmup_epochs:
            return
        codes = F.normalize(of_training_clips(self, store, self.encode), dim=1)
        check_numbers(codes, "autossvh")
        self.clusterings = [Clustering(codes, clusters) for clusters in self.config.prototypes]

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """What a step sees of the B clips `rows`.

        Returns:
            * the clean frames (B, T, F);
            * a random permutation of the frames of each clip (B, T), or, for a learned sampler, the
              noise on the scores of both views (B, 2, T);
            * after the warm-up, for each clustering the clusters (2, B + R) that the two views are
              contrasted with: those of the clips and R others.
        """
        features, views = super().draw(store, rows, random)
        if self.config.sampler == "learned":
            shape = (len(rows), 2, self.frames)
            noise = random.gumbel(size=shape) + random.normal(scale=NOISE, size=shape)
            views = torch.from_numpy(noise).float()
        chosen = [
            torch.from_numpy(np.stack([clustering.draw(rows, random) for _ in range(2)]))
            for clustering in self.clusterings
        ]
        return features, views, *chosen

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, views, *chosen = batch
        code1, code2, reconstruction = self._views(features, views)
        config = self.config
        contrastive = debiased_contrastive(code1, code2, config.temperature, config.tau_plus)
        loss = reconstruction + config.contrastive_weight * contrastive
        parts = {"reconstruction": reconstruction, "contrastive": contrastive}
        if chosen:
            terms = [
                clustering.contrast(code, clusters)
                for clustering, pair in zip(self.clusterings, chosen, strict=True)
                for code, clusters in zip((code1, code2), pair, strict=True)
            ]
            parts["prototype"] = torch.stack(terms).mean()
            loss = loss + config.prototype_weight * parts["prototype"]
        return {"loss": loss, **parts}

    def _views(self, features: Tensor, permutation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.config.sampler == "random":
            return super()._views(features, permutation)
        (code1, error1), (code2, error2) = (
            self._sampled_view(features, noise) for noise in permutation.unbind(dim=1)
        )
        return code1, code2, error1 + error2

    def _sampled_view(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Mean code (B, b) of the frames that the sampler picks under `noise` (B, T), and error."""
        tokens = self.project(features) + self.places
        scores = reverse_gradient(self.scorer(tokens)) + noise  # (B, T)
        chance = ((scores - scores.mean()) / scores.std() / SOFTNESS).softmax(dim=1)
        order = chance.argsort(dim=1, descending=True)
        seen = self.frames - self.masked_frames
        visible, hidden = (part.sort(dim=1).values for part in (order[:, :seen], order[:, seen:]))
        chance = chance.gather(1, visible)[:, :, None]
        chosen = take(tokens, visible) * (1 + chance - chance.detach())
        codes = sign(self.hash(self.head(self.encoder(chosen))))
        masked = self.mask_token.expand(*hidden.shape, -1)
        slots = torch.cat([self.decoder_project(codes), masked], dim=1) + self.decoder_places
        target = take(features, torch.cat([visible, hidden], dim=1))
        return codes.mean(dim=1), F.mse_loss(self.reconstruct(self.decoder(slots)), target)


class FrameScorer(nn.Module):
    """A score in (0, 1) of each token: (B, T, W) -> (B, T)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.score(tokens + self.norm(self.mlp(tokens)))[..., 0].sigmoid()
        return scores


class Clustering:
    """Clusters of the training clips' codes (M, b) of length 1, and what they are contrasted by."""

    def __init__(self, codes: Tensor, clusters: int) -> None:
        self.labels, centroids = kmeans(codes, clusters)
        self.concentrations = concentrations(codes, self.labels, centroids).clamp(min=LEAST)
        self.centroids = F.normalize(centroids, dim=1)

    def draw(self, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        """The clusters (B + R,) of the clips `rows` (B,), and R others at random.

        R is B, or as many others as there are up to the last cluster that has a clip.
        """
        own = self.labels.numpy()[rows]
        others = np.setdiff1d(np.arange(int(self.labels.max()) + 1), own)
        count = min(len(own), len(others))
        return np.concatenate([own, random.choice(others, count, replace=False)])

    def contrast(self, codes: Tensor, clusters: Tensor) -> Tensor:
        """The loss of codes (B, b) against the clusters (B + R,) that `draw` gave."""
        centroids = self.centroids.to(codes)[clusters]
        return centroid_contrast(codes, centroids, self.concentrations.to(codes)[clusters])


def reverse_gradient(x: Tensor) -> Tensor:
    """x forwards, and the gradient times −1 backwards (arXiv 1409.7495)."""
    return 2 * x.detach() - x

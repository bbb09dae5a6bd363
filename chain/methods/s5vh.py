"""S5VH: ConMH with Mamba blocks and an alignment to cluster centres (AAAI 2025, arXiv 2412.14518).

Views, hash layer, positions, reconstruction and contrast are ConMH's (methods/conmh.py). It differs
in these ways:

* Encoder and decoder are stacks of bidirectional Mamba blocks (models/mamba.py). Their tokens stand
  in temporal order, and in the decoder the hidden frames follow the visible ones.
* Before training, k-means clusters the principal components of the clips' mean features. A view's
  code is then classified into these clusters, by its inner products with one centre for each.
* After `warmup_epochs` epochs the labels are refined before each epoch: y ← 0.99·y + 0.01·p, where
  p is what the codes of all frames say.

The paper fixes the centres: they are codes that are far apart where the clusters are not alike
(models/hash_centres.py, `centres: fixed`). The authors' code computes them but never uses them.
What it trains are the weights of a free linear classifier, and so does `centres: learned`.

The rest follows the authors' code (gimpong/AAAI25-S5VH, commit 4926cb7), also in these points:

* Both directions of a block share their weights but for the norms.
* p comes from codes without the hash layer's LayerNorm, and from a softmax without temperature.
* Xavier weights and biases of 0 also reach the Linears inside Mamba.

What we do otherwise:

* One clustering, by k-means++, gives labels and centres. Theirs has two, whose numbers differ.
* p comes from the weights before the epoch, not from those at the clip's last visit.
* The last epoch's weights are kept, where theirs are the best on the test queries.
"""

import math
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.decomposition import PCA
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.losses.debiased import debiased_contrastive
from chain.methods.base import Count, Method, MethodConfig, Positive, TrainingConfig, Weight
from chain.methods.training_clips import check_clusters, check_numbers, of_training_clips
from chain.models.hash_centres import hash_centres
from chain.models.hash_layer import HashLayer, sign
from chain.models.kmeans import kmeans
from chain.models.mamba import MambaConfig, MambaStack
from chain.models.positions import sinusoid
from chain.models.transformer import xavier_linears
from chain.views.store import FeatureStore
from chain.views.two_views import permutations, take, two_views

REFINEMENT = 0.01  # share of the labels that an epoch replaces


class S5VHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    encoder: MambaConfig
    decoder: MambaConfig
    mask_ratio: Annotated[float, Field(gt=0, lt=1)]
    """r, the share of a clip's frames that a view does not see."""
    contrastive_weight: Weight
    temperature: Positive
    tau_plus: Annotated[float, Field(ge=0, lt=1)]
    """Prior probability that a negative is of the anchor's class."""
    centres: Literal["fixed", "learned"]
    """What a code is classified by: hash centres, as in the paper, or weights, as released."""
    clusters: Annotated[int, Field(ge=2)]
    """K of k-means. It has to be less than the number of training clips."""
    components: Count
    """Principal components that are clustered, or as many as there are."""
    centre_weight: Weight
    centre_temperature: Positive
    warmup_epochs: Annotated[int, Field(ge=0)]
    """How many epochs at the start have the labels of k-means."""
    training: TrainingConfig

    @property
    def masked_frames(self) -> int:
        """How many frames a view does not see."""
        return int(self.mask_ratio * self.frames)

    @model_validator(mode="after")
    def _masks_some_frame_and_epochs_suffice(self) -> Self:
        if not self.masked_frames:
            raise ValueError(f"mask_ratio {self.mask_ratio} of {self.frames} frames masks none")
        if self.warmup_epochs >= self.training.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} leaves none of the "
                f"{self.training.epochs} training.epochs to refined labels"
            )
        return self


class S5VH(Method):
    """Masked autoencoder of Mamba blocks with a hash bottleneck and cluster centres."""

    Config = S5VHConfig

    config: S5VHConfig
    places: Tensor
    decoder_places: Tensor
    centres: Tensor
    labels: Tensor

    def __init__(self, config: S5VHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        width, decoder_width = config.encoder.width, config.decoder.width
        self.project = nn.Linear(feature_width, width)
        self.encoder = MambaStack(config.encoder)
        self.head = nn.Linear(width, width)
        self.hash = HashLayer(width, bits)
        self.decoder_project = nn.Linear(bits, decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(decoder_width))
        self.decoder = MambaStack(config.decoder)
        self.reconstruct = nn.Linear(decoder_width, feature_width)
        for part in (self.project, self.encoder, self.head, self.decoder, self.reconstruct):
            part.apply(xavier_linears)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.register_buffer("places", sinusoid(config.frames, width), persistent=False)
        self.register_buffer(
            "decoder_places", sinusoid(config.frames, decoder_width), persistent=False
        )
        centres = torch.empty(config.clusters, bits).uniform_(-1, 1) / math.sqrt(bits)
        if config.centres == "learned":
            self.centres = nn.Parameter(centres)
        else:
            self.register_buffer("centres", centres)
        self.register_buffer("labels", torch.zeros(0, config.clusters))

    def fit(self, store: FeatureStore) -> None:
        """Cluster the training clips, and find the hash centres if the method has fixed ones.

        InputError if the clips are too few for the clusters, or if there are no hash centres of
        this code length.
        """
        config = self.config
        check_clusters(config.clusters, store, "methods.s5vh.clusters")
        if config.centres == "fixed" and self.bits & (self.bits - 1):
            raise InputError(
                f"bits is {self.bits}, but s5vh has fixed centres for powers of two only; "
                "take one, or set methods.s5vh.centres to learned"
            )
        pooled = of_training_clips(self, store, lambda clips: clips.mean(dim=1)).numpy()
        components = PCA(min(config.components, *pooled.shape), svd_solver="covariance_eigh")
        labels, centres = kmeans(
            torch.from_numpy(components.fit_transform(pooled)), config.clusters
        )
        self.labels = F.one_hot(labels, config.clusters).to(self.labels)
        if config.centres == "fixed":
            semantic = F.normalize(centres.double(), dim=1).numpy()
            random = np.random.default_rng(int(torch.randint(2**62, ())))
            self.centres.copy_(torch.from_numpy(hash_centres(semantic, self.bits, random)))

    @torch.no_grad()
    def start_epoch(self, epoch: int, store: FeatureStore) -> None:
        """Refine the labels by what the network says, once it has trained after the warm-up."""
        if epoch <= self.config.warmup_epochs:
            return
        codes = of_training_clips(self, store, self._codes_without_norm)
        check_numbers(codes, "s5vh")
        said = (codes.to(self.labels) @ self.centres.T).softmax(dim=1)
        self.labels.lerp_(said, REFINEMENT)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Clean frames (B, T, F), a permutation of the frames of each clip (B, T), and `rows`."""
        features = store.clean_frames(store.train[rows], self.frames)
        return features, permutations(len(rows), self.frames, random), torch.from_numpy(rows)

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        features, permutation, rows = batch
        (code1, error1), (code2, error2) = (
            self._view(features, *view)
            for view in two_views(permutation, self.config.masked_frames)
        )
        config = self.config
        parts = {
            "reconstruction": error1 + error2,
            "contrastive": debiased_contrastive(code1, code2, config.temperature, config.tau_plus),
            "centre": self._alignment(torch.cat([code1, code2]), self.labels[rows].repeat(2, 1)),
        }
        loss = (
            parts["reconstruction"]
            + config.contrastive_weight * parts["contrastive"]
            + config.centre_weight * parts["centre"]
        )
        return {"loss": loss, **parts}

    def encode(self, features: Tensor) -> Tensor:
        return sign(self.hash(self._hidden(features, self.places))).mean(dim=1)

    def _hidden(self, features: Tensor, places: Tensor) -> Tensor:
        """Hidden states (B, V, W) of frames (B, V, F) in temporal order, at places (V, W)."""
        states: Tensor = self.head(self.encoder(self.project(features) + places))
        return states

    def _codes_without_norm(self, features: Tensor) -> Tensor:
        """Mean codes (B, b) of all frames, whose signs are taken before the LayerNorm."""
        return sign(self.hash.linear(self._hidden(features, self.places))).mean(dim=1)

    def _alignment(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of codes (N, b) against labels (N, K), each with a sum of 1."""
        logits = codes @ self.centres.T / (self.bits * self.config.centre_temperature)
        return F.cross_entropy(logits, labels)

    def _view(self, features: Tensor, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Mean code (B, b) of the visible frames, and the error of the hidden ones."""
        codes = sign(self.hash(self._hidden(take(features, visible), self.places[visible])))
        seen = self.decoder_project(codes) + self.decoder_places[visible]
        masked = self.mask_token + self.decoder_places[hidden]
        decoded = self.decoder(torch.cat([seen, masked], dim=1))[:, visible.shape[1] :]
        error = F.mse_loss(self.reconstruct(decoded), take(features, hidden))
        return codes.mean(dim=1), error

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Give the labels their length, which is that of a training set unknown to a new model."""
        name = prefix + "labels"
        if name in state_dict:
            self.labels = torch.empty_like(state_dict[name], device=self.places.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)

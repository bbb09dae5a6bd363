"""ConMH: Contrastive Masked Autoencoders for Self-Supervised Video Hashing (AAAI 2023).

The frames of a clip are permuted at random, and the first and the last of them make two views. Each
view passes an asymmetric masked autoencoder that predicts the frames which the view does not see.
Its bottleneck is a binary code per frame, and the mean codes of the two views are contrasted with a
debiased loss. All this, and the initial weights, follow the released code. Two things differ on
purpose:

* Training lasts as many epochs as are configured. The released code trains for one more, since it
  counts from 0 to that number.
* A mean code of 0 has the sign +1, because a code has two values. The released code has 0 there.
"""

from typing import Annotated, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.losses.debiased import debiased_contrastive
from chain.methods.base import Method, MethodConfig, Positive, TrainingConfig, Weight
from chain.models.hash_layer import HashLayer, sign
from chain.models.positions import sinusoid
from chain.models.transformer import Transformer, TransformerConfig, xavier_linears
from chain.views.store import FeatureStore
from chain.views.two_views import permutations, take


class ConMHConfig(MethodConfig):
    """Sizes and loss weights. `params.yaml` holds the published values."""

    encoder: TransformerConfig
    decoder: TransformerConfig
    mask_ratio: Annotated[float, Field(gt=0, lt=1)]
    """r, the share of a clip's frames that a view does not see."""
    contrastive_weight: Weight
    """a in L = MSE(view 1) + MSE(view 2) + a · DCL."""
    temperature: Positive
    tau_plus: Annotated[float, Field(ge=0, lt=1)]
    """Prior probability that a negative is of the anchor's class."""
    training: TrainingConfig

    @property
    def masked_frames(self) -> int:
        """How many frames a view does not see: int(r·T), as in the released code."""
        return int(self.mask_ratio * self.frames)

    @model_validator(mode="after")
    def _masks_some_frame(self) -> Self:
        if not self.masked_frames:
            raise ValueError(f"mask_ratio {self.mask_ratio} of {self.frames} frames masks none")
        return self


class ConMH(Method):
    """Masked autoencoder over frame features with a hash bottleneck."""

    Config: ClassVar[type[ConMHConfig]] = ConMHConfig
    Encoder: ClassVar[type[nn.Module]] = Transformer

    config: ConMHConfig
    places: Tensor
    decoder_places: Tensor

    def __init__(self, config: ConMHConfig, feature_width: int, bits: int) -> None:
        super().__init__(config, feature_width, bits)
        self.masked_frames = config.masked_frames
        width, decoder_width = config.encoder.width, config.decoder.width
        self.project: nn.Module = nn.Linear(feature_width, width)
        self.register_buffer("places", sinusoid(config.frames, width), persistent=False)
        self.encoder = self.Encoder(config.encoder)
        self.head = nn.Linear(width, width)
        self.hash = HashLayer(width, bits)
        self.decoder_project = nn.Linear(bits, decoder_width, bias=False)
        self.register_buffer(
            "decoder_places", sinusoid(config.frames, decoder_width), persistent=False
        )
        self.mask_token = nn.Parameter(torch.zeros(decoder_width))
        self.decoder = Transformer(config.decoder)
        self.reconstruct = nn.Linear(decoder_width, feature_width)
        for part in (self.project, self.encoder, self.head, self.decoder, self.reconstruct):
            part.apply(xavier_linears)  # the others keep PyTorch's default, as in the released code
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def draw(
        self, store: FeatureStore, rows: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Clean frames (B, T, F), and a random permutation of the frames of each clip (B, T)."""
        features = store.clean_frames(store.train[rows], self.frames)
        return features, permutations(len(rows), self.frames, random)

    def losses(self, *batch: Tensor) -> dict[str, Tensor]:
        code1, code2, reconstruction = self._views(*batch)
        contrastive = debiased_contrastive(
            code1, code2, self.config.temperature, self.config.tau_plus
        )
        loss = reconstruction + self.config.contrastive_weight * contrastive
        return {"loss": loss, "reconstruction": reconstruction, "contrastive": contrastive}

    def encode(self, features: Tensor) -> Tensor:
        # Contiguous as in training: the layout of the frames decides how the first layer rounds.
        return self._frame_codes(features.contiguous(), self.places).mean(dim=1)

    def _frame_codes(self, features: Tensor, places: Tensor) -> Tensor:
        """Codes (B, V, b) in {-1, +1} of frames (B, V, F) at places (V, W) or (B, V, W)."""
        return sign(self.hash(self.head(self.encoder(self.project(features) + places))))

    def _views(self, features: Tensor, permutation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean codes (B, b) of both views of features (B, T, F), and the sum of both errors."""
        visible = self.frames - self.masked_frames
        code1, error1 = self._view(features, permutation[:, :visible], permutation[:, visible:])
        code2, error2 = self._view(features, permutation[:, -visible:], permutation[:, :-visible])
        return code1, code2, error1 + error2

    def _view(self, features: Tensor, visible: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Mean code (B, b) of the visible frames, and the error of the masked ones."""
        codes = self._frame_codes(take(features, visible), self.places[visible])
        seen = self.decoder_project(codes) + self.decoder_places[visible]
        hidden = self.mask_token + self.decoder_places[masked]
        decoded = self.decoder(torch.cat([seen, hidden], dim=1))[:, visible.shape[1] :]
        predicted = self.reconstruct(decoded)
        return codes.mean(dim=1), F.mse_loss(predicted, take(features, masked))

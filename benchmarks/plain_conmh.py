"""A training step of ConMH (AAAI 2023) as one would write it down, apart from the package.

The rival of `benchmarks.training`: attention as two products and a softmax, losses as their
formulas, modules in the order of the package's own, whose weights a test copies to compare.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEMPERATURE, TAU_PLUS = 0.5, 0.1


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * heads * (width // heads))
        self.out = nn.Linear(heads * (width // heads), width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        parts = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, -1).transpose(1, 3)
        query, key, value = parts.unbind(2)  # (B, heads, T, head width) each
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, -1)
        x = x + self.out(mixed)
        after: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return after


class PlainConMH(nn.Module):
    """Encoder, hash layer and decoder at the published sizes, unless told otherwise."""

    places: Tensor
    decoder_places: Tensor

    def __init__(
        self, feature_width: int, frames: int, bits: int, depth: int = 12, masked: int = 18
    ) -> None:
        super().__init__()
        self.visible = frames - masked
        self.project = nn.Linear(feature_width, 256)
        self.encoder = nn.Sequential(
            *(Block(256, 6) for _ in range(depth)), nn.LayerNorm(256, eps=1e-6)
        )
        self.head = nn.Linear(256, 256)
        self.hash = nn.Sequential(nn.Linear(256, bits), nn.LayerNorm(bits))
        self.decoder_project = nn.Linear(bits, 192, bias=False)
        self.mask_token = nn.Parameter(0.02 * torch.randn(192))
        self.decoder = nn.Sequential(*(Block(192, 3) for _ in range(2)), nn.LayerNorm(192, 1e-6))
        self.reconstruct = nn.Linear(192, feature_width)
        self.register_buffer("places", positions(frames, 256), persistent=False)
        self.register_buffer("decoder_places", positions(frames, 192), persistent=False)

    def forward(self, features: Tensor, order: Tensor) -> Tensor:
        """The loss of features (B, T, F), whose frames `order` (B, T) permutes."""
        code1, error1 = self.view(features, order[:, : self.visible], order[:, self.visible :])
        code2, error2 = self.view(features, order[:, -self.visible :], order[:, : -self.visible])
        return error1 + error2 + contrast(code1, code2)

    def view(self, features: Tensor, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        clip = torch.arange(len(features))[:, None]
        tokens = self.encoder(self.project(features[clip, seen]) + self.places[seen])
        x = ((self.hash(self.head(tokens)) + 1) / 2).clamp(0, 1)
        codes = 2 * (x + (x.round() - x).detach()) - 1
        shown = self.decoder_project(codes) + self.decoder_places[seen]
        masked = self.mask_token + self.decoder_places[hidden]
        decoded = self.decoder(torch.cat([shown, masked], dim=1))[:, seen.shape[1] :]
        error = F.mse_loss(self.reconstruct(decoded), features[clip, hidden])
        return codes.mean(dim=1), error


def contrast(code1: Tensor, code2: Tensor) -> Tensor:
    """The debiased contrastive loss (arXiv 2007.00224)."""
    codes = F.normalize(torch.cat([code1, code2]), dim=1)
    similar = (codes @ codes.T / TEMPERATURE).exp()
    count = len(codes)
    own = torch.eye(count, dtype=torch.bool)
    partner = own.roll(count // 2, dims=1)
    pos = similar[partner]
    others = similar.masked_fill(own | partner, 0).sum(dim=1)
    negatives = count - 2
    ng = (others - TAU_PLUS * negatives * pos) / (1 - TAU_PLUS)
    ng = ng.clamp(min=negatives * math.exp(-1 / TEMPERATURE))
    return -(pos / (pos + ng)).log().mean()


def positions(length: int, width: int) -> Tensor:
    """Fixed sines and cosines (arXiv 1706.03762)."""
    rate = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1).float()

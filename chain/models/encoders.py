"""The three temporal encoders that CHAIN compares: transformer, LSTM and MC-MLP."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from chain.models.mc_mlp import MixerBlock
from chain.models.positions import sinusoid
from chain.models.transformer import Transformer, TransformerConfig, xavier_linears
from chain.params import Parameters


class EncoderConfig(Parameters):
    """A temporal encoder and its size."""

    kind: Literal["transformer", "lstm", "mc_mlp"]
    width: Annotated[int, Field(ge=8)]
    depth: Annotated[int, Field(ge=1)]
    """Blocks, LSTM layers or mixer blocks."""
    heads: Annotated[int, Field(ge=1)]
    """Attention heads; only the transformer has them."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """On the CNN features, before the projection."""


class TemporalEncoder(nn.Module):
    """Frame features (B, T, F) -> frame representations (B, T, W) that have seen the whole clip.

    `positions` says at which of the T places each frame stands; without them the transformer can
    not tell the order of the frames. LSTM and MC-MLP know the order by construction.
    """

    def __init__(self, config: EncoderConfig, feature_width: int, frames: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(feature_width, config.width)
        self.mix: nn.Module
        if config.kind == "transformer":
            size = TransformerConfig(width=config.width, depth=config.depth, heads=config.heads)
            self.mix = Transformer(size)
            self.register_buffer("places", sinusoid(frames, config.width), persistent=False)
        elif config.kind == "lstm":
            self.mix = LSTM(config.width, config.depth)
        else:
            blocks = [MixerBlock(frames, config.width) for _ in range(config.depth)]
            self.mix = nn.Sequential(*blocks, nn.LayerNorm(config.width))
        self.apply(xavier_linears)

    def forward(self, features: Tensor, ordered: bool = True) -> Tensor:
        """`ordered=False`: the frames come shuffled, and no position is added to them."""
        tokens = self.project(self.dropout(features))  # (B, T, W)
        if ordered and hasattr(self, "places"):
            tokens = tokens + self.places
        mixed: Tensor = self.mix(tokens)
        return mixed


class LSTM(nn.Module):
    """Bidirectional LSTM with half the width each way: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(width, width // 2, depth, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(2 * (width // 2))

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.layers(tokens)
        return self.norm(hidden)

"""The three temporal encoders that CHAIN compares: transformer, LSTM and MC-MLP."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from chain.models.mc_mlp import MixerBlock
from chain.models.positions import sinusoid
from chain.models.transformer import Transformer, TransformerConfig, xavier_linears


class EncoderConfig(TransformerConfig):
    """A temporal encoder and its size. Only the transformer has `heads`."""

    kind: Literal["transformer", "lstm", "mc_mlp"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """The dropout on the CNN features, before the projection."""


class TemporalEncoder(nn.Module):
    """Frame features (B, T, F) -> frame representations (B, T, W) that have seen the whole clip.

    The transformer adds positions that say at which of the T places a frame stands. Without them it
    can not tell the order of the frames. LSTM and MC-MLP know the order by construction.
    """

    places: Tensor | None

    def __init__(self, config: EncoderConfig, feature_width: int, frames: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(feature_width, config.width)
        self.mix: nn.Module
        places = None
        if config.kind == "transformer":
            self.mix = Transformer(config)
            places = sinusoid(frames, config.width)
        elif config.kind == "lstm":
            self.mix = LSTM(config.width, config.depth)
        else:
            blocks = [MixerBlock(frames, config.width) for _ in range(config.depth)]
            self.mix = nn.Sequential(*blocks, nn.LayerNorm(config.width))
        self.register_buffer("places", places, persistent=False)
        self.apply(xavier_linears)

    def forward(self, features: Tensor, ordered: bool = True) -> Tensor:
        """Encode the frames. With `ordered=False` no position is added, as for shuffled frames."""
        tokens = self.project(self.dropout(features))  # (B, T, W)
        if ordered and self.places is not None:
            tokens = tokens + self.places
        mixed: Tensor = self.mix(tokens)
        return mixed


class LSTM(nn.Module):
    """Bidirectional LSTM with half the width each way: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(width, width // 2, depth, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.layers(tokens)
        normalised: Tensor = self.norm(hidden)
        return normalised

"""The three temporal encoders that CHAIN compares: transformer, LSTM and MC-MLP."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from chain.models.dropout import Dropout
from chain.models.mc_mlp import MCMLP, check_width
from chain.models.positions import sinusoid
from chain.models.transformer import Transformer, TransformerConfig, xavier_linears


class EncoderConfig(TransformerConfig):
    """A temporal encoder and its size. Only the transformer has `heads`."""

    kind: Literal["transformer", "lstm", "mc_mlp"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """The dropout on the CNN features, before the projection."""

    @model_validator(mode="after")
    def _mixer_has_groups(self) -> Self:
        if self.kind == "mc_mlp":
            check_width(self.width)
        return self


class TemporalEncoder(nn.Module):
    """Frame features (B, T, F) -> frame representations (B, T, W) that have seen the whole clip.

    The transformer adds positions that say at which of the T places a frame stands. Without them it
    can not tell the order of the frames. LSTM and MC-MLP know the order by construction.
    """

    places: Tensor | None

    def __init__(self, config: EncoderConfig, feature_width: int, frames: int) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(feature_width, config.width)
        self.mix: nn.Module
        places = None
        if config.kind == "transformer":
            self.mix = Transformer(config)
            places = sinusoid(frames, config.width)
        elif config.kind == "lstm":
            self.mix = LSTM(config.width, config.depth)
        else:
            self.mix = MCMLP(frames, config.width, config.depth)
        self.register_buffer("places", places, persistent=False)
        xavier_linears(self.project)
        if config.kind == "transformer":  # the others initialise themselves
            self.mix.apply(xavier_linears)

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

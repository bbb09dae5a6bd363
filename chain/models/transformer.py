"""Pre-norm transformer blocks (arXiv 2010.11929), as ConMH and CHAIN stack them."""

from typing import Annotated, Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from chain.core.params import Parameters


class TransformerConfig(Parameters):
    """Size of a stack of blocks."""

    width: Annotated[int, Field(ge=8, multiple_of=2)]
    depth: Annotated[int, Field(ge=1)]
    """Number of blocks."""
    heads: Annotated[int, Field(ge=1)]
    """A head has width // heads dimensions, so all of them may have fewer than `width`."""

    @model_validator(mode="after")
    def _heads_have_width(self) -> Self:
        if self.heads > self.width:
            raise ValueError(f"{self.heads} heads don't fit in width {self.width}")
        return self


class Attention(nn.Module):
    """Multi-head self-attention whose inner width is heads × (width // heads).

    `bias` says whether the projections to query, key and value have one.
    """

    def __init__(self, width: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (width // heads)
        self.qkv = nn.Linear(width, 3 * inner, bias=bias)
        self.out = nn.Linear(inner, width)

    def forward(
        self, tokens: Tensor, queries: int | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """What the first `queries` tokens read, or all: (B, T, W) -> (B, queries, W).

        `bias` (T,) is added to the scores of the tokens that are read.
        """
        batch, length, _ = tokens.shape
        qkv = self.qkv(tokens).view(batch, length, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, T, head width) each
        query = query[:, :, :queries]
        mask = None if bias is None else bias.to(query.dtype).expand(query.shape[2], -1)
        mixed = F.scaled_dot_product_attention(query, key, value, mask)
        projected: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (B, T, W)
        return projected


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)), whose hidden layer is four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens


class Transformer(nn.Module):
    """Blocks and a final LayerNorm: tokens (B, T, W) -> (B, T, W)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(config.width, config.heads) for _ in range(config.depth))
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.recompute = False

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            if self.recompute and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        normalised: Tensor = self.norm(tokens)
        return normalised


def recompute_blocks(model: nn.Module) -> None:
    """Have transformers keep only the inputs of their blocks, and compute the rest twice.

    The gradients are the same. They take less memory and more time (arXiv 1604.06174).
    """
    for module in model.modules():
        if isinstance(module, Transformer):
            module.recompute = True


def xavier_linears(module: nn.Module) -> None:
    """Give a linear layer Xavier-uniform weights and a bias of zeros, for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""Mamba (Gu & Dao, arXiv 2312.00752) in both directions, as S5VH has it, in plain PyTorch.

Each channel has a state of N numbers, each of which decays at a rate of its own. Step sizes Δ, B
and C come from the tokens:

    h_t = exp(−Δ_t·rate) · h_{t−1} + Δ_t·x_t·B_t        y_t = ⟨h_t, C_t⟩
"""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from chain.core.params import Parameters

STATE = 16  # N
TAPS = 4  # places that the convolution sees: the present one and those before it


class MambaConfig(Parameters):
    """Size of a stack of blocks."""

    width: Annotated[int, Field(ge=8, multiple_of=2)]
    depth: Annotated[int, Field(ge=1)]
    """Number of blocks."""


def selective_scan(
    values: Tensor, step: Tensor, rates: Tensor, keys: Tensor, queries: Tensor
) -> Tensor:
    """The recurrence, place by place for all clips and channels at once.

    With a few dozen frames this is faster than an associative scan, which does log T times the
    work. Only the state of one place is held at a time, unless gradients need them.

    Args:
        values: (B, T, D) x of each channel.
        step: (B, T, D) Δ, above 0.
        rates: (D, N) above 0.
        keys: (B, T, N) the paper's B, which all channels share.
        queries: (B, T, N) the paper's C, which all channels share.

    Returns:
        (B, T, D) y.
    """
    state = values.new_zeros(len(values), *rates.shape)
    driven, outputs = step * values, []
    for place in range(values.shape[1]):
        decay = (-step[:, place, :, None] * rates).exp()  # (B, D, N)
        state = decay * state + driven[:, place, :, None] * keys[:, place, None]
        outputs.append((state @ queries[:, place, :, None])[..., 0])
    return torch.stack(outputs, dim=1)


class Mamba(nn.Module):
    """The gated layer around the recurrence, which reads forwards: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner, rank = 2 * width, math.ceil(width / 16)
        self.sizes = [rank, STATE, STATE]
        self.expand = nn.Linear(width, 2 * inner, bias=False)
        self.convolution = nn.Conv1d(inner, inner, TAPS, padding=TAPS - 1, groups=inner)
        self.read = nn.Linear(inner, sum(self.sizes), bias=False)
        self.step = nn.Linear(rank, inner)
        self.log_rate = nn.Parameter(torch.arange(1.0, STATE + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        values, gate = self.expand(tokens).chunk(2, dim=2)  # (B, T, 2W) each
        values = F.silu(self.convolution(values.mT)[:, :, :length].mT)
        rank, keys, queries = self.read(values).split(self.sizes, dim=2)
        step = F.softplus(self.step(rank))
        mixed = selective_scan(values, step, self.log_rate.exp(), keys, queries)
        projected: Tensor = self.out((mixed + self.skip * values) * F.silu(gate))
        return projected


class BothWays(nn.Module):
    """x + mamba(norm1(x)) + the same of x in reverse, with a norm of its own: (B, T, W) -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.mamba = Mamba(width)

    def forward(self, tokens: Tensor) -> Tensor:
        backwards = self.mamba(self.norm2(tokens.flip(1))).flip(1)
        block: Tensor = tokens + self.mamba(self.norm1(tokens)) + backwards
        return block


class MambaStack(nn.Module):
    """Blocks and a final LayerNorm: tokens in temporal order (B, T, W) -> (B, T, W)."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(BothWays(config.width) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        normalised: Tensor = self.norm(self.blocks(tokens))
        return normalised

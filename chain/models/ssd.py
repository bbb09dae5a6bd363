"""Structured state space duality (Mamba-2; Dao & Gu, ICML 2024, arXiv 2405.21060), as WSCH has it.

A head's state is a matrix that decays by a scalar at each place and takes in one outer product:

    h_t = a_t · h_{t−1} + x_t B_tᵀ        y_t = h_t C_t

This equals the paper's dual, quadratic form y = (L ∘ C Bᵀ) X, where L_ij = a_i · … · a_{j+1} for
j ≤ i and 0 otherwise. With a few dozen frames that form is the faster one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chain.models.transformer import Attention

STATE = 64  # N, the width of B and C: the smaller of the two that the paper uses
HEAD = 128  # P, the width of a head
TAPS = 4  # places that the convolution sees: the present one and those before it


def ssd(values: Tensor, log_decay: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
    """The dual form, in which each place reads itself and the places before it.

    Args:
        values: (B, T, H, P) X of each head.
        log_decay: (B, T, H) log a, at most 0. That of the first place has no effect.
        keys: (B, T, N) the paper's B, which all heads share.
        queries: (B, T, N) the paper's C, which all heads share.

    Returns:
        (B, T, H, P) Y.
    """
    length = values.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=values.device).tril()
    # `cumsum` would not be deterministic on CUDA.
    total = (causal[:, :, None] * log_decay[:, None]).sum(dim=2)  # (B, T, H)
    span = total[:, :, None] - total[:, None]  # (B, i, j, H)
    decay = span.masked_fill(~causal[:, :, None], -torch.inf).exp()
    return torch.einsum("bijh,bij,bjhp->bihp", decay, queries @ keys.mT, values)


def heads_of(width: int) -> int:
    """How many heads an `SSDBlock` has: one for each 128 of its 2·width channels, at least one."""
    return max(1, 2 * width // HEAD)


class SSDBlock(nn.Module):
    """x + SSD(RMSNorm(x)), which reads forwards only: tokens (B, T, W) -> (B, T, W).

    The normalised tokens are expanded to values and gate, each of twice the width. The values pass
    a causal convolution of neighbouring pairs of channels and the SSD layer. Step sizes Δ, B and C
    come from what the convolution gives, and a = exp(−Δ·rate). There is a skip around the state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner, heads = 2 * width, heads_of(width)
        self.sizes = [heads, STATE, STATE]
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.expand = nn.Linear(width, 2 * inner, bias=False)
        self.convolution = nn.Conv1d(
            inner, inner, TAPS, padding=TAPS - 1, groups=inner // 2, bias=False
        )
        self.read = nn.Linear(inner, sum(self.sizes), bias=False)
        self.step_bias = nn.Parameter(torch.zeros(heads))
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.skip = nn.Parameter(torch.ones(heads))
        self.out = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        values, gate = self.expand(self.norm(tokens)).chunk(2, dim=2)  # (B, T, 2W) each
        values = self._convolved(values)
        step, keys, queries = self.read(values).split(self.sizes, dim=2)
        step = F.softplus(step + self.step_bias)  # (B, T, H)
        values = values.view(*values.shape[:2], len(self.skip), -1)  # (B, T, H, P)
        log_decay = -step * self.log_rate.exp()
        mixed = ssd(values * step[..., None], log_decay, keys, queries)
        mixed = mixed + self.skip[:, None] * values
        block: Tensor = tokens + self.out(mixed.flatten(2) * F.silu(gate))
        return block

    def _convolved(self, values: Tensor) -> Tensor:
        """The convolution (B, T, 2W) -> (B, T, 2W), a product for each tap and member of a pair.

        With two channels a group, this takes a tenth of the time of the layer's own `forward`.
        """
        batch, length, _ = values.shape
        around = F.pad(values, (0, 0, TAPS - 1, 0))
        pairs = around.view(batch, length + TAPS - 1, -1, 2)
        other = pairs.flip(3).flatten(2)  # the pair's other channel
        weight = self.convolution.weight.view(-1, 2, 2, TAPS)
        own = weight.diagonal(dim1=1, dim2=2).permute(1, 0, 2)  # (taps, W, 2)
        across = weight.flip(2).diagonal(dim1=1, dim2=2).permute(1, 0, 2)
        total = torch.zeros_like(values)
        for tap, (mine, its) in enumerate(zip(own.flatten(1), across.flatten(1), strict=True)):
            places = slice(tap, tap + length)
            total = total + around[:, places] * mine + other[:, places] * its
        return total


class AttentionBlock(nn.Module):
    """x + attention(LayerNorm(x)), with no bias in query, key and value: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        block: Tensor = tokens + self.attention(self.norm(tokens))
        return block

    def of_first(self, tokens: Tensor, times: int) -> Tensor:
        """What `forward` gives for the first token if it stands there `times` times: (B, 1, W)."""
        count = torch.ones(tokens.shape[1], device=tokens.device)
        count[0] = times
        first: Tensor = self.attention(self.norm(tokens), queries=1, bias=count.log())
        return tokens[:, :1] + first

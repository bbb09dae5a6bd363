"""Structured state space duality (Mamba-2; Dao & Gu, ICML 2024, arXiv 2405.21060), bidirectional.

A head's state is a matrix that decays by a scalar at each place and takes in one outer product:

    h_t = a_t · h_{t−1} + x_t B_tᵀ        y_t = h_t C_t

This equals the paper's dual, quadratic form y = (L ∘ C Bᵀ) X, where L_ij = a_i · … · a_{j+1} for
j ≤ i and 0 otherwise. With a few dozen frames that form is the faster one.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chain.models.transformer import Attention, TransformerConfig

STATE = 64  # N, the width of B and C: the smaller of the two that the paper uses


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


class SSD(nn.Module):
    """Mamba-2's layer, read forwards and backwards and summed: tokens (B, T, W) -> (B, T, W).

    From the paper:

    * The step sizes Δ come from the input, a = exp(−Δ·rate), and x is scaled by Δ.
    * There is a skip around the state and a gated RMSNorm.
    * Δ and the rates begin in the paper's ranges.

    Ours:

    * No convolution comes before it, since both directions are read.
    * The width is not expanded.
    * Both directions share their weights.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * (width // heads)
        self.sizes = [inner, inner, STATE, STATE, heads]
        self.project = nn.Linear(width, sum(self.sizes))
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        step = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
        self.step_bias = nn.Parameter(step.expm1().log())  # softplus of it is the step
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = nn.RMSNorm(inner, eps=1e-6)
        self.out = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, values, keys, queries, step = self.project(tokens).split(self.sizes, dim=2)
        values = values.unflatten(2, (len(self.skip), -1))  # (B, T, H, P)
        step = F.softplus(step + self.step_bias)  # (B, T, H)
        inputs = values * step[..., None], -step * self.log_rate.exp(), keys, queries
        mixed = ssd(*inputs) + ssd(*(each.flip(1) for each in inputs)).flip(1)
        mixed = mixed + self.skip[:, None] * values
        projected: Tensor = self.out(self.norm(mixed.flatten(2) * F.silu(gate)))
        return projected


class SSDAttention(nn.Module):
    """`depth` pairs of an SSD layer and an attention: (B, T, W) in temporal order -> (B, T, W).

    Each layer reads normalised tokens and is added to them. A LayerNorm comes last.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(config.depth):
            layers += [SSD(config.width, config.heads), Attention(config.width, config.heads)]
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width, eps=1e-6) for _ in layers)
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        for norm, layer in zip(self.norms, self.layers, strict=True):
            tokens = tokens + layer(norm(tokens))
        normalised: Tensor = self.norm(tokens)
        return normalised

"""MC-MLP, the mixer of MCMSH (Hao et al., ACM MM 2022): token and channel mixing with self-gates.

A self-gate works on x (B, n, c), whose places n it mixes: u = fc1(x), then fc2(u · g(u)). Its gate
g sees the channels c of u through a bottleneck. There are three kinds, and their results are added:

* LRD, the long range, sees the average of all places.
* MRD, the middle range, pools the places to a third and convolves three neighbours.
* SRD, the short range, convolves three neighbours without pooling.

There is no layer normalisation. The gates have batch normalisation, which looks at all clips of a
batch in training. MCMSH makes several passes a step, each with statistics of its own.

Inside, tensors are (n, B, P, c): places, clips of a pass, passes, channels. Then a layer that mixes
the places is one matrix product for all clips, neighbours lie next to each other, and the channels
of all passes are normalised at once. On a CPU this takes two thirds of the time that the layout
(B, n, c) takes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chain.models.dropout import Dropout

DROPOUT = 0.5
REDUCTION = 16  # channels of a bottleneck: width // 16, each a group of its own
TOKEN_REDUCTION = 4  # of the token mixer, whose channels are the frames and are not grouped


class MCMLP(nn.Module):
    """ReLU, mixer blocks and a last set of self-gates: tokens (B, T, W) -> (B, T, W).

    The tokens of P passes are (B, P, T, W), and so is the result. MCMSH has one block. ValueError
    if the width is no multiple of its number of groups.
    """

    def __init__(self, frames: int, width: int, depth: int = 1) -> None:
        super().__init__()
        check_width(width)
        self.blocks = nn.Sequential(*(MixerBlock(frames, width) for _ in range(depth)))
        self.gates = Gates(frames, width, max(1, width // REDUCTION), grouped=True)

    def forward(self, tokens: Tensor) -> Tensor:
        x = tokens.relu().reshape(len(tokens), -1, *tokens.shape[-2:]).permute(2, 0, 1, 3)
        mixed: Tensor = self.gates(self.blocks(x.contiguous()))  # (T, B, P, W)
        return mixed.permute(1, 2, 0, 3).reshape(tokens.shape)


def check_width(width: int) -> None:
    """ValueError unless the channels fall into `width // 16` groups of the same size."""
    groups = max(1, width // REDUCTION)
    if width % groups:
        raise ValueError(f"width {width} does not make {groups} groups; take a multiple of 16")


class MixerBlock(nn.Module):
    """Token mixing over T places, then channel mixing over W: (T, B, P, W) -> the same."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.tokens = _mlp(frames, Mixing)
        self.token_gates = Gates(width, frames, max(1, frames // TOKEN_REDUCTION), grouped=False)
        self.channels = _mlp(width, nn.Linear)
        self.channel_gates = Gates(frames, width, max(1, width // REDUCTION), grouped=True)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.token_gates(self.tokens(x).transpose(0, 3).contiguous())  # (W, B, P, T)
        x = x + mixed.transpose(0, 3)
        x = x + self.channel_gates(self.channels(x))
        return x


class Gates(nn.Module):
    """The sum of a long, a middle and a short self-gate: x (n, B, P, c) -> (n, B, P, c).

    Args:
        places: n.
        channels: c.
        inner: channels of the bottleneck.
        grouped: whether each channel of the bottleneck sees a group of channels of its own.
    """

    def __init__(self, places: int, channels: int, inner: int, grouped: bool) -> None:
        super().__init__()
        groups = inner if grouped else 1
        parts = max(1, places // 3)
        self.long = SelfGate(places, LongRange(channels, inner))
        self.middle = SelfGate(
            places,
            nn.Sequential(
                Pool(places, parts), _convolutions(channels, inner, groups), Pool(parts, places)
            ),
        )
        self.short = SelfGate(places, _convolutions(channels, inner, groups))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.long(x) + self.middle(x) + self.short(x)
        return total


class SelfGate(nn.Module):
    """fc2(u · g(u)) with u = fc1(x), where both layers mix the places: (n, B, P, c) -> the same."""

    def __init__(self, places: int, gate: nn.Module) -> None:
        super().__init__()
        self.fc1 = Mixing(places, places)
        self.gate = gate
        self.fc2 = Mixing(places, places)

    def forward(self, x: Tensor) -> Tensor:
        u = self.fc1(x)
        gated: Tensor = self.fc2(u * self.gate(u))
        return gated


class LongRange(nn.Module):
    """One gate for all places of a channel: u (n, B, P, c) -> (B, P, c)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        squeeze = nn.Linear(channels, inner, bias=False)
        excite = nn.Linear(inner, channels, bias=False)
        for layer in (squeeze, excite):
            nn.init.normal_(layer.weight, std=0.001)
        self.bottleneck = _bottleneck(squeeze, excite)

    def forward(self, u: Tensor) -> Tensor:
        gate: Tensor = self.bottleneck(u.mean(dim=0))
        return gate


class Pool(nn.Module):
    """Average pooling of n places to m: (n, B, P, c) -> (m, B, P, c).

    Place i of m is the mean of places floor(i·n/m) to ceil((i+1)·n/m) of n. That is
    `nn.AdaptiveAvgPool1d`, whose gradient is not deterministic on CUDA.
    """

    average: Tensor

    def __init__(self, places: int, parts: int) -> None:
        super().__init__()
        average = torch.zeros(parts, places)
        for part in range(parts):
            start, end = part * places // parts, -(-(part + 1) * places // parts)
            average[part, start:end] = 1 / (end - start)
        self.register_buffer("average", average, persistent=False)

    def forward(self, u: Tensor) -> Tensor:
        return _mix(self.average, u, u.new_zeros(len(self.average)))


class Neighbours(nn.Conv1d):
    """A convolution of three places by three matrix products: (n, B, P, c) -> (n, B, P, C)."""

    def __init__(self, channels: int, out: int, groups: int) -> None:
        super().__init__(channels, out, 3, padding=1, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        grouped = self.weight.view(self.groups, -1, *self.weight.shape[1:])
        each = torch.eye(self.groups, device=grouped.device)
        whole = torch.einsum("gh,goik->khigo", each, grouped)  # zeros between different groups
        before, here, after = whole.flatten(3).flatten(1, 2)  # (c, C) each
        around = F.pad(input, (0, 0, 0, 0, 0, 0, 1, 1))
        convolved: Tensor = around[:-2] @ before + input @ here + around[2:] @ after
        return convolved


class PassNorm(nn.BatchNorm1d):
    """Batch normalisation with statistics of each pass: (..., P, c) -> (..., P, c).

    The running statistics take in one pass after the other.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input.flatten(0, -2)).view_as(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        passes = input.shape[-2]
        mean, var = (torch.zeros_like(self.running_mean).repeat(passes) for _ in range(2))
        normalised = F.batch_norm(
            input.flatten(-2).flatten(0, -2),  # (rows, P·c)
            mean,
            var,
            self.weight.repeat(passes),
            self.bias.repeat(passes),
            training=True,
            momentum=1.0,  # mean and var become those of the passes
            eps=self.eps,
        )
        self.num_batches_tracked += passes
        for one_mean, one_var in zip(mean.chunk(passes), var.chunk(passes), strict=True):
            self.running_mean.lerp_(one_mean, self.momentum)
            self.running_var.lerp_(one_var, self.momentum)
        return normalised.view_as(input)


class Mixing(nn.Linear):
    """A linear layer over the places: (n, B, P, c) -> (m, B, P, c)."""

    def forward(self, input: Tensor) -> Tensor:
        return _mix(self.weight, input, self.bias)


def _mix(weight: Tensor, x: Tensor, bias: Tensor) -> Tensor:
    """weight (m, n) over places, and a bias (m,): x (n, B, P, c) -> (m, B, P, c)."""
    return torch.addmm(bias[:, None], weight, x.flatten(1)).view(len(weight), *x.shape[1:])


def _convolutions(channels: int, inner: int, groups: int) -> nn.Sequential:
    """A gate for each place from its neighbours: (n, B, P, c) -> (n, B, P, c)."""
    squeeze, excite = Neighbours(channels, inner, groups), Neighbours(inner, channels, groups)
    nn.init.kaiming_normal_(squeeze.weight, mode="fan_out", nonlinearity="relu")
    nn.init.xavier_normal_(excite.weight)
    return _bottleneck(squeeze, excite)


def _bottleneck(squeeze: nn.Linear | Neighbours, excite: nn.Linear | Neighbours) -> nn.Sequential:
    inner, channels = len(squeeze.weight), len(excite.weight)
    return nn.Sequential(
        squeeze, PassNorm(inner), nn.ReLU(), excite, PassNorm(channels), nn.Sigmoid()
    )


def _mlp(width: int, layer: type[nn.Linear]) -> nn.Sequential:
    return nn.Sequential(
        layer(width, 2 * width),
        nn.GELU(),
        Dropout(DROPOUT),
        layer(2 * width, width),
        Dropout(DROPOUT),
    )

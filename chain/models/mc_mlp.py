"""MC-MLP, the mixer of MCMSH (Hao et al., ACM MM 2022): token and channel mixing with self-gates.

A self-gate works on x (B, n, c), whose places n it mixes: u = fc1(x), then fc2(u · g(u)). Its gate
g sees the channels c of u through a bottleneck. There are three kinds, and their results are added:

* LRD, the long range, sees the average of all places.
* MRD, the middle range, pools the places to a third and convolves three neighbours.
* SRD, the short range, convolves three neighbours without pooling.

There is no layer normalisation. The gates have batch normalisation, which looks at all clips of a
batch in training.
"""

import torch
from torch import Tensor, nn

DROPOUT = 0.5
REDUCTION = 16  # channels of a bottleneck: width // 16, each a group of its own
TOKEN_REDUCTION = 4  # of the token mixer, whose channels are the frames and are not grouped


class MCMLP(nn.Module):
    """ReLU, mixer blocks and a last set of self-gates: tokens (B, T, W) -> (B, T, W).

    MCMSH has one block. ValueError if the width is no multiple of its number of groups.
    """

    def __init__(self, frames: int, width: int, depth: int = 1) -> None:
        super().__init__()
        check_width(width)
        self.blocks = nn.Sequential(*(MixerBlock(frames, width) for _ in range(depth)))
        self.gates = Gates(frames, width, max(1, width // REDUCTION), grouped=True)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.gates(self.blocks(tokens.relu()))
        return mixed


def check_width(width: int) -> None:
    """ValueError unless the channels fall into `width // 16` groups of the same size."""
    groups = max(1, width // REDUCTION)
    if width % groups:
        raise ValueError(f"width {width} does not make {groups} groups; take a multiple of 16")


class MixerBlock(nn.Module):
    """Token mixing over T places, then channel mixing over W: (B, T, W) -> (B, T, W)."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        self.tokens = _mlp(frames)
        self.token_gates = Gates(width, frames, max(1, frames // TOKEN_REDUCTION), grouped=False)
        self.channels = _mlp(width)
        self.channel_gates = Gates(frames, width, max(1, width // REDUCTION), grouped=True)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.token_gates(self.tokens(x.transpose(1, 2)))  # (B, W, T)
        x = x + mixed.transpose(1, 2)
        x = x + self.channel_gates(self.channels(x))
        return x


class Gates(nn.Module):
    """The sum of a long, a middle and a short self-gate: x (B, n, c) -> (B, n, c).

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
    """fc2(u · g(u)) with u = fc1(x), where both layers mix the places: (B, n, c) -> (B, n, c)."""

    def __init__(self, places: int, gate: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(places, places)
        self.gate = gate
        self.fc2 = nn.Linear(places, places)

    def forward(self, x: Tensor) -> Tensor:
        u = self.fc1(x.transpose(1, 2))  # (B, c, n)
        gated: Tensor = self.fc2(u * self.gate(u))
        return gated.transpose(1, 2)


class LongRange(nn.Module):
    """One gate for all places of a channel: u (B, c, n) -> (B, c, 1)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        squeeze = nn.Linear(channels, inner, bias=False)
        excite = nn.Linear(inner, channels, bias=False)
        for layer in (squeeze, excite):
            nn.init.normal_(layer.weight, std=0.001)
        self.bottleneck = _bottleneck(squeeze, excite)

    def forward(self, u: Tensor) -> Tensor:
        gate: Tensor = self.bottleneck(u.mean(dim=2))
        return gate[:, :, None]


class Pool(nn.Module):
    """Average pooling of n places to m: (B, c, n) -> (B, c, m).

    Place i of m is the mean of places floor(i·n/m) to ceil((i+1)·n/m) of n. That is
    `nn.AdaptiveAvgPool1d`, whose gradient is not deterministic on CUDA.
    """

    average: Tensor

    def __init__(self, places: int, parts: int) -> None:
        super().__init__()
        average = torch.zeros(places, parts)
        for part in range(parts):
            start, end = part * places // parts, -(-(part + 1) * places // parts)
            average[start:end, part] = 1 / (end - start)
        self.register_buffer("average", average, persistent=False)

    def forward(self, u: Tensor) -> Tensor:
        return u @ self.average


def _convolutions(channels: int, inner: int, groups: int) -> nn.Sequential:
    """A gate for each place from its neighbours: (B, c, n) -> (B, c, n)."""
    squeeze = nn.Conv1d(channels, inner, 3, padding=1, bias=False, groups=groups)
    excite = nn.Conv1d(inner, channels, 3, padding=1, bias=False, groups=groups)
    nn.init.kaiming_normal_(squeeze.weight, mode="fan_out", nonlinearity="relu")
    nn.init.xavier_normal_(excite.weight)
    return _bottleneck(squeeze, excite)


def _bottleneck(squeeze: nn.Linear | nn.Conv1d, excite: nn.Linear | nn.Conv1d) -> nn.Sequential:
    inner, channels = len(squeeze.weight), len(excite.weight)
    return nn.Sequential(
        squeeze,
        nn.BatchNorm1d(inner),
        nn.ReLU(),
        excite,
        nn.BatchNorm1d(channels),
        nn.Sigmoid(),
    )


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 2 * width),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(2 * width, width),
        nn.Dropout(DROPOUT),
    )

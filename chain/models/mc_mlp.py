"""MC-MLP, the mixer of MCMSH (Hao et al., ACM MM 2022): token and channel mixing with self-gates.

Each mixing MLP is followed by three gates of different temporal reach, which are summed:

* LRD, the long range, sees the average of all places.
* MRD, the middle range, pools the places to a third and convolves three neighbours.
* SRD, the short range, convolves three neighbours without pooling.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gates(nn.Module):
    """x (B, C, L) times the sum of its LRD, MRD and SRD gates, each with a bottleneck over C."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.long = nn.Sequential(
            nn.Conv1d(channels, inner, 1), nn.ReLU(), nn.Conv1d(inner, channels, 1)
        )
        self.middle = _narrow(channels, inner)
        self.short = _narrow(channels, inner)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[2]
        long = self.long(x.mean(dim=2, keepdim=True))
        middle = self.middle(F.adaptive_avg_pool1d(x, max(1, length // 3)))
        middle = F.interpolate(middle, size=length)
        gate = torch.sigmoid(long) + torch.sigmoid(middle) + torch.sigmoid(self.short(x))
        return x * gate


def _narrow(channels: int, inner: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels, inner, 3, padding=1), nn.ReLU(), nn.Conv1d(inner, channels, 1)
    )


class MixerBlock(nn.Module):
    """Token mixing over T places, then channel mixing over W: (B, T, W) -> (B, T, W)."""

    def __init__(self, frames: int, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.tokens = _mlp(frames, dropout)
        self.token_gates = Gates(frames, reduction=4)
        self.norm2 = nn.LayerNorm(width)
        self.channels = _mlp(width, dropout)
        self.channel_gates = Gates(width, reduction=16)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)  # (B, T, W)
        x = x + self.token_gates(mixed)
        mixed = self.channels(self.norm2(x)).transpose(1, 2)  # (B, W, T)
        x = x + self.channel_gates(mixed).transpose(1, 2)
        return x


def _mlp(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 2 * width),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
        nn.Dropout(dropout),
    )

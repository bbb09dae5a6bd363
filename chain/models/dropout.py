"""Dropout that is quick on a CPU."""

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`nn.Dropout` from uniform numbers, which a CPU draws three times as fast as Bernoulli's."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return input
        kept = torch.rand(input.shape, device=input.device) >= self.p
        return input * kept / (1 - self.p) if self.p < 1 else input * 0

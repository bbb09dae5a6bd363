"""Binary codes with gradients: straight-through signs."""

import torch
from torch import Tensor, nn


class _StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        signs = torch.where(x >= 0, torch.ones_like(x), -torch.ones_like(x))
        return torch.where(x.isnan(), x, signs)  # so that a diverged network is noticed

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        gradient: Tensor = gradients[0] * (x.abs() < 1)
        return gradient


def sign(x: Tensor) -> Tensor:
    """The sign of each element, -1 or +1, where the sign of 0 is +1.

    Its gradient is straight-through: 1 inside (-1, 1) and 0 outside (arXiv 1308.3432).
    """
    result: Tensor = _StraightThroughSign.apply(x)
    return result


class HashLayer(nn.Module):
    """A linear layer to b units and a LayerNorm over them: (..., W) -> (..., b).

    `sign` makes the code from its output. Together they are ConMH's hash layer (AAAI 2023), which
    computes y = clip((x + 1) / 2, 0, 1) and the code 2·round(y) - 1. The LayerNorm keeps the units
    of one code centred, so that no code is all ones.
    """

    def __init__(self, width: int, bits: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, bits)
        self.norm = nn.LayerNorm(bits)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.norm(self.linear(x))
        return normalised

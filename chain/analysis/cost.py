"""What a method costs, in units that are the same on every machine."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from chain.methods.base import Method

MILLION = 1_000_000


@torch.no_grad()
def cost(model: Method, feature_width: int) -> dict[str, float]:
    """Cost of a method whose frame features have F = `feature_width`.

    `parameters` are the trained ones, those that serve training only included; `mmacs` million
    multiply-adds to encode one video from its features; `bytes` those of one code.
    """
    model.eval()
    counter = FlopCounterMode(display=False)
    with counter:
        model.encode(torch.zeros(1, model.frames, feature_width))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "mmacs": counter.get_total_flops() / 2 / MILLION,
        "bytes": model.bits // 8,
    }

"""The cost of a method in units that are the same on every machine."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from chain.methods.base import Method

MILLION = 1_000_000


@torch.no_grad()
def cost(model: Method, feature_width: int) -> dict[str, float]:
    """Count what a method costs whose frame features have F = `feature_width`.

    * `parameters`: trained parameters, including those that only training uses;
    * `mmacs`: million multiply-adds that encode one video from its features;
    * `bytes`: the size of one code.
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

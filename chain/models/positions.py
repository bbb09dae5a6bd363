"""Fixed sinusoidal positions (arXiv 1706.03762, section 3.5)."""

import torch
from torch import Tensor


def sinusoid(length: int, width: int) -> Tensor:
    """Positions (length, width), with sines in the even columns and cosines in the odd ones."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(width)[None, :]
    angle = position / 10000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()

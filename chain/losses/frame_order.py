"""Frame order verification, CHAIN's local temporal task (ACM MM 2023, arXiv 2310.18926)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def frame_order(logits: Tensor, order: Tensor) -> Tensor:
    """Cross entropy of the absolute temporal position predicted for each frame that was moved.

    Args:
        logits: (B, T, T) the scores of the T positions, for the frame at each place.
        order: (B, T) int64, the position of that frame in the video, in [0, T).

    Returns:
        () the mean over all frames that stand in another place than their own. If there is none,
        the loss and its gradient are 0.

    Raises:
        ValueError: the shapes do not agree.
    """
    if logits.ndim != 3 or logits.shape[:2] != order.shape or logits.shape[2] != order.shape[1]:
        raise ValueError(
            f"logits must be (B, T, T) and order (B, T), "
            f"not {tuple(logits.shape)}, {tuple(order.shape)}"
        )
    moved = order != torch.arange(order.shape[1], device=order.device)
    total = F.cross_entropy(logits[moved], order[moved], reduction="sum")
    return total / moved.sum().clamp(min=1)

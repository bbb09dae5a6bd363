"""Frame order verification, CHAIN's local temporal task (ACM MM 2023, arXiv 2310.18926)."""

import torch.nn.functional as F
from torch import Tensor


def frame_order(logits: Tensor, positions: Tensor) -> Tensor:
    """Cross entropy of the absolute temporal position predicted for each frame.

    Args:
        logits: (B, T, P) the scores of the P positions for each frame.
        positions: (B, T) int64, the true position of each frame, in [0, P).

    Returns:
        () the mean over the B·T frames.

    Raises:
        ValueError: the shapes do not agree.
    """
    if logits.ndim != 3 or logits.shape[:2] != positions.shape:
        raise ValueError(
            f"logits must be (B, T, P) and positions (B, T), "
            f"not {tuple(logits.shape)}, {tuple(positions.shape)}"
        )
    return F.cross_entropy(logits.flatten(0, 1), positions.flatten())

"""NT-Xent, the contrastive loss of SimCLR (Chen et al., ICML 2020, arXiv 2002.05709, eq. 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross entropy between two views of a batch.

    Each of the 2B views is an anchor. Among all views but itself, its answer is the other view of
    the same clip.

    Args:
        z1: (B, D) first views, of any norm, since similarity is the cosine.
        z2: (B, D) second views.
        temperature: above 0.

    Returns:
        () the mean over the 2B anchors.

    Raises:
        ValueError: z1 and z2 are not two (B, D) tensors of one shape, or temperature <= 0.
    """
    logits, positives = view_logits(z1, z2, temperature)
    return F.cross_entropy(logits, positives)


def view_logits(z1: Tensor, z2: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Logits and answers of all 2B views, for z1 and z2 as in `nt_xent`.

    Returns:
        logits (2B, 2B): cosine / temperature of each view with each, and -inf with itself.
        positives (2B,) int64: the other view of each view's clip.

    Raises:
        ValueError: as `nt_xent` does.
    """
    if z1.ndim != 2 or z1.shape != z2.shape:
        raise ValueError(f"views must be (B, D) both, not {tuple(z1.shape)}, {tuple(z2.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    z = F.normalize(torch.cat([z1, z2]), dim=1)  # (2B, D)
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)  # (2B, 2B)
    return logits, torch.arange(len(z), device=z.device).roll(len(z1))

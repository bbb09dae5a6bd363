"""WSCH's cluster term (anon271/WSCH): each code is drawn to the centre that is nearest already."""

import torch.nn.functional as F
from torch import Tensor


def nearest_centre(codes: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """Cross-entropy over cosine / temperature, whose target is a code's own nearest centre.

    Args:
        codes: (B, D) codes of any norm, since similarity is the cosine.
        centres: (K, D) centres of any norm but 0.
        temperature: above 0.

    Returns:
        () the mean over the B codes.

    Raises:
        ValueError: temperature <= 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    logits = F.normalize(codes, dim=1) @ F.normalize(centres, dim=1).T / temperature  # (B, K)
    return F.cross_entropy(logits, logits.argmax(dim=1))

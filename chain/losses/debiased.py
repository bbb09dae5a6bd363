"""Debiased contrastive learning (Chuang et al., NeurIPS 2020, arXiv 2007.00224)."""

import torch
from torch import Tensor

from chain.losses.nt_xent import view_logits


def debiased_contrastive(z1: Tensor, z2: Tensor, temperature: float, tau_plus: float) -> Tensor:
    """NT-Xent whose sum over negatives is corrected for those of the anchor's own class.

    Here s is the cosine, t the temperature and N = 2B - 2 the number of an anchor's negatives:

        pos  = exp(s(anchor, positive) / t)
        Ng   = max((sum_neg exp(s / t) - tau_plus · N · pos) / (1 - tau_plus), N · exp(-1 / t))
        loss = mean over the 2B anchors of -log(pos / (pos + Ng))

    Args:
        z1: (B, D) first views, of any norm.
        z2: (B, D) second views.
        temperature: above 0.
        tau_plus: prior probability, in [0, 1), that a negative is of the anchor's class. With 0
            the loss is NT-Xent.

    Returns:
        () the mean over the 2B anchors.

    Raises:
        ValueError: tau_plus is outside [0, 1), or `nt_xent` would raise it.
    """
    if not 0 <= tau_plus < 1:
        raise ValueError(f"tau_plus must be in [0, 1), not {tau_plus}")
    logits, positives = view_logits(z1, z2, temperature)
    negatives = len(logits) - 2
    # A common factor leaves the ratio as it is. exp(-largest) keeps all terms finite.
    largest = logits.detach().amax(dim=1, keepdim=True)  # (2B, 1)
    terms = (logits - largest).exp()  # (2B, 2B), 0 at self
    pos = terms.gather(1, positives[:, None])  # (2B, 1)
    others = terms.scatter(1, positives[:, None], 0.0).sum(dim=1, keepdim=True)
    floor = negatives * (-1 / temperature - largest).exp()
    ng = torch.maximum((others - tau_plus * negatives * pos) / (1 - tau_plus), floor)
    log_pos = logits.gather(1, positives[:, None]) - largest
    return ((pos + ng).log() - log_pos).mean()

"""Prototypical contrast (Li et al., ICLR 2021, arXiv 2005.04966) of codes, as AutoSSVH has it."""

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = 0.2  # of the concentrations
SMOOTHING = 10  # so that small clusters do not seem too dense


def centroid_contrast(codes: Tensor, centroids: Tensor, concentrations: Tensor) -> Tensor:
    """Cross-entropy of each code's own centroid among those of the batch and some others.

    The logits are cosine / concentration of the centroid. Where two codes of the batch have the
    same centroid, each has it once as its answer and once as a negative.

    Args:
        codes: (B, D) codes of any norm.
        centroids: (B + R, D) of length 1: the codes' own, in their order, and R negatives.
        concentrations: (B + R,) of these centroids, above 0.

    Returns:
        () the mean over the B codes.
    """
    logits = F.normalize(codes, dim=1) @ centroids.T / concentrations  # (B, B + R)
    return F.cross_entropy(logits, torch.arange(len(codes), device=codes.device))


def concentrations(points: Tensor, labels: Tensor, centroids: Tensor) -> Tensor:
    """How loose each cluster is: mean distance from its centroid / log(members + 10).

    A cluster of one member or none counts as loose as the loosest. The values are clipped to their
    10th and 90th percentile, and scaled so that their mean is 0.2.

    Args:
        points: (M, D) what was clustered.
        labels: (M,) the cluster of each point.
        centroids: (K, D) centres of the clusters, not scaled to length 1.

    Returns:
        (K,) the concentrations φ of arXiv 2005.04966, section 3.3. They are zeros if each point is
            a centroid.
    """
    counts = labels.bincount(minlength=len(centroids))
    distance = torch.linalg.vector_norm(points - centroids[labels], dim=1)
    sums = points.new_zeros(len(centroids)).index_add_(0, labels, distance)
    several = counts > 1
    loose = sums / counts.clamp(min=1) / (counts + SMOOTHING).log()
    loose = loose.where(several, loose.where(several, 0).max())
    low, high = loose.quantile(loose.new_tensor([0.1, 0.9]))
    loose = loose.clamp(low, high)
    return loose / loose.mean().clamp(min=torch.finfo(loose.dtype).tiny) * MEAN

"""k-means: k-means++ seeding (Arthur & Vassilvitskii, SODA 2007), then Lloyd's iterations.

Matrix kernels round differently from processor to processor, and from one number of threads to the
next. Labels and centres are nevertheless the same everywhere, for three reasons:

* Distances are computed in double precision, where kernels differ by far less than points do.
* A point's distances are then rounded to single precision. So equal ones become equal, and the
  point goes to the first of the nearest centres.
* The points of a cluster are added up in double precision and in their order, by no kernel.
"""

import math

import torch
from torch import Tensor

ITERATIONS = 300  # at most
CHUNK = 1024  # points compared with all centres at once
COINCIDENT = 1e-12  # see `squared_distances`


@torch.no_grad()
def kmeans(points: Tensor, clusters: int, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cluster points so that the squared distances to their clusters' means are small.

    The iterations end when no label changes. A cluster that loses all its points takes over the
    point that is farthest from its centre, as in scikit-learn.

    Args:
        points: (M, D) on the CPU.
        clusters: K, at most M.
        start: (K, D) the first centres; None draws them by `plus_plus`, from torch's generator.

    Returns:
        labels (M,) int64 and centres (K, D), the means of the clusters. If there are fewer than K
        distinct points, some clusters stay empty and keep their first centre.

    Raises:
        ValueError: a point is not finite, or there are more clusters than points.
    """
    if not points.isfinite().all():
        raise ValueError("k-means needs points that are finite")
    if clusters > len(points):
        raise ValueError(f"k-means can't make {clusters} clusters of {len(points)} points")
    exact = points.double()
    centres = exact[plus_plus(exact, clusters)] if start is None else start.double()
    labels = torch.full((len(points),), -1)
    for _ in range(ITERATIONS):
        found = _fill_empty(*_nearest(exact, centres), clusters)
        if torch.equal(found, labels):
            break
        labels = found
        filled = labels.bincount(minlength=clusters) > 0
        centres = torch.where(filled[:, None], cluster_means(exact, labels, clusters), centres)
    return labels, centres.to(points.dtype)


def plus_plus(points: Tensor, clusters: int) -> Tensor:
    """k-means++ in its greedy form: which points (K,) of points (M, D) are the first centres.

    The first is drawn uniformly. For each of the others a few candidates are drawn with a
    probability proportional to the squared distance from the centres so far, and the candidate that
    leaves the smallest sum of these distances is taken. The first point is repeated if there are
    fewer than K distinct points.
    """
    trials = 2 + int(math.log(clusters))
    chosen = [int(torch.randint(len(points), ()))]
    closest = squared_distances(points[chosen], points)[0]  # (M,)
    while len(chosen) < clusters and closest.any():
        candidates = torch.multinomial(closest, trials, replacement=True)
        left = torch.minimum(closest, squared_distances(points[candidates], points))
        best = int(left.sum(dim=1).argmin())
        chosen.append(int(candidates[best]))
        closest = left[best]
    return torch.tensor(chosen + chosen[:1] * (clusters - len(chosen)))


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances (A, B) between points (A, D) and points (B, D), both float64.

    They are computed as |x|² + |y|² − 2x·y, which rounding keeps from being 0 where points are
    equal. A result below 1e-12 of |x|² + |y|² therefore becomes 0: single precision hardly tells
    such points apart.
    """
    size = _squared_length(first)[:, None] + _squared_length(second)
    squared = torch.addmm(size, first, second.T, alpha=-2)
    return squared.where(squared > COINCIDENT * size, 0)


def cluster_means(points: Tensor, labels: Tensor, clusters: int) -> Tensor:
    """Mean (K, D) of the points (M, D) with each label (M,); zeros for a cluster without any."""
    counts = labels.bincount(minlength=clusters).clamp(min=1)
    sums = points.new_zeros(clusters, points.shape[1]).index_add_(0, labels, points)
    return sums / counts[:, None]


def _squared_length(points: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(points, dim=1)
    return length.square()


def _nearest(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre (M,) of each point (M, D), and the squared distance to it (M,)."""
    parts = torch.split(points, CHUNK)
    closest = [squared_distances(part, centres).float().min(dim=1) for part in parts]
    labels = torch.cat([found.indices for found in closest])
    return labels, torch.cat([found.values for found in closest])


def _fill_empty(labels: Tensor, distance: Tensor, clusters: int) -> Tensor:
    """Labels (M,) after each empty cluster has taken over the point farthest from its centre.

    A point that is alone in its cluster stays there. A cluster stays empty if all other points lie
    on their centres: there are fewer distinct points than clusters then.
    """
    labels, size = labels.clone(), labels.bincount(minlength=clusters)
    for empty in (size == 0).nonzero().flatten().tolist():
        movable = torch.where(size[labels] > 1, distance, 0)
        farthest = movable.argmax()
        if not movable[farthest]:
            break
        size[labels[farthest]] -= 1
        size[empty] += 1
        labels[farthest] = empty
    return labels

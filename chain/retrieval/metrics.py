"""Retrieval metrics as small pure functions.

The strict metrics follow from two histograms per query, items and relevant items by distance (Q,
b + 1): items at the same distance are tied, and every figure is its expectation over the orders of
the ties. They need no ranking.

[1] McSherry and Najork, "Computing information retrieval performance measures efficiently in the
    presence of tied scores", ECIR 2008.
[2] He, Cakir, Bargal and Sclaroff, "Hashing as tie-aware learning to rank", CVPR 2018.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def expected_average_precision(items: Counts, relevant: Counts, k: int) -> Floats:
    """Expected AP@k (Q,) under uniformly random order within ties [1, 2].

    The sum of precisions at the relevant ranks up to k is divided by min(k, relevant items in the
    whole database). A query without a relevant item scores 0, and is for the caller to leave out.

    A tie group of g items, r of them relevant, that follows n items with m relevant, adds at its
    j-th place, rank i = n + j <= k,

        (r / g) (m + 1 + (j - 1) c) / i,   c = (r - 1) / (g - 1)   (0 when g = 1)

    where the numerator is m + 1 - (n + 1) c + i c; so over places the sum needs only how many there
    are and a difference of harmonic numbers.
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, k + 1))])  # H(0)..H(k)
    before = np.zeros(len(items), dtype=np.int64)  # n
    hits = np.zeros(len(items), dtype=np.int64)  # m
    total = np.zeros(len(items))
    for group, good in zip(items.T, relevant.T, strict=True):
        if before.min() >= k:
            break
        first, last = np.minimum(before, k), np.minimum(before + group, k)
        slope = np.maximum(good - 1, 0) / np.maximum(group - 1, 1)
        places = slope * (last - first)
        places += (hits + 1 - (before + 1) * slope) * (harmonic[last] - harmonic[first])
        total += good / np.maximum(group, 1) * places
        before += group
        hits += good
    return np.asarray(total / np.clip(relevant.sum(axis=1), 1, k))


def average_precision(ranked: NDArray[np.bool_], k: int, relevant: Counts) -> Floats:
    """AP@k (Q,) of rankings without ties, `ranked` (Q, >= k) telling which ranks are relevant.

    Divided by min(k, `relevant`), the number (Q,) of relevant items in the whole database; a query
    without any scores 0, and is for the caller to leave out.
    """
    return _sum_of_precisions(ranked, k) / np.clip(relevant, 1, k)


def average_precision_ssvh(ranked: NDArray[np.bool_], k: int) -> Floats:
    """AP@k (Q,) as the video hashing literature has it: divided by k, however few are relevant.

    `ranked` (Q, >= k) tells which ranks are relevant; a query without a hit scores 0.
    """
    return _sum_of_precisions(ranked, k) / k


def precision_recall_by_radius(items: Counts, relevant: Counts) -> tuple[Floats, Floats]:
    """Mean precision and recall (b + 1,) of the Hamming balls of radius 0..b.

    Over the queries that have a relevant item. A ball without items has no precision, and its query
    is not counted at that radius; where every ball is empty the precision is NaN. Recall counts all
    the queries.
    """
    answerable = relevant.any(axis=1)
    inside = items[answerable].cumsum(axis=1)
    hits = relevant[answerable].cumsum(axis=1)
    occupied = (inside > 0).sum(axis=0)
    precision = np.full(len(occupied), np.nan)
    sums = (hits / np.maximum(inside, 1)).sum(axis=0)
    np.divide(sums, occupied, out=precision, where=occupied > 0)
    return precision, (hits / hits[:, -1:]).mean(axis=0)


def precision_recall_by_rank(
    items: Counts, relevant: Counts, ranks: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Mean expected precision and recall (R,) of the first `ranks` (R,) items.

    Over the queries that have a relevant item. The expected number of hits grows linearly along a
    tie group. Raises ValueError on a rank below 1 or beyond the items of one of these queries.
    """
    answerable = relevant.any(axis=1)
    items, relevant = items[answerable], relevant[answerable]
    if ranks.min() < 1 or ranks.max() > items.sum(axis=1).min():
        raise ValueError(f"ranks must lie in 1..{items.sum(axis=1).min()}")
    through, found = items.cumsum(axis=1), relevant.cumsum(axis=1)  # (Q, b + 1)
    queries, everything = np.arange(len(items)), found[:, -1]
    precision, recall = np.empty(len(ranks)), np.empty(len(ranks))
    for place, rank in enumerate(ranks):
        group = queries, (through >= rank).argmax(axis=1)  # the one that the rank falls into
        after = through[group] - rank
        hits = found[group] - relevant[group] * (after / items[group])
        precision[place] = (hits / rank).mean()
        recall[place] = (hits / everything).mean()
    return precision, recall


def _sum_of_precisions(ranked: NDArray[np.bool_], k: int) -> Floats:
    """Sum over the relevant ranks r <= k of hits among the first r over r, (Q,)."""
    top = ranked[:, :k]
    precisions = top.cumsum(axis=1) / np.arange(1, k + 1)
    return np.asarray((precisions * top).sum(axis=1))

"""Retrieval metrics as small pure functions.

The strict metrics need no ranking. They follow from two histograms of each query: how many items,
and how many relevant ones, there are at each distance, (Q, b + 1) each. Items at the same distance
are tied, and a metric is its expectation over all orders of the tied items.

[1] McSherry and Najork, "Computing information retrieval performance measures efficiently in the
    presence of tied scores", ECIR 2008.
[2] He, Cakir, Bargal and Sclaroff, "Hashing as tie-aware learning to rank", CVPR 2018.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def expected_average_precision(items: Counts, relevant: Counts, k: int) -> Floats:
    """Return the expected AP@k (Q,) if tied items come in random order [1, 2].

    The sum of the precisions at the relevant ranks up to k is divided by min(k, relevant items in
    the whole database). A query without a relevant item has AP 0, and the caller leaves it out.

    Consider a group of g tied items of which r are relevant. Before it come n items of which m are
    relevant. The j-th place of the group has rank i = n + j, and if i <= k it adds to the sum

        (r / g) (m + 1 + (j - 1) c) / i,   c = (r - 1) / (g - 1)   (0 when g = 1).

    The numerator is m + 1 - (n + 1) c + i c. So the sum over the places of a group needs only their
    number and a difference of harmonic numbers.
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
    """Return AP@k (Q,) of rankings without ties.

    `ranked` (Q, >= k) tells which ranks are relevant, and `relevant` (Q,) how many relevant items
    the whole database has. The sum of precisions is divided by min(k, `relevant`). A query without
    a relevant item has AP 0, and the caller leaves it out.
    """
    return _sum_of_precisions(ranked, k) / np.clip(relevant, 1, k)


def average_precision_ssvh(ranked: NDArray[np.bool_], k: int) -> Floats:
    """Return AP@k (Q,) as the video hashing literature defines it.

    The sum of precisions is divided by k even if fewer items are relevant. `ranked` (Q, >= k) tells
    which ranks are relevant. A query without a hit has AP 0.
    """
    return _sum_of_precisions(ranked, k) / k


def precision_recall_by_radius(items: Counts, relevant: Counts) -> tuple[Floats, Floats]:
    """Return the mean precision and recall (b + 1,) of the Hamming balls of radius 0..b.

    Both are means over the queries that have a relevant item. An empty ball has no precision, so
    the mean precision leaves out its query at that radius. If every ball is empty, the precision is
    NaN.
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
    """Return the mean expected precision and recall (R,) of the first `ranks` (R,) items.

    Both are means over the queries that have a relevant item. Among tied items the expected number
    of hits grows linearly with the rank. Raises ValueError if a rank is below 1, or above the
    number of items of one of these queries.
    """
    answerable = relevant.any(axis=1)
    items, relevant = items[answerable], relevant[answerable]
    if ranks.min() < 1 or ranks.max() > items.sum(axis=1).min():
        raise ValueError(f"ranks must lie in 1..{items.sum(axis=1).min()}")
    through, found = items.cumsum(axis=1), relevant.cumsum(axis=1)  # (Q, b + 1)
    queries, everything = np.arange(len(items)), found[:, -1]
    precision, recall = np.empty(len(ranks)), np.empty(len(ranks))
    for place, rank in enumerate(ranks):
        group = queries, (through >= rank).argmax(axis=1)  # of ties, that the rank falls into
        after = through[group] - rank
        hits = found[group] - relevant[group] * (after / items[group])
        precision[place] = (hits / rank).mean()
        recall[place] = (hits / everything).mean()
    return precision, recall


def _sum_of_precisions(ranked: NDArray[np.bool_], k: int) -> Floats:
    """Sum (hits among the first r) / r over the relevant ranks r <= k, for each query: (Q,)."""
    top = ranked[:, :k]
    precisions = top.cumsum(axis=1) / np.arange(1, k + 1)
    return np.asarray((precisions * top).sum(axis=1))

"""Hamming distances by popcount, a few queries at a time: memory grows as Q + N, not as Q x N."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.retrieval.codes import words
from chain.retrieval.relevance import Relevance

BLOCK = 2**17  # distances that are computed at once and stay in a core's cache

Distances = NDArray[np.unsignedinteger]
Counts = NDArray[np.int64]


def compare(
    query_codes: NDArray[np.uint8],
    database_codes: NDArray[np.uint8],
    relevance: Relevance,
    exclude: Counts,
    k: int,
) -> tuple[Counts, Counts, Counts]:
    """Compute what an evaluation needs in one pass over all distances.

    `query_codes` (Q, b / 8) and `database_codes` (N, b / 8) are packed. `exclude` (Q,) holds the
    database index of the item that each query leaves out, or -1. Returns

    * `items` (Q, b + 1), the number of items at each distance 0..b from each query, without the
      one that is left out;
    * `relevant` (Q, b + 1), the number of relevant ones among them;
    * `indices` (Q, k) of the nearest items as `nearest` gives them, including the one left out.

    Raises as `nearest` does.
    """
    bins = 8 * query_codes.shape[1] + 1
    items = np.empty((len(query_codes), bins), dtype=np.int64)
    relevant = np.empty_like(items)
    indices = np.empty((len(query_codes), _checked(k, database_codes)), dtype=np.int64)
    for query, distances in enumerate(_distances(query_codes, database_codes)):
        items[query] = np.bincount(distances, minlength=bins)
        relevant[query] = np.bincount(distances[relevance.members(query)], minlength=bins)
        indices[query] = _nearest(distances, items[query], k)

    rows = np.flatnonzero(exclude >= 0)
    apart = np.bitwise_count(query_codes[rows] ^ database_codes[exclude[rows]])
    columns = apart.sum(axis=1, dtype=np.int64)
    items[rows, columns] -= 1
    relevant[rows, columns] -= relevance.of(exclude[:, None])[rows, 0]
    return items, relevant, indices


def nearest(
    query_codes: NDArray[np.uint8], database_codes: NDArray[np.uint8], k: int
) -> tuple[Counts, Counts]:
    """Find the k items nearest to each query; returns their indices and distances, (Q, k) each.

    Ties come in the order of the database index. (The evaluation code of SSVH breaks them by an
    unstable argsort, so that its figures vary with the version of numpy.)

    Raises:
        InputError: the code lengths differ.
        ValueError: k is not in 1..N.
    """
    indices = np.empty((len(query_codes), _checked(k, database_codes)), dtype=np.int64)
    nearest_distances = np.empty_like(indices)
    for query, distances in enumerate(_distances(query_codes, database_codes)):
        indices[query] = _nearest(distances, np.bincount(distances), k)
        nearest_distances[query] = distances[indices[query]]
    return indices, nearest_distances


def _nearest(distances: Distances, counts: Counts, k: int) -> Counts:
    """Return the indices of the k smallest of `distances` (N,), of which `counts[d]` are d."""
    # This is faster than a partition. A NumPy integer would widen all distances to compare them.
    farthest = int(counts.cumsum().searchsorted(k))
    within = np.flatnonzero(distances <= farthest)  # in the index's order; seldom many more than k
    return within[distances[within].argsort(kind="stable")[:k]]


def _distances(
    query_codes: NDArray[np.uint8], database_codes: NDArray[np.uint8]
) -> Iterator[Distances]:
    """Yield for each query in turn its distances (N,) to the database."""
    bits = 8 * query_codes.shape[1]
    if bits != 8 * database_codes.shape[1]:
        raise InputError(
            f"codes: {bits} bits for the queries, {8 * database_codes.shape[1]} for the database"
        )
    database, queries = words(database_codes), words(query_codes)  # (W, N), (W, Q)
    count = max(1, BLOCK // max(1, len(database_codes)))
    narrow = np.min_scalar_type(bits)
    for first in range(0, len(query_codes), count):
        some = queries[:, first : first + count, None]
        block = np.bitwise_count(database[0] ^ some[0]).astype(narrow, copy=False)
        for theirs, ours in zip(database[1:], some[1:], strict=True):
            block += np.bitwise_count(theirs ^ ours)
        yield from block


def _checked(k: int, database_codes: NDArray[np.uint8]) -> int:
    size = len(database_codes)
    if not 1 <= k <= size:
        raise ValueError(f"k must lie in 1..{size}, not {k}")
    return k

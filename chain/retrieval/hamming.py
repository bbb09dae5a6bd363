"""Hamming distances by popcount, one query at a time: memory grows with Q + N, never with Q x N."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chain.codes import words
from chain.errors import InputError
from chain.retrieval.relevance import Relevance


def distance_histograms(
    query_codes: NDArray[np.uint8],
    database_codes: NDArray[np.uint8],
    relevance: Relevance,
    exclude: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of items and of relevant items at each distance 0..b from each query.

    `query_codes` (Q, b / 8) and `database_codes` (N, b / 8) are packed; `exclude` (Q,) holds the
    database index that each query leaves out, or -1. Returns `items` and `relevant`, (Q, b + 1)
    each. Raises InputError if the code lengths differ.
    """
    bins = 8 * query_codes.shape[1] + 1
    items = np.empty((len(query_codes), bins), dtype=np.int64)
    relevant = np.empty_like(items)
    for query, distances in enumerate(_distances(query_codes, database_codes)):
        items[query] = np.bincount(distances, minlength=bins)
        relevant[query] = np.bincount(distances[relevance.row(query)], minlength=bins)

    rows = np.flatnonzero(exclude >= 0)
    apart = np.bitwise_count(query_codes[rows] ^ database_codes[exclude[rows]])
    columns = apart.sum(axis=1, dtype=np.int64)
    items[rows, columns] -= 1
    relevant[rows, columns] -= relevance.of(exclude[:, None])[rows, 0]
    return items, relevant


def nearest(
    query_codes: NDArray[np.uint8], database_codes: NDArray[np.uint8], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices and distances (Q, k) of the k nearest items, ties in ascending database index.

    The ssvh evaluation code breaks ties by an unstable argsort, so its own figures vary with the
    version of numpy; this order is reproducible. Raises InputError if the code lengths differ and
    ValueError if k is not in 1..N.
    """
    size = len(database_codes)
    if not 1 <= k <= size:
        raise ValueError(f"k must lie in 1..{size}, not {k}")
    indices = np.empty((len(query_codes), k), dtype=np.int64)
    nearest_distances = np.empty_like(indices)
    for query, distances in enumerate(_distances(query_codes, database_codes)):
        farthest = np.bincount(distances).cumsum().searchsorted(k)  # faster than a partition
        within = np.flatnonzero(distances <= farthest)  # by index, and seldom many more than k
        order = distances[within].argsort(kind="stable")[:k]
        indices[query] = within[order]
        nearest_distances[query] = distances[indices[query]]
    return indices, nearest_distances


def _distances(
    query_codes: NDArray[np.uint8], database_codes: NDArray[np.uint8]
) -> Iterator[NDArray[np.unsignedinteger]]:
    """For each query in turn, its distances (N,) to the database."""
    bits = 8 * query_codes.shape[1]
    if bits != 8 * database_codes.shape[1]:
        raise InputError(
            f"codes: {bits} bits for the queries, {8 * database_codes.shape[1]} for the database"
        )
    database = words(database_codes)  # (W, N)
    for query in words(query_codes).T:  # (W,)
        distances = np.zeros(len(database_codes), dtype=np.min_scalar_type(bits))
        for theirs, ours in zip(database, query, strict=True):
            np.add(distances, np.bitwise_count(theirs ^ ours), out=distances)
        yield distances

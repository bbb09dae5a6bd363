"""The strict protocol on float features, from which the codes are made."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.datasets.manifest import Roles, label_matrix, select
from chain.retrieval.config import usable
from chain.retrieval.evaluate import check_counts
from chain.retrieval.metrics import average_precision
from chain.retrieval.relevance import Relevance, self_matches

BLOCK = 2**23  # similarities that are in memory at once: 32 MiB

VARIANTS = {"raw": (1, False), "centred": (1, True), "centred_halves": (2, True)}
"""The ways to represent a clip: the number of equal parts whose mean features are joined, and
whether the mean of the training clips is subtracted."""


def float_ap_strict(
    query_features: NDArray[np.floating],
    database_features: NDArray[np.floating],
    query_ids: NDArray[np.str_],
    database_ids: NDArray[np.str_],
    query_labels: NDArray[np.bool_],
    database_labels: NDArray[np.bool_],
    topk: Sequence[int],
) -> dict[int, NDArray[np.float64]]:
    """Rank N items for Q queries by cosine similarity; returns the strict AP@K (Q,) by K.

    The features are (Q, F) and (N, F), the labels (Q, C) and (N, C). The protocol is that of
    `evaluate`, with two differences:

    * ties, which are not expected among floats, go to the lower database index;
    * a query without a relevant item has AP NaN.

    Raises InputError if a K is not in 1..N, the widths differ, a feature is not finite, the labels
    do not match the features, or no query has a relevant item.
    """
    check_counts(len(query_ids), len(database_ids), query_labels, database_labels, topk)
    relevance = Relevance(query_labels, database_labels)
    queries = _unit("query", query_features, len(query_ids))
    database = _unit("database", database_features, len(database_ids))
    if queries.shape[1] != database.shape[1]:
        raise InputError(
            f"features: width {queries.shape[1]} for the queries, "
            f"{database.shape[1]} for the database"
        )
    exclude = self_matches(query_ids, database_ids)

    rows = max(1, BLOCK // len(database))
    indices = np.concatenate(
        [
            _nearest(queries[start : start + rows], database, exclude[start : start + rows], topk)
            for start in range(0, len(queries), rows)
        ]
    )  # (Q, max K)
    ranked = relevance.of(indices) & (indices != exclude[:, None])
    counts = np.array([len(relevance.members(query)) for query in range(len(queries))])
    relevant = counts - relevance.of(exclude[:, None])[:, 0]
    answerable = relevant > 0
    if not answerable.any():
        raise InputError("labels: no query has a relevant item in the database")
    return {k: np.where(answerable, average_precision(ranked, k, relevant), np.nan) for k in topk}


def evaluate_floats(
    clean: NDArray[np.floating], index: pd.DataFrame, roles: Roles, topk: Sequence[int]
) -> dict[str, pd.DataFrame]:
    """Evaluate the clips of the query's split against those of the database's by their features.

    `clean` (N, D, F) holds the frames of the N clips that `index` lists. Each clip is represented
    in the ways of `VARIANTS`; one with more parts than D is left out. The K above the database's
    size are left out, too (`chain.retrieval.config.usable`). Returns two tables:

    * `map` has columns seed, variant, k and map_strict;
    * `queries` has columns seed, variant, id, ap<K>, ....

    Nothing is random, so the seed is always 0. Raises InputError as `float_ap_strict` does.
    """
    labels, _ = label_matrix(index["labels"])
    ids = index["id"].to_numpy(dtype=np.str_)
    train, query, database = (
        select(index, split) for split in (roles.train, roles.query, roles.database)
    )
    found: dict[str, list[pd.DataFrame]] = {"map": [], "queries": []}
    for variant, (parts, centred) in VARIANTS.items():
        if parts > clean.shape[1]:
            continue
        centre = _centre(clean, train, parts) if centred else 0
        precisions = float_ap_strict(
            _pooled(clean, query, parts) - centre,
            _pooled(clean, database, parts) - centre,
            ids[query],
            ids[database],
            labels[query],
            labels[database],
            usable(topk, len(database)),
        )
        means = {"k": list(precisions), "map_strict": list(map(np.nanmean, precisions.values()))}
        queries = pd.DataFrame({"id": ids[query], **{f"ap{k}": ap for k, ap in precisions.items()}})
        found["map"].append(pd.DataFrame({"variant": variant, **means}))
        found["queries"].append(queries.dropna().assign(variant=variant))
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    for table in tables.values():
        table.insert(0, "seed", 0)
        table.insert(1, "variant", table.pop("variant"))
    return tables


def part_means(frames: NDArray[np.floating], parts: int) -> NDArray[np.float32]:
    """The mean features of a clip's equal parts, joined: frames (D, F) -> (parts * F,).

    Where D is no multiple of `parts`, the first parts have a frame more.
    """
    split = np.array_split(frames, parts)
    return np.concatenate([part.mean(axis=0, dtype=np.float32) for part in split])


def _pooled(
    clean: NDArray[np.floating], rows: NDArray[np.int64], parts: int
) -> NDArray[np.float32]:
    """The `part_means` of the clips `rows` (M,) of `clean` (N, D, F): (M, parts * F)."""
    return np.stack([part_means(clean[clip], parts) for clip in rows])


def _centre(
    clean: NDArray[np.floating], rows: NDArray[np.int64], parts: int
) -> NDArray[np.float32]:
    """The mean (parts * F,) of what `_pooled` gives, with one clip in memory at a time."""
    total = np.zeros(parts * clean.shape[2])
    for clip in rows:
        total += part_means(clean[clip], parts)
    return (total / len(rows)).astype(np.float32)


def _nearest(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    exclude: NDArray[np.int64],
    topk: Sequence[int],
) -> NDArray[np.int64]:
    """Return database indices (q, max K) by falling similarity; the excluded item comes last."""
    k = max(topk)
    distances = -(queries @ database.T)  # (q, N)
    own = np.flatnonzero(exclude >= 0)
    distances[own, exclude[own]] = np.inf
    chosen = np.sort(np.argpartition(distances, k - 1, axis=1)[:, :k], axis=1)
    order = np.take_along_axis(distances, chosen, axis=1).argsort(axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _unit(name: str, features: NDArray[np.floating], count: int) -> NDArray[np.float32]:
    """Scale `count` rows to length 1; a row of zeros stays as it is."""
    if features.ndim != 2 or len(features) != count or not np.isfinite(features).all():
        raise InputError(f"{name} features: expected {count} rows of finite numbers")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)

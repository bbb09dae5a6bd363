"""Evaluation of binary codes by two protocols (docs/protocols.md).

`ssvh` is how the video hashing literature computes mAP@K: the query's own copy stays in the ranking
and AP is divided by K. Tied items keep one order, that of the hashes of their ids. A database is
often sorted by category, and its own order would then favour whatever an item's neighbours are.
`strict` leaves the query's copy out, divides by min(K, relevant) and averages over the orders of
tied items.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.datasets.manifest import Roles, label_matrix, select
from chain.retrieval.codes import Codes, check_codes, take
from chain.retrieval.config import usable
from chain.retrieval.hamming import compare
from chain.retrieval.metrics import (
    average_precision_ssvh,
    expected_average_precision,
    precision_recall_by_radius,
    precision_recall_by_rank,
)
from chain.retrieval.relevance import Relevance, self_matches

CURVE_POINTS = 50


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation found; every dictionary has K as its key.

    * `map_ssvh` averages over all queries, `map_strict` over the answerable ones.
    * `ap_strict` (Q,) is the average precision of each query; 0 for one that is not answerable.
    * `answerable` (Q,) tells which queries have a relevant item besides themselves.
    * `by_radius` has columns radius, precision and recall. It has no row for a radius at which no
      query finds anything.
    * `by_rank` has columns rank, precision and recall. Its ranks are spaced geometrically.

    Both curves follow the strict protocol and average over the answerable queries.
    """

    map_ssvh: dict[int, float]
    map_strict: dict[int, float]
    ap_strict: dict[int, NDArray[np.float64]]
    answerable: NDArray[np.bool_]
    by_radius: pd.DataFrame
    by_rank: pd.DataFrame

    def tables(self, query_ids: NDArray[np.str_]) -> dict[str, pd.DataFrame]:
        """Return the tables that are written to files, by name.

        * `map` has columns k, map_strict and map_ssvh;
        * `queries` has the strict AP of the answerable queries, in columns id, ap<K>, ...;
        * `by_rank` and `by_radius` are the curves.
        """
        scores = {"k": list(self.map_strict), "map_strict": self.map_strict.values()}
        precisions = {f"ap{k}": ap[self.answerable] for k, ap in self.ap_strict.items()}
        return {
            "map": pd.DataFrame(scores | {"map_ssvh": self.map_ssvh.values()}),
            "queries": pd.DataFrame({"id": query_ids[self.answerable], **precisions}),
            "by_rank": self.by_rank,
            "by_radius": self.by_radius,
        }


def evaluate(
    queries: Codes,
    database: Codes,
    query_labels: NDArray[np.bool_],
    database_labels: NDArray[np.bool_],
    topk: Sequence[int],
) -> Evaluation:
    """Evaluate Q queries against N database items, labelled (Q, C) and (N, C), at each K.

    An item is relevant if it shares a label with the query. Items with the same id are the same
    item. The order of the database has no effect. Raises InputError if a K is not in 1..N, the code
    lengths differ, the labels do not match the codes, or no query has a relevant item.
    """
    check_counts(len(queries.ids), len(database.ids), query_labels, database_labels, topk)
    order = order_by_hash(database.ids)
    database, relevance = take(database, order), Relevance(query_labels, database_labels[order])
    exclude = self_matches(queries.ids, database.ids)
    items, relevant, indices = compare(queries.codes, database.codes, relevance, exclude, max(topk))
    answerable = np.any(relevant, axis=1)
    if not answerable.any():
        raise InputError("labels: no query has a relevant item in the database")

    ranked = relevance.of(indices)
    ap_strict = {k: expected_average_precision(items, relevant, k) for k in topk}
    return Evaluation(
        map_ssvh={k: float(average_precision_ssvh(ranked, k).mean()) for k in topk},
        map_strict={k: float(ap[answerable].mean()) for k, ap in ap_strict.items()},
        ap_strict=ap_strict,
        answerable=answerable,
        by_radius=_by_radius(items[answerable], relevant[answerable]),
        by_rank=_by_rank(items[answerable], relevant[answerable]),
    )


def evaluate_roles(
    codes: Codes, index: pd.DataFrame, roles: Roles, topk: Sequence[int]
) -> dict[str, pd.DataFrame]:
    """Evaluate the clips whose split is the query's against those of the database's.

    `codes` and `index` hold all clips, in the same order. The K above the database's size are left
    out (`chain.retrieval.config.usable`). Returns the tables of `Evaluation.tables`. Raises
    InputError as `evaluate` does, and if the codes are not those of the clips.
    """
    check_codes(codes, index)
    labels, _ = label_matrix(index["labels"])
    query, database = select(index, roles.query), select(index, roles.database)
    result = evaluate(
        take(codes, query),
        take(codes, database),
        labels[query],
        labels[database],
        usable(topk, len(database)),
    )
    return result.tables(codes.ids[query])


def stack_seeds(tables: Mapping[int, dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Stack the tables of the seeds, one below the other, and add a column `seed`."""
    names = next(iter(tables.values()))
    return {
        name: pd.concat({seed: one[name] for seed, one in tables.items()}).reset_index(
            0, names="seed"
        )
        for name in names
    }


def order_by_hash(ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """The places (N,) of the ids in the order of their SHA-256.

    So the same items come in the same order, however the list that holds them is sorted. That order
    has nothing to do with names or categories.
    """
    digests = [hashlib.sha256(one.encode()).digest() for one in ids.tolist()]
    return np.array(sorted(range(len(ids)), key=digests.__getitem__), dtype=np.int64)


def check_counts(
    queries: int,
    database: int,
    query_labels: NDArray[np.bool_],
    database_labels: NDArray[np.bool_],
    topk: Sequence[int],
) -> None:
    """Raise InputError unless each item has a row of labels and the database has K items."""
    for k in topk:
        if not 1 <= k <= database:
            raise InputError(f"K = {k}: must be between 1 and the size of the database, {database}")
    for name, labels, count in (
        ("query", query_labels, queries),
        ("database", database_labels, database),
    ):
        if len(labels) != count:
            raise InputError(f"{name} labels: {len(labels)} rows for {count} items")


def _by_radius(items: NDArray[np.int64], relevant: NDArray[np.int64]) -> pd.DataFrame:
    precision, recall = precision_recall_by_radius(items, relevant)
    table = pd.DataFrame(
        {"radius": np.arange(items.shape[1]), "precision": precision, "recall": recall}
    )
    return table.dropna(ignore_index=True)


def _by_rank(items: NDArray[np.int64], relevant: NDArray[np.int64]) -> pd.DataFrame:
    ranks = np.unique(np.geomspace(1, items.sum(axis=1).min(), CURVE_POINTS).round().astype(int))
    precision, recall = precision_recall_by_rank(items, relevant, ranks)
    return pd.DataFrame({"rank": ranks, "precision": precision, "recall": recall})

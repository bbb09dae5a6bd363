"""Relevance: an item is relevant to a query if the two share at least one label."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.retrieval.codes import words


class Relevance:
    """The relevance of N database items to Q queries, without a (Q, N) matrix.

    It is made from boolean label matrices (Q, C) and (N, C), and keeps them by category and as
    64-bit words. Raises InputError if they are not boolean matrices or differ in width.
    """

    def __init__(self, query_labels: NDArray[np.bool_], database_labels: NDArray[np.bool_]) -> None:
        for name, labels in (("query", query_labels), ("database", database_labels)):
            if labels.dtype != np.bool_ or labels.ndim != 2:
                raise InputError(
                    f"{name} labels: expected a boolean matrix (items, categories), not "
                    f"{labels.dtype} of shape {labels.shape}"
                )
        if query_labels.shape[1] != database_labels.shape[1]:
            raise InputError(
                f"labels: {query_labels.shape[1]} categories for the queries, "
                f"{database_labels.shape[1]} for the database"
            )
        self._query_labels = query_labels
        self._categories = np.ascontiguousarray(database_labels.T)  # (C, N)
        self._members = [np.flatnonzero(category) for category in self._categories]
        self._query = words(np.packbits(query_labels, axis=1))  # (W, Q)
        self._database = words(np.packbits(database_labels, axis=1))  # (W, N)

    def members(self, query: int) -> NDArray[np.int64]:
        """Return the database indices of the items relevant to one query, in ascending order."""
        categories = self._query_labels[query].nonzero()[0]
        if len(categories) == 1:
            return self._members[int(categories[0])]
        members: NDArray[np.int64] = self._categories[categories].any(axis=0).nonzero()[0]
        return members

    def of(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of `items` (Q, K), database indices, are relevant: (Q, K). -1 never is."""
        relevant = np.zeros(items.shape, dtype=np.bool_)
        for theirs, ours in zip(self._database, self._query, strict=True):
            relevant |= (theirs[items] & ours[:, None]) != 0
        return relevant & (items >= 0)


def self_matches(query_ids: NDArray[np.str_], database_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Find each query's own id in the database: its index (Q,), or -1 if it is not there.

    The database's ids are unique.
    """
    return pd.Index(database_ids).get_indexer(pd.Index(query_ids)).astype(np.int64)

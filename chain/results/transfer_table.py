"""The table of methods that were trained on one data set and evaluated on another."""

import pandas as pd

from chain.results.labels import labelled
from chain.results.score_cells import wide_cells_by_k
from chain.results.table import Table

TRANSFER = ("source", "dataset", "method")
"""The columns that name a row: where a method was trained, where evaluated, and which it is."""


def transfer_table(scores: pd.DataFrame) -> Table:
    """Strict mAP@K of every pair of data sets and method; the best method of a pair is bold.

    `scores` has columns source, dataset, method, k, map_strict and, for several seeds, sd_strict.
    """
    wide = labelled(wide_cells_by_k(scores, TRANSFER, ("source", "dataset", "k")))
    return Table.of(wide.rename(columns={"source": "trained on", "dataset": "retrieval on"}))

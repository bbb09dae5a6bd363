"""mAP of all methods, code lengths and data sets, as tables in print."""

import pandas as pd

from chain.results.at_k import at_k
from chain.results.checked import checked
from chain.results.labels import dataset_label, labelled, method_label, ordered
from chain.results.score_cells import wide_cells, wide_cells_by_k
from chain.results.table import Cell, Table
from chain.results.wide import ROW, in_order

FLOAT_LABEL = "float features, cosine"


def map_table(scores: pd.DataFrame, protocol: str = "strict") -> Table:
    """mAP@K of every method, the best of each data set, code length and K in bold.

    `scores` has columns dataset, method, bits, k and `map_<protocol>`, a fraction; the protocol is
    "strict" or "ssvh". A column `sd_<protocol>` is printed behind the mean, except where it is NaN.
    Raises InputError if a column is missing or not finite, and if rows repeat.
    """
    checked(scores, [*ROW, "k"], [f"map_{protocol}"])
    wide = wide_cells_by_k(in_order(scores), ROW, ("dataset", "bits", "k"), protocol)
    wide = labelled(wide).rename(columns={"dataset": "data set"})
    return Table.of(wide, f"mAP@K, {protocol} protocol")


def float_table(scores: pd.DataFrame) -> Table:
    """Strict mAP@K (dataset, k, map_strict) of the CNN's mean-pooled features by cosine."""
    wide = wide_cells_by_k(scores, ["dataset"], ("dataset", "k"))
    wide.insert(1, "strict protocol", FLOAT_LABEL)
    return Table.of(labelled(wide).rename(columns={"dataset": "data set"}), "Without a code")


def readme_tables(scores: pd.DataFrame, floats: pd.DataFrame, k: int) -> list[Table]:
    """Strict mAP@`k` of every method by code length, one table a data set.

    `scores` are as for `map_table`. `floats` (dataset, k, map_strict) make a last row in italics,
    with the same value at each code length. A data set that lacks this K has the largest smaller
    one.
    """
    tables = []
    for dataset, part in at_k(scores, k).groupby("dataset", sort=False):
        own = part["k"].iloc[0]
        wide = wide_cells(part, ["method"], "bits", ["bits"]).set_index("method")
        wide = wide.loc[ordered(part["method"])].rename(method_label)
        wide.columns = [f"{bits} bits" for bits in wide.columns]
        if len(floats):
            found = floats[(floats["dataset"] == dataset) & (floats["k"] == own)]
            for value in found["map_strict"]:
                cells = [Cell(f"{value:.3f}")] * len(wide.columns)
                wide.loc[f"*{FLOAT_LABEL}*"] = pd.Series(cells, index=wide.columns)
        heading = f"{dataset_label(str(dataset))}, mAP@{own}"
        tables.append(Table.of(wide.rename_axis(heading).reset_index()))
    return tables

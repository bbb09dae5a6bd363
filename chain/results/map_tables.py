"""mAP of all methods, code lengths and data sets, as tables in print."""

import pandas as pd

from chain.results.at_k import at_k
from chain.results.checked import checked
from chain.results.floors import floor_note, marked
from chain.results.labels import FLOAT_LABELS, dataset_label, labelled, method_label, ordered
from chain.results.score_cells import wide_cells, wide_cells_by_k
from chain.results.table import Cell, Table
from chain.results.wide import ROW, in_order

FLOAT_NOTE = (
    "Float features are compared by cosine similarity. Where an aim or the report's answer speaks "
    "of the best float features, it means the best of these rows at its K. That row is chosen by "
    "mAP over all queries of the data set."
)


def map_table(
    scores: pd.DataFrame, protocol: str = "strict", floats: pd.DataFrame | None = None
) -> Table:
    """mAP@K of every method, the best of each data set, code length and K in bold.

    `scores` has columns dataset, method, bits, k and `map_<protocol>`, a fraction; the protocol is
    "strict" or "ssvh". A column `sd_<protocol>` is printed behind the mean, except where it is NaN.
    With `floats` (dataset, variant, k, map_strict), a learned method that does not beat the best
    floor is marked. Raises InputError if a column is missing or not finite, and if rows repeat.
    """
    checked(scores, [*ROW, "k"], [f"map_{protocol}"])
    note = ""
    if floats is not None:
        scores = marked(scores, floats)
        note = floor_note(scores)
    wide = wide_cells_by_k(in_order(scores), ROW, ("dataset", "bits", "k"), protocol)
    wide = labelled(wide).rename(columns={"dataset": "data set"})
    return Table.of(wide, f"mAP@K, {protocol} protocol", note)


def float_table(floats: pd.DataFrame) -> Table:
    """Strict mAP@K (dataset, variant, k, map_strict) of the float features, the best in bold."""
    wide = wide_cells_by_k(floats, ["dataset", "variant"], ("dataset", "k"))
    wide["variant"] = wide["variant"].map(FLOAT_LABELS)
    names = {"dataset": "data set", "variant": "strict protocol"}
    return Table.of(labelled(wide).rename(columns=names), "Without a code", FLOAT_NOTE)


def readme_tables(scores: pd.DataFrame, floats: pd.DataFrame, k: int) -> list[Table]:
    """Strict mAP@`k` of every method by code length, one table a data set.

    `scores` are as for `map_table`. `floats` (dataset, variant, k, map_strict) make the last rows,
    in italics, with the same value at each code length. A learned method that does not beat the
    best floor is marked. A data set that lacks this K has the largest smaller one.
    """
    tables = []
    for dataset, part in at_k(marked(scores, floats), k).groupby("dataset", sort=False):
        own = part["k"].iloc[0]
        wide = wide_cells(part, ["method"], "bits", ["bits"]).set_index("method")
        wide = wide.loc[ordered(part["method"])].rename(method_label)
        wide.columns = [f"{bits} bits" for bits in wide.columns]
        found = floats[(floats["dataset"] == dataset) & (floats["k"] == own)]
        for variant, value in zip(found["variant"], found["map_strict"], strict=True):
            cells = [Cell(f"{value:.3f}")] * len(wide.columns)
            wide.loc[f"*{FLOAT_LABELS[variant]}*"] = pd.Series(cells, index=wide.columns)
        heading = f"{dataset_label(str(dataset))}, mAP@{own}"
        wide = wide.rename_axis(heading).reset_index()
        tables.append(Table.of(wide, note=floor_note(part)))
    return tables

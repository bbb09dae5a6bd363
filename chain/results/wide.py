"""Scores laid out for CSV files, with a column for each K or, for DVC's plots, each method."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chain.core.errors import InputError
from chain.results.checked import checked
from chain.results.labels import ordered

ROW = ["dataset", "bits", "method"]


def in_order(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by data set (as they come), code length (ascending) and method (as in legends)."""
    places = {
        "dataset": {name: place for place, name in enumerate(scores["dataset"].unique())},
        "method": {name: place for place, name in enumerate(ordered(scores["method"]))},
    }
    return scores.sort_values(
        ROW,
        key=lambda column: column.map(places[column.name]) if column.name in places else column,
        kind="stable",
        ignore_index=True,
    )


def wide_table(scores: pd.DataFrame, values: Sequence[str]) -> pd.DataFrame:
    """One row for each data set, code length and method, with the columns of `values` at each K.

    `scores` has columns dataset, method, bits, k and `values`. The result has columns dataset,
    bits, method and `<value>@<k>`; its rows are `in_order`, and what was not measured is NaN.
    Raises InputError if a column is missing or holds NaN, and if rows repeat.
    """
    checked(scores, [*ROW, "k"], values)
    wide = scores.pivot(index=ROW, columns="k", values=list(values))
    wide.columns = wide.columns.map("{0[0]}@{0[1]}".format)
    return in_order(scores[ROW].drop_duplicates()).merge(wide.reset_index(), on=ROW)


def wide_curve(scores: pd.DataFrame, dataset: str, bits: int, x: str, y: str) -> pd.DataFrame:
    """The curves of one data set and code length: column `x`, then `y` in one column a method.

    `scores` has columns dataset, method, bits, `x` and `y`.

    * The rows are all `x` within the range that every method covers.
    * A method that lacks one of them is interpolated linearly.
    * A method that has one of them several times counts with its mean, since recall may stand still
      from rank to rank.

    Raises InputError if a column is missing or not finite, if the data set is not in the table at
    this code length, and if the methods' ranges do not overlap.
    """
    checked(scores, ["dataset", "method", "bits"], [x, y], unique=False)
    part = scores[(scores["dataset"] == dataset) & (scores["bits"] == bits)]
    if part.empty:
        raise InputError(f"table: no row of {dataset} at {bits} bits")
    curves = {
        method: part[part["method"] == method].groupby(x)[y].mean()
        for method in ordered(part["method"])
    }
    start = max(curve.index.min() for curve in curves.values())
    stop = min(curve.index.max() for curve in curves.values())
    grid = np.unique(part[x].to_numpy())
    grid = grid[(grid >= start) & (grid <= stop)]
    if not len(grid):
        raise InputError(f"table: no {x} that all methods cover on {dataset} at {bits} bits")
    columns = {
        method: np.interp(grid, curve.index.to_numpy(), curve.to_numpy())
        for method, curve in curves.items()
    }
    return pd.DataFrame({x: grid, **columns})

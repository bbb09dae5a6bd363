"""mAP of all methods, code lengths and data sets: wide tables, Markdown, and curves for DVC."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chain.core.errors import InputError
from chain.figures.panels import checked
from chain.figures.style import dataset_label, method_style, ordered

CELL = ["dataset", "bits", "k"]
ROW = ["dataset", "bits", "method"]
ABSENT = "–"


def wide_table(table: pd.DataFrame, values: Sequence[str]) -> pd.DataFrame:
    """One row a data set, code length and method; columns dataset, bits, method, `<value>@<k>`.

    `table` has columns dataset, method, bits, k and `values`. Data sets keep their order, lengths
    ascend, methods are in the order of the figures; what was not measured is NaN. Raises
    InputError on columns that are missing or hold NaN, and on repeated rows.
    """
    checked(table, [*ROW, "k"], values)
    wide = table.pivot(index=ROW, columns="k", values=list(values))
    wide.columns = wide.columns.map("{0[0]}@{0[1]}".format)
    return _in_order(wide.reset_index(), table)


def markdown_table(table: pd.DataFrame, protocol: str = "strict") -> str:
    """mAP@K to three decimals, the best of each data set, code length and K in bold.

    `table` as for `map_curves`; a column `sd_<protocol>` gives "mean ± sd", except where it is
    NaN. Methods that print the same mean share the bold; a method alone has none. Raises InputError
    as `map_curves` does.
    """
    value, spread = f"map_{protocol}", f"sd_{protocol}"
    checked(table, [*ROW, "k"], [value])
    rows = table.assign(mean=table[value].map("{:.3f}".format))
    rivals = rows.groupby(CELL)
    best = (rows["mean"] == rivals["mean"].transform("max")) & (
        rivals["mean"].transform("size") > 1
    )
    text = rows["mean"]
    if spread in rows.columns:
        known = rows[spread].notna()
        text = text.mask(known, text + " ± " + rows[spread].map("{:.3f}".format))
    rows["text"] = text.mask(best, "**" + text + "**")

    wide = _in_order(rows.pivot(index=ROW, columns="k", values="text").reset_index(), table)
    topk = sorted(table["k"].unique())
    lines = [
        ["data set", "bits", "method", *(f"mAP@{k}" for k in topk)],
        ["---", "--:", "---", *("--:" for _ in topk)],
    ]
    for row in wide.fillna(ABSENT).to_dict("records"):
        name, label = dataset_label(row["dataset"]), method_style(row["method"]).label
        lines.append([name, str(row["bits"]), label, *(row[k] for k in topk)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def float_table(table: pd.DataFrame) -> str:
    """Strict mAP@K (dataset, k, map_strict) of the CNN's mean-pooled features by cosine."""
    topk = sorted(table["k"].unique())
    lines = [
        ["data set", "strict protocol", *(f"mAP@{k}" for k in topk)],
        ["---", "---", *("--:" for _ in topk)],
    ]
    for dataset, rows in table.groupby("dataset", sort=False):
        by_k = rows.set_index("k")["map_strict"]
        label = dataset_label(str(dataset))
        lines.append([label, "float features, cosine", *(f"{by_k[k]:.3f}" for k in topk)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def wide_curve(table: pd.DataFrame, dataset: str, bits: int, x: str, y: str) -> pd.DataFrame:
    """One data set and code length: column `x`, then `y` in one column a method.

    `table` has columns dataset, method, bits, `x` and `y`. The rows are all `x` within the range
    that every method covers; a method that lacks one of them is interpolated linearly, and one that
    has it several times (recall may stand still from rank to rank) counts with its mean. Raises
    InputError on columns that are missing or not finite, if this data set and code length are not
    in the table, and if the methods' ranges do not overlap.
    """
    checked(table, ["dataset", "method", "bits"], [x, y], unique=False)
    part = table[(table["dataset"] == dataset) & (table["bits"] == bits)]
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


def _in_order(wide: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `wide` by data set as in `table`, code length, and method as in the figures."""
    places = {
        "dataset": {name: place for place, name in enumerate(table["dataset"].unique())},
        "method": {name: place for place, name in enumerate(ordered(table["method"]))},
    }
    return wide.sort_values(
        ROW,
        key=lambda column: column.map(places[column.name]) if column.name in places else column,
        ignore_index=True,
    )

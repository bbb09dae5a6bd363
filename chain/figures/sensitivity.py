"""mAP against the value of each parameter, while all others stay at their defaults."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chain.core.errors import InputError
from chain.figures.panels import legend_above, method_line, panel_grid
from chain.figures.style import house_style
from chain.results.checked import checked

COLUMNS = 3
MARGIN = 0.08  # above and below the values, as a fraction of their range
DEFAULT: dict[str, Any] = {
    "color": "#000000",
    "marker": "D",
    "linestyle": "",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgewidth": 1.4,
    "zorder": 6,
}


@house_style()
def sensitivity(table: pd.DataFrame, k: int = 20) -> Figure:
    """Draw a panel for each parameter, with CHAIN's mAP@`k` against its values, on one scale.

    `table` has columns parameter (its name in print), value, map and default, which is true for one
    value of each parameter. A column sd becomes error bars, except where it is NaN. Values stand at
    even distances, in ascending order, so that 0 and powers of ten fit one axis. Raises InputError
    if a column is missing or not finite, if values repeat, and if a parameter has not one default.
    """
    table = _with_range(table)
    names = list(table["parameter"].unique())
    rows = -(-len(names) // COLUMNS)
    figure, axes = panel_grid(rows, -(-len(names) // rows))
    for panel in axes.flat[len(names) :]:
        panel.remove()
    low, high = table["low"].min(), table["high"].max()
    margin = MARGIN * (high - low) or 0.01
    for panel, name in zip(axes.flat, names, strict=False):
        part = table[table["parameter"] == name].sort_values("value", ignore_index=True)
        _draw_parameter(panel, part)
        panel.set(xlabel=name, ylim=(low - margin, high + margin))
    for panel in axes[:, 0]:
        panel.set_ylabel(f"mAP@{k}")
    line = method_line("chain")
    if (table["high"] > table["low"]).any():
        line["label"] += ", mean ± sd over seeds"
    legend_above(figure, [Line2D([], [], **line), Line2D([], [], label="default", **DEFAULT)])
    return figure


def _with_range(table: pd.DataFrame) -> pd.DataFrame:
    """Check the table and add low and high: map ∓ sd, or map itself where sd is not known."""
    checked(table, ["parameter", "default"], ["value", "map"], unique=False)
    checked(table, ["parameter", "value"], [])
    if table["default"].dtype != bool:
        raise InputError("table: column 'default' holds something else than true and false")
    defaults = table.groupby("parameter", sort=False)["default"].sum()
    for name, count in defaults[defaults != 1].items():
        raise InputError(f"table: {count} defaults of parameter {name!r}")
    spread = table["sd"].fillna(0) if "sd" in table.columns else 0.0
    return table.assign(low=table["map"] - spread, high=table["map"] + spread)


def _draw_parameter(panel: Axes, part: pd.DataFrame) -> None:
    """Draw one parameter, whose rows are numbered from 0 in the order of their values."""
    look = method_line("chain")
    panel.plot(part.index, part["map"], **look)
    panel.vlines(part.index, part["low"], part["high"], colors=look["color"], linewidth=1.4)
    chosen = part[part["default"]]
    panel.plot(chosen.index, chosen["map"], **DEFAULT)
    panel.set_xticks(part.index, [f"{value:g}" for value in part["value"]])
    panel.set_xlim(-0.5, len(part) - 0.5)
    panel.grid(False, axis="x")

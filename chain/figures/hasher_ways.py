"""What each way to compute a code costs: milliseconds from file to code, and quality lost."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chain.figures.style import WIDTH, house_style, method_style
from chain.results.checked import checked

PANELS = {
    "milliseconds": "ms from a file to its code, one thread",
    "flipped": "bits flipped, %",
    "lost": "mAP@20 lost",
}

# Inches.
LINE = 0.33  # height of a way
REST = 0.8  # height of the axes' labels


@house_style()
def hasher_ways(table: pd.DataFrame) -> Figure:
    """Draw a row for each way, with a bar in each of three panels; shorter is better in all.

    `table` has the columns way, milliseconds, flipped (a share of all bits) and lost (mAP). Raises
    InputError if it has no rows, if a number is not finite, and if ways repeat.
    """
    rows = checked(table, ["way"], list(PANELS)).assign(flipped=100 * table["flipped"])
    figure = Figure((WIDTH, REST + LINE * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for panel, (column, label) in zip(axes, PANELS.items(), strict=True):
        _draw(panel, rows["way"], rows[column])
        panel.set_xlabel(label)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _draw(panel: Axes, ways: pd.Series, values: pd.Series) -> None:
    panel.barh(ways, values, height=0.6, color=method_style("chain").colour)
    panel.axvline(0, color="#000000", linewidth=0.8)
    panel.grid(True, axis="x")
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)

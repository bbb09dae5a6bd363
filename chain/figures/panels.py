"""What the line figures share: grids of panels, and one line for each method."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chain.figures.style import WIDTH, legend_columns, method_style
from chain.results.labels import dataset_label, method_label, ordered

PANEL_WIDTH = 3.0  # inches, where there is room
PANEL_HEIGHT = 2.3


def panel_grid(rows: int, columns: int, share_y: bool = True) -> tuple[Figure, NDArray[Any]]:
    """Make a figure and its axes (rows, columns); `share_y` gives each row one scale."""
    # A single column stays as wide as two, so that a legend and long labels fit above it.
    width = 2 * PANEL_WIDTH if columns < 3 else max(WIDTH, 2.2 * columns)
    figure = Figure((width, rows * PANEL_HEIGHT + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_y else False)
    for panel in axes.flat:
        panel.grid(True)
    return figure, axes


def curve_grid(
    table: pd.DataFrame,
    x: tuple[str, str],
    y: tuple[str, str],
    spread: str | None = None,
    markers: float | None = None,
) -> Figure:
    """Draw a panel for each data set and code length, with a line for each method.

    `x` and `y` are pairs of a column and its label. A line follows the order of the rows. See
    `draw_methods` for `spread` and `markers`.
    """
    datasets, lengths = list(table["dataset"].unique()), sorted(table["bits"].unique())
    figure, axes = panel_grid(len(datasets), len(lengths))
    for row, dataset in enumerate(datasets):
        for column, bits in enumerate(lengths):
            panel = axes[row, column]
            part = table[(table["dataset"] == dataset) & (table["bits"] == bits)]
            draw_methods(panel, part, x[0], y[0], spread, markers)
            if row == 0:
                panel.set_title(f"{bits} bits")
            if row == len(datasets) - 1:
                panel.set_xlabel(x[1])
            if column == 0:
                panel.set_ylabel(f"{dataset_label(dataset)}\n{y[1]}")
        axes[row, 0].set_ylim(bottom=0)
    method_legend(figure, table["method"])
    return figure


def draw_methods(
    panel: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    spread: str | None = None,
    markers: float | None = None,
) -> None:
    """Draw a line for each method, with a band of the column `spread` where that is known.

    `markers` is matplotlib's `markevery`; without it, each point has a marker.
    """
    for method in ordered(table["method"]):
        part, look = table[table["method"] == method], method_line(method)
        panel.plot(part[x], part[y], markevery=markers, **look)
        if spread is not None:
            low, high = part[y] - part[spread], part[y] + part[spread]
            panel.fill_between(part[x], low, high, color=look["color"], alpha=0.2, linewidth=0)


def method_line(method: str) -> dict[str, Any]:
    """The properties of a method's line: name, colour, marker, dash and width."""
    style = method_style(method)
    return {
        "label": method_label(method),
        "color": style.colour,
        "marker": style.marker,
        "linestyle": style.dash,
        "linewidth": style.width,
        "markersize": 3.5 + style.width,
        "markeredgewidth": 0,
        "zorder": 2 + style.width,
    }


def method_legend(figure: Figure, methods: pd.Series) -> None:
    """Draw one legend for all panels, above them."""
    legend_above(figure, [Line2D([], [], **method_line(method)) for method in ordered(methods)])


def legend_above(figure: Figure, lines: Sequence[Line2D]) -> None:
    """Draw a legend of labelled `lines` above the panels, in as few rows as the width allows."""
    columns = legend_columns([str(line.get_label()) for line in lines], figure.get_figwidth())
    figure.legend(handles=lines, loc="outside upper center", ncols=columns, columnspacing=1.4)

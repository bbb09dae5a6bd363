"""How far the code of a clip is from that of the same clip played backwards, for each method."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from chain.figures.panels import PANEL_WIDTH, legend_above
from chain.figures.style import house_style, method_style
from chain.results.checked import checked
from chain.results.labels import method_label, ordered

OTHERS: dict[str, dict[str, Any]] = {  # distances of two clips, drawn in grey to compare with
    "category": {"marker": "|", "markersize": 11, "markeredgewidth": 2, "color": "#555555"},
    "random": {"marker": "D", "markersize": 4.5, "markeredgewidth": 0, "color": "#aaaaaa"},
}
REVERSED: dict[str, Any] = {"marker": "o", "markersize": 8, "markeredgewidth": 0, "zorder": 3}
LEGEND = {
    "reversed": "a clip and its reversal",
    "category": "two clips of a category",
    "random": "any two clips",
}

# Inches.
LINE = 0.27  # height of a method
REST = 1.0  # height of legend and axis


@house_style()
def reversal_distance(table: pd.DataFrame, bits: int) -> Figure:
    """Draw a line for each method, with a mark at each of three mean Hamming distances.

    `table` has a row for each method: the columns method, reversed, category and random, as
    `chain.analysis.reversal` computes them for codes of `bits` bits. A column sd_reversed becomes a
    thin line. This one, category and random may be NaN. Raises InputError if the table has no
    rows, if `reversed` is not finite, and if methods repeat.
    """
    rows = checked(table, ["method"], ["reversed"]).set_index("method")
    methods = ordered(rows.index)
    figure = Figure((2 * PANEL_WIDTH, REST + LINE * len(methods)), layout="constrained")
    panel = figure.subplots()
    for place, method in enumerate(methods):
        row, colour = rows.loc[method], method_style(method).colour
        for name, look in OTHERS.items():
            panel.plot(row[name], place, **look)
        panel.plot(row["reversed"], place, color=colour, **REVERSED)
        spread = row.get("sd_reversed")
        if pd.notna(spread):
            ends = row["reversed"] - spread, row["reversed"] + spread
            panel.hlines(place, *ends, colors=colour, linewidth=1.2)
    panel.set_yticks(range(len(methods)), [method_label(method) for method in methods])
    panel.set_ylim(len(methods) - 0.5, -0.5)
    panel.set_xlim(right=1.05 * panel.get_xlim()[1])
    panel.set_xlabel(f"mean Hamming distance (of {bits} bits)")
    panel.axvline(0, color="#000000", linewidth=0.8, zorder=1)
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.grid(True)
    looks = {"reversed": {**REVERSED, "color": "#000000"}, **OTHERS}
    legend_above(
        figure,
        [Line2D([], [], linestyle="", label=LEGEND[name], **look) for name, look in looks.items()],
    )
    return figure

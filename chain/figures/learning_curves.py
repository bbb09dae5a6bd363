"""The parts of each method's loss, epoch by epoch."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chain.core.errors import InputError
from chain.figures.panels import legend_above, panel_grid
from chain.figures.style import house_style
from chain.results.checked import checked
from chain.results.labels import method_label, ordered

KEYS = ["method", "bits", "epoch"]
NOT_LOSSES = {*KEYS, "dataset", "seed", "lr"}
COLUMNS = 3

TOTAL = "loss"
TOTAL_COLOUR = "#000000"
PART_COLOURS = ["#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"]
PART_DASHES = ["-", "--", "-."]


@house_style()
def learning_curves(table: pd.DataFrame) -> Figure:
    """Draw a panel for each method and code length, with a line for each part of the loss.

    `table` has columns method, bits, epoch and one for each part, and `loss` is their weighted sum.
    A part that a method does not have, or not in every epoch, is NaN there. A column seed tells
    apart runs whose mean is drawn, and the columns dataset and lr are ignored. Each panel has a
    scale of its own. Raises InputError if a column is missing, if there is no part or a method has
    none, and if rows repeat.
    """
    keys = [*KEYS, "seed"] if "seed" in table.columns else KEYS
    checked(table, keys, [])
    parts = [str(column) for column in table.columns if column not in NOT_LOSSES]
    if not parts:
        raise InputError("table: no column with a part of the loss")
    looks = {part: _look(place, part) for place, part in enumerate(parts)}
    runs = [
        (method, bits)
        for method in ordered(table["method"])
        for bits in sorted(table.loc[table["method"] == method, "bits"].unique())
    ]
    columns = min(COLUMNS, len(runs))
    figure, axes = panel_grid(-(-len(runs) // columns), columns, share_y=False)
    for panel in axes.flat[len(runs) :]:
        panel.remove()
    for panel, (method, bits) in zip(axes.flat, runs, strict=False):
        run = table[(table["method"] == method) & (table["bits"] == bits)]
        present = [part for part in parts if not run[part].isna().all()]
        if not present:
            raise InputError(f"table: no part of the loss of {method!r} at {bits} bits")
        for part in present:
            means = checked(run.dropna(subset=part), keys, [part]).groupby("epoch")[part].mean()
            panel.plot(means, marker="o" if len(means) == 1 else "", **looks[part])
        panel.set(title=f"{method_label(method)}, {bits} bits", xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    for panel in axes[:, 0]:
        panel.set_ylabel("loss")
    legend_above(figure, [Line2D([], [], **look) for look in looks.values()])
    return figure


def _look(place: int, part: str) -> dict[str, Any]:
    if part == TOTAL:
        return {"label": part, "color": TOTAL_COLOUR, "linewidth": 2.2}
    colour = PART_COLOURS[place % len(PART_COLOURS)]
    dash = PART_DASHES[place // len(PART_COLOURS) % len(PART_DASHES)]
    return {"label": part, "color": colour, "linestyle": dash, "linewidth": 1.4}

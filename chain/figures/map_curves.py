"""mAP@K against K (figure 3 of arXiv 2310.18926)."""

from itertools import product
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from chain.figures.panels import curve_grid, legend_above, method_line
from chain.figures.style import house_style, method_style
from chain.results.checked import checked
from chain.results.labels import method_label, ordered
from chain.results.published import benchmark


@house_style()
def map_curves(
    table: pd.DataFrame, protocol: str = "strict", published: pd.DataFrame | None = None
) -> Figure:
    """Draw mAP@K against K: a panel for each data set and code length, a line for each method.

    `table` has columns dataset, method, bits, k and `map_<protocol>`, a fraction; the protocol is
    "strict" or "ssvh". A column `sd_<protocol>` becomes a band, except where it is NaN. With
    "ssvh", rows of `published` (dataset, method, bits, k, map_ssvh) that belong to a panel become
    thin dotted lines in it. Raises InputError if a column is missing or not finite, and if rows
    repeat.
    """
    value, spread = f"map_{protocol}", f"sd_{protocol}"
    table = checked(table, ["dataset", "method", "bits", "k"], [value])
    figure = curve_grid(
        table.sort_values("k", kind="stable"),
        ("k", "K"),
        (value, f"mAP@K ({protocol})"),
        spread if spread in table.columns else None,
    )
    for panel in figure.axes:
        whole = MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10])  # no K of 7.5
        panel.xaxis.set_major_locator(whole)
    if protocol == "ssvh" and published is not None and len(published):
        _add_published(figure, table, published)
    return figure


def _add_published(figure: Figure, table: pd.DataFrame, published: pd.DataFrame) -> None:
    """Draw in each panel of `curve_grid` what was published on it, and name it in the legend."""
    checked(published, ["dataset", "method", "bits", "k"], ["map_ssvh"])
    shown = []
    cells = product(table["dataset"].unique(), sorted(table["bits"].unique()))
    for panel, (dataset, bits) in zip(figure.axes, cells, strict=True):
        part = published[(published["dataset"] == benchmark(dataset)) & (published["bits"] == bits)]
        for method, line in part.sort_values("k").groupby("method"):
            panel.plot(line["k"], line["map_ssvh"], **_published_line(str(method)))
            shown.append(str(method))
        panel.autoscale(axis="y")  # `curve_grid` has fixed the scale to its own lines
        panel.set_ylim(bottom=0)
    if shown:
        looks = [method_line(method) for method in ordered(table["method"])]
        looks += [_published_line(method) for method in ordered(shown)]
        figure.legends[0].remove()
        legend_above(figure, [Line2D([], [], **look) for look in looks])


def _published_line(method: str) -> dict[str, Any]:
    style = method_style(method)
    return {
        "label": f"{method_label(method)}, published",
        "color": style.colour,
        "linestyle": ":",
        "linewidth": 1.0,
        "alpha": 0.6,
        "zorder": 2,
    }

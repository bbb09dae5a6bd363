"""Where CHAIN is better than ConMH, category by category."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from chain.core.errors import InputError
from chain.datasets.manifest import categories_of
from chain.figures.panels import PANEL_WIDTH
from chain.figures.style import house_style, method_style, shorten
from chain.results.checked import checked
from chain.results.labels import method_label

OURS, THEIRS = "chain", "conmh"
EITHER_END = 15  # of more than twice as many, only the best and the worst are shown
LONGEST_NAME = 28
SPREAD = "#000000"
DOT: dict[str, Any] = {"color": "#000000", "marker": "o", "markersize": 4, "linestyle": ""}

# Inches.
BAR = 0.19  # height, with the gap to the next
REST = 1.5  # height of legend, title and axis


def category_gains(
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    category_of: Mapping[str, str],
    k: int = 20,
    order_only: Collection[str] = (),
) -> pd.DataFrame:
    """The mAP@`k` of each category, ours minus theirs, the largest gain first.

    `ours` and `theirs` have columns seed, id and `ap<k>`, as the evaluation writes them.
    `category_of` maps a query's id to its labels as in the manifest, and a query with several
    labels counts in each category. The result has these columns:

    * `category`
    * `gain`: the mean over seeds
    * `sd`: the standard deviation over seeds, NaN for one seed
    * `order_only`: whether the category is in that collection

    Raises InputError if the tables do not hold the same queries and seeds, and if a query has no
    category.
    """
    keys, precision = ["seed", "id"], f"ap{k}"
    left, right = (
        checked(table, keys, [precision]).set_index(keys)[precision] for table in (ours, theirs)
    )
    gains = (left - right).rename("gain").reset_index()
    if gains["gain"].isna().any():
        raise InputError("queries: the two tables hold different queries or seeds")
    gains["category"] = [categories_of(category_of.get(clip, "")) for clip in gains["id"]]
    nameless = gains["id"][~gains["category"].astype(bool)]
    if len(nameless):
        raise InputError(f"queries: no category of {nameless.iloc[0]!r}")
    by_seed = gains.explode("category").groupby(["category", "seed"])["gain"].mean()
    over_seeds = by_seed.groupby("category")
    table = pd.DataFrame({"gain": over_seeds.mean(), "sd": over_seeds.std(ddof=1)}).reset_index()
    table["order_only"] = table["category"].isin(list(order_only))
    return _best_first(table)


@house_style()
def category_gain(table: pd.DataFrame, k: int = 20) -> Figure:
    """Draw a horizontal bar for each category, the largest gain on top.

    `table` has columns category, gain and order_only (bool), as `category_gains` makes it. A dot
    marks the categories with `order_only`. A column sd becomes a thin line, except where it is NaN.
    Of more than 30 categories the 15 best and the 15 worst are shown. Raises InputError if a column
    is missing or not finite, and if categories repeat.
    """
    checked(table, ["category", "order_only"], ["gain"], unique=False)
    checked(table, ["category"], [])
    if table["order_only"].dtype != bool:
        raise InputError("table: column 'order_only' holds something else than true and false")
    rows, title = _best_first(table), f"{len(table)} categories"
    if len(table) > 2 * EITHER_END:
        rows = pd.concat([rows.head(EITHER_END), rows.tail(EITHER_END)], ignore_index=True)
        title = f"the {EITHER_END} best and the {EITHER_END} worst of {title}"

    if "sd" in rows.columns and rows["sd"].notna().any():
        title += "\nmean ± sd over seeds"

    figure = Figure((2 * PANEL_WIDTH, REST + BAR * len(rows)), layout="constrained")
    panel = figure.subplots()
    _draw_bars(panel, rows)
    if len(table) > len(rows):
        panel.axhline(EITHER_END - 0.5, color="#777777", linestyle=":", linewidth=1.2)
    ours, theirs = method_label(OURS), method_label(THEIRS)
    panel.set(title=title, xlabel=f"mAP@{k} of {ours} minus that of {theirs}")
    handles: list[Patch | Line2D] = [
        Patch(facecolor=method_style(method).colour, label=f"{method_label(method)} better")
        for method in (OURS, THEIRS)
    ]
    if rows["order_only"].any():
        handles.append(Line2D([], [], label="pair differing in temporal order only", **DOT))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _best_first(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["gain", "category"], ascending=[False, True], ignore_index=True)


def _draw_bars(panel: Axes, rows: pd.DataFrame) -> None:
    colours = [method_style(OURS if gain >= 0 else THEIRS).colour for gain in rows["gain"]]
    panel.barh(rows.index, rows["gain"], height=0.74, color=colours)
    if "sd" in rows.columns:
        known = rows.dropna(subset="sd")
        low, high = known["gain"] - known["sd"], known["gain"] + known["sd"]
        panel.hlines(known.index, low, high, colors=SPREAD, linewidth=1)
    panel.axvline(0, color="#000000", linewidth=0.8)
    panel.set_yticks(rows.index, [shorten(name, LONGEST_NAME) for name in rows["category"]])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, pad=11)
    dotted = rows.index[rows["order_only"]]
    beside = panel.get_yaxis_transform()  # x in fractions of the panel's width
    panel.plot([-0.012] * len(dotted), dotted, transform=beside, clip_on=False, **DOT)
    panel.spines["left"].set_visible(False)
    panel.grid(True, axis="x")

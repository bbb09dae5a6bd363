"""What an update of a hasher gains, on early and on late categories."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chain.figures.style import WIDTH, house_style
from chain.results.checked import checked

WAYS = {  # way -> its name in print and its colour
    "old": ("old hasher", "#8a8a8a"),
    "updated": ("updated, stored codes kept", "#d55e00"),
    "anew": ("trained anew, all coded again", "#0072b2"),
}
GROUPS = {"all": "all queries", "early": "of early categories", "late": "of late categories"}
BAR = 0.26  # width; groups are 1 apart


@house_style()
def updates(table: pd.DataFrame) -> Figure:
    """Draw mAP@20 as bars in three groups of queries, with the spread over seeds.

    `table` has the columns way and seed, those of `GROUPS` (mAP), and seconds. The legend has the
    mean processor seconds of each way. Raises InputError if a column is missing or not finite, if
    the rows of a way repeat a seed, and if there are none.
    """
    rows = checked(table, ["way", "seed"], [*GROUPS, "seconds"]).groupby("way")
    means, spreads = rows.mean(numeric_only=True), rows.std(numeric_only=True).fillna(0.0)
    figure = Figure((WIDTH, 3.0), layout="constrained")
    panel = figure.subplots()
    for number, (way, (_, colour)) in enumerate(WAYS.items()):
        places = [group + (number - 1) * BAR for group in range(len(GROUPS))]
        heights, errors = means.loc[way, list(GROUPS)], spreads.loc[way, list(GROUPS)]
        panel.bar(places, heights, 0.9 * BAR, yerr=errors, color=colour, ecolor="#333333")
    panel.set_xticks(range(len(GROUPS)), list(GROUPS.values()))
    panel.set_ylabel("mAP@20")
    panel.grid(True, axis="y")
    panel.tick_params(axis="x", length=0)
    seconds = means["seconds"]
    patches = [
        Patch(color=colour, label=f"{name} ({float(seconds[way]):.0f} s)")
        for way, (name, colour) in WAYS.items()
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches))
    return figure

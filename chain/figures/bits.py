"""mAP against the code length."""

import pandas as pd
from matplotlib.figure import Figure

from chain.core.errors import InputError
from chain.figures.panels import draw_methods, method_legend, panel_grid
from chain.figures.style import house_style, method_style
from chain.results.checked import checked
from chain.results.labels import dataset_label


@house_style()
def map_by_bits(table: pd.DataFrame, protocol: str = "strict", k: int = 20) -> Figure:
    """Draw mAP@`k` against the code length: a panel for each data set, a line for each method.

    `table` is as for `map_curves`. A column `sd_<protocol>` becomes error bars, except where it is
    NaN. Raises InputError as `map_curves` does, and if no row has this `k`.
    """
    value, spread = f"map_{protocol}", f"sd_{protocol}"
    table = checked(table, ["dataset", "method", "bits", "k"], [value])
    table = table[table["k"] == k].sort_values("bits", kind="stable")
    if table.empty:
        raise InputError(f"table: no row with k = {k}")
    datasets, lengths = list(table["dataset"].unique()), list(table["bits"].unique())
    figure, axes = panel_grid(1, len(datasets), share_y=False)
    for panel, dataset in zip(axes[0], datasets, strict=True):
        part = table[table["dataset"] == dataset]
        draw_methods(panel, part, "bits", value)
        if spread in part.columns:
            known = part.dropna(subset=spread)
            low, high = known[value] - known[spread], known[value] + known[spread]
            colours = [method_style(method).colour for method in known["method"]]
            panel.vlines(known["bits"], low, high, colors=colours, linewidth=1)
        panel.set(title=dataset_label(dataset), xlabel="code length (bits)", xscale="log")
        panel.set_xticks(lengths, labels=[str(bits) for bits in lengths])
        panel.minorticks_off()
        panel.set_ylim(bottom=0)
    axes[0, 0].set_ylabel(f"mAP@{k} ({protocol})")
    method_legend(figure, table["method"])
    return figure

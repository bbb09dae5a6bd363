"""mAP against the code length."""

import pandas as pd
from matplotlib.figure import Figure

from chain.core.errors import InputError
from chain.figures.panels import draw_methods, method_legend, panel_grid
from chain.figures.style import house_style, method_style
from chain.results.at_k import at_k
from chain.results.checked import checked
from chain.results.labels import dataset_label


@house_style()
def map_by_bits(table: pd.DataFrame, protocol: str = "strict", k: int = 20) -> Figure:
    """Draw mAP@`k` against the code length: a panel for each data set, a line for each method.

    `table` is as for `map_curves`. A column `sd_<protocol>` becomes error bars, except where it is
    NaN. A data set that lacks this K is shown at its largest smaller one, and each panel then names
    its own. Raises InputError as `map_curves` does, and if no row has a K up to `k`.
    """
    value, spread = f"map_{protocol}", f"sd_{protocol}"
    table = checked(table, ["dataset", "method", "bits", "k"], [value])
    table = at_k(table, k).sort_values("bits", kind="stable")
    if table.empty:
        raise InputError(f"table: no row with k up to {k}")
    alike = table["k"].nunique() == 1
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
        title = dataset_label(dataset) + ("" if alike else f", mAP@{part['k'].iloc[0]}")
        panel.set(title=title, xlabel="code length (bits)", xscale="log")
        panel.set_xticks(lengths, labels=[str(bits) for bits in lengths])
        panel.minorticks_off()
        panel.set_ylim(bottom=0)
    axes[0, 0].set_ylabel(f"mAP@{table['k'].iloc[0] if alike else 'K'} ({protocol})")
    method_legend(figure, table["method"])
    return figure

"""mAP@K against K (figure 3 of arXiv 2310.18926)."""

import pandas as pd
from matplotlib.figure import Figure

from chain.figures.panels import checked, curve_grid
from chain.figures.style import house_style


@house_style()
def map_curves(table: pd.DataFrame, protocol: str = "strict") -> Figure:
    """Data sets by code lengths, mAP@K against K, a line for each method.

    `table` has columns dataset, method, bits, k and `map_<protocol>`, a fraction; the protocol is
    "strict" or "ssvh". A column `sd_<protocol>` becomes a band, except where it is NaN. Raises
    InputError on columns that are missing or not finite, and on repeated rows.
    """
    value, spread = f"map_{protocol}", f"sd_{protocol}"
    table = checked(table, ["dataset", "method", "bits", "k"], [value])
    return curve_grid(
        table.sort_values("k", kind="stable"),
        ("k", "K"),
        (value, f"mAP@K ({protocol})"),
        spread if spread in table.columns else None,
    )

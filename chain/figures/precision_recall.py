"""Precision-recall curves (figure 4 of arXiv 2310.18926)."""

import pandas as pd
from matplotlib.figure import Figure

from chain.figures.panels import curve_grid
from chain.figures.style import house_style
from chain.results.checked import checked

MARKER_SPACING = 0.15  # of the panel's diagonal


@house_style()
def precision_recall(table: pd.DataFrame) -> Figure:
    """Data sets by code lengths, precision against recall, a line for each method.

    `table` has columns dataset, method, bits, recall and precision, fractions, its rows in order of
    rank (or of radius). Raises InputError on columns that are missing or not finite.
    """
    table = checked(table, ["dataset", "method", "bits"], ["recall", "precision"], unique=False)
    return curve_grid(
        table, ("recall", "recall"), ("precision", "precision"), markers=MARKER_SPACING
    )

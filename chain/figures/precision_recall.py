"""Precision-recall curves (figure 4 of arXiv 2310.18926)."""

import pandas as pd
from matplotlib.figure import Figure

from chain.figures.panels import curve_grid
from chain.figures.style import house_style
from chain.results.checked import checked

MARKER_SPACING = 0.15  # of the panel's diagonal


@house_style()
def precision_recall(table: pd.DataFrame) -> Figure:
    """Draw precision against recall: a panel for each data set and code length, a line a method.

    `table` has columns dataset, method, bits, and the fractions recall and precision. Its rows are
    in order of rank or of Hamming radius. Raises InputError if a column is missing or not finite.
    """
    table = checked(table, ["dataset", "method", "bits"], ["recall", "precision"], unique=False)
    return curve_grid(
        table, ("recall", "recall"), ("precision", "precision"), markers=MARKER_SPACING
    )

"""Where in time CHAIN's order task puts a frame, against where the frame is."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.figures.style import house_style, shorten

COLUMNS = 3
FEW = 8  # positions; so many are printed in their cells and numbered one by one
COLOUR_MAP = "Blues"  # it darkens throughout, so that it is read without colour, too
LONGEST_NAME = 32

# Inches.
PANEL = 2.75  # width
BAR = 0.85
PANEL_HEIGHT = 3.1


@house_style()
def order_confusion(counts: Mapping[str, NDArray[np.int64]], chance: float) -> Figure:
    """Draw a heat map for each name: how often frames of a position are put at each position.

    Each matrix of `counts` is (T, T), with true positions in rows and predicted ones in columns,
    and T may differ. Rows are drawn as fractions on one scale of colour, and a row without frames
    stays empty. Titles give the accuracy, and `chance`, which is that of guessing. Raises
    InputError if there is no matrix, and if one is not square, has a negative entry or no frames.
    """
    if not counts:
        raise InputError("order confusion: nothing to show")
    for name, matrix in counts.items():
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise InputError(f"order confusion: {name}: expected (T, T), not {matrix.shape}")
        if (matrix < 0).any() or not matrix.any():
            raise InputError(f"order confusion: {name}: a negative count or no frames")
    shares = {
        name: matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        for name, matrix in counts.items()
    }
    top = max(float(share.max()) for share in shares.values())

    rows = -(-len(counts) // COLUMNS)
    columns = -(-len(counts) // rows)
    figure = Figure((columns * PANEL + BAR, rows * PANEL_HEIGHT), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat[len(counts) :]:
        panel.remove()
    panels = list(axes.flat[: len(counts)])
    for panel, (name, share) in zip(panels, shares.items(), strict=True):
        drawn = _draw_matrix(panel, share, top)
        accuracy = np.trace(counts[name]) / counts[name].sum()
        score = f"accuracy {accuracy:.3f}, chance {chance:.3f}"
        panel.set_title(f"{shorten(name, LONGEST_NAME)}\n{score}", size=9)
        panel.set_xlabel("predicted position")
    for panel in axes[:, 0]:
        panel.set_ylabel("true position")
    figure.colorbar(drawn, ax=panels, shrink=0.8, label="share of the true position's frames")
    return figure


def _draw_matrix(panel: Axes, share: NDArray[np.float64], top: float) -> AxesImage:
    """Draw a matrix (T, T) as a heat map on the scale 0 to `top`."""
    positions = len(share)
    # A fixed aspect would let the layout cut titles; the figure's size makes cells nearly square.
    drawn = panel.imshow(share, cmap=COLOUR_MAP, aspect="auto", vmin=0, vmax=top)
    ticks = range(0, positions, -(-positions // FEW))
    labels = [str(position + 1) for position in ticks]
    panel.set_xticks(ticks, labels)
    panel.set_yticks(ticks, labels)
    panel.spines[:].set_visible(True)
    if positions <= FEW:
        for (true, predicted), value in np.ndenumerate(share):
            colour = "white" if value > 0.6 * top else "black"
            text = f"{value:.2f}".removeprefix("0")
            panel.text(predicted, true, text, ha="center", va="center", size=7, color=colour)
    return drawn

"""The videos retrieved first, right and wrong (figure 5 of arXiv 2310.18926)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.figures.style import house_style, method_style, shorten

QUERY, RIGHT, WRONG = "#000000", "#118833", "#cc2222"
LONGEST_NAME = 20

# Inches.
IMAGE = 1.3  # width
GAP = 0.14
METHOD = 0.36  # width of the column with the methods' names
CAPTION = 0.4  # height
BETWEEN = 0.16  # queries
MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class Retrieved:
    """A video found: its frame (H, W, 3) uint8, category, and Hamming distance from the query."""

    image: NDArray[np.uint8]
    category: str
    distance: int
    relevant: bool


@dataclass(frozen=True, eq=False)
class QueryRow:
    """A query: its frame (H, W, 3) uint8, its category, and what each method finds, best first."""

    image: NDArray[np.uint8]
    category: str
    results: Mapping[str, Sequence[Retrieved]]


@house_style()
def gallery(rows: Sequence[QueryRow]) -> Figure:
    """A block a query: its frame, and for each method the frames it finds, right or wrong.

    Right ones are framed green and ticked, wrong ones framed red and crossed. Raises InputError if
    there is no query or no result, or if the methods or the shapes of the frames differ.
    """
    if not rows:
        raise InputError("gallery: no queries")
    methods = list(rows[0].results)
    if any(set(row.results) != set(methods) for row in rows):
        raise InputError("gallery: the queries' methods differ")
    columns = max((len(found) for row in rows for found in row.results.values()), default=0)
    if not columns:
        raise InputError("gallery: no results")

    images = [row.image for row in rows]
    images += [one.image for row in rows for found in row.results.values() for one in found]
    if len({image.shape for image in images}) > 1:
        raise InputError("gallery: frames of different shapes")

    tall = IMAGE * images[0].shape[0] / images[0].shape[1]
    line = tall + CAPTION
    block = len(methods) * line + BETWEEN
    results_left = MARGIN + IMAGE + METHOD
    size = (
        results_left + columns * (IMAGE + GAP) - GAP + MARGIN,
        MARGIN + len(rows) * block - BETWEEN,
    )
    figure = Figure(size)

    for number, row in enumerate(rows):
        top = MARGIN + number * block
        if number:
            _rule(figure, top - BETWEEN / 2)
        middle = top + (len(methods) - 1) * line / 2
        query = _frame(figure, row.image, (MARGIN, middle), tall, QUERY)
        query.set_xlabel(f"query\n{shorten(row.category, LONGEST_NAME)}")
        for place, method in enumerate(methods):
            height = top + place * line
            figure.text(
                (results_left - METHOD / 2) / size[0],
                1 - (height + tall / 2) / size[1],
                method_style(method).label,
                rotation="vertical",
                ha="center",
                va="center",
                size=10,
                weight="bold",
            )
            for column, found in enumerate(row.results[method]):
                corner = (results_left + column * (IMAGE + GAP), height)
                colour, mark = (RIGHT, "✓") if found.relevant else (WRONG, "✗")
                panel = _frame(figure, found.image, corner, tall, colour)
                name = shorten(found.category, LONGEST_NAME)
                panel.set_xlabel(f"{mark} distance {found.distance}\n{name}", color=colour)
    return figure


def _frame(
    figure: Figure,
    image: NDArray[np.uint8],
    corner: tuple[float, float],
    height: float,
    colour: str,
) -> Axes:
    """`image` in a frame whose upper left corner is so many inches from the figure's."""
    width_in, height_in = figure.get_size_inches()
    left, top = corner
    panel = figure.add_axes(
        (left / width_in, 1 - (top + height) / height_in, IMAGE / width_in, height / height_in)
    )
    panel.imshow(image)
    panel.set(xticks=[], yticks=[])
    panel.xaxis.label.set_fontsize(8)
    panel.xaxis.labelpad = 3
    panel.spines[:].set(visible=True, edgecolor=colour, linewidth=3)
    return panel


def _rule(figure: Figure, top: float) -> None:
    height = 1 - top / figure.get_figheight()
    figure.add_artist(Line2D([0.01, 0.99], [height, height], color="#bbbbbb", linewidth=0.8))

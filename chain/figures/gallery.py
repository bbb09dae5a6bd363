"""The clips retrieved first, right and wrong (figure 5 of arXiv 2310.18926)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.figures.style import house_style, shorten
from chain.results.labels import method_label

QUERY, RIGHT, WRONG = "#000000", "#118833", "#cc2222"
LONGEST_NAME = 20

# Inches.
FRAME = 0.55  # width
GAP = 0.14  # between clips
METHOD = 0.36  # width of the column with the methods' names
CAPTION = 0.4  # height
BETWEEN = 0.16  # queries
MARGIN = 0.1


@dataclass(frozen=True, eq=False)
class Retrieved:
    """A clip found: its frames (F, H, W, 3) uint8, category and Hamming distance from the query."""

    frames: NDArray[np.uint8]
    category: str
    distance: int
    relevant: bool


@dataclass(frozen=True, eq=False)
class QueryRow:
    """A query: its frames (F, H, W, 3) uint8, category, and what each method finds, best first."""

    frames: NDArray[np.uint8]
    category: str
    results: Mapping[str, Sequence[Retrieved]]


@house_style()
def gallery(rows: Sequence[QueryRow]) -> Figure:
    """Draw a block for each query, which stands beside a row of what each method finds.

    A clip is a strip of its frames in temporal order. Right ones are framed green and ticked, wrong
    ones framed red and crossed. Raises InputError if there is no query or no result, and if the
    methods or the shapes of the frames differ from clip to clip.
    """
    if not rows:
        raise InputError("gallery: no queries")
    methods = list(rows[0].results)
    if any(set(row.results) != set(methods) for row in rows):
        raise InputError("gallery: the queries' methods differ")
    columns = max((len(found) for row in rows for found in row.results.values()), default=0)
    if not columns:
        raise InputError("gallery: no results")

    shapes = {row.frames.shape for row in rows}
    shapes |= {one.frames.shape for row in rows for found in row.results.values() for one in found}
    if len(shapes) > 1:
        raise InputError("gallery: frames of different shapes")

    ((count, height, width, _),) = shapes
    clip = (count * FRAME, FRAME * height / width)
    line = clip[1] + CAPTION
    block = len(methods) * line + BETWEEN
    results_left = MARGIN + clip[0] + METHOD
    size = (
        results_left + columns * (clip[0] + GAP) - GAP + MARGIN,
        MARGIN + len(rows) * block - BETWEEN,
    )
    figure = Figure(size)

    for number, row in enumerate(rows):
        top = MARGIN + number * block
        if number:
            _rule(figure, top - BETWEEN / 2)
        middle = top + (len(methods) - 1) * line / 2
        query = _strip(figure, row.frames, (MARGIN, middle), clip, QUERY)
        query.set_xlabel(f"query\n{shorten(row.category, LONGEST_NAME)}")
        for place, method in enumerate(methods):
            above = top + place * line
            figure.text(
                (results_left - METHOD / 2) / size[0],
                1 - (above + clip[1] / 2) / size[1],
                method_label(method),
                rotation="vertical",
                ha="center",
                va="center",
                size=10,
                weight="bold",
            )
            for column, found in enumerate(row.results[method]):
                corner = (results_left + column * (clip[0] + GAP), above)
                colour, mark = (RIGHT, "✓") if found.relevant else (WRONG, "✗")
                panel = _strip(figure, found.frames, corner, clip, colour)
                name = shorten(found.category, LONGEST_NAME)
                panel.set_xlabel(f"{mark} distance {found.distance}\n{name}", color=colour)
    return figure


def _strip(
    figure: Figure,
    frames: NDArray[np.uint8],
    corner: tuple[float, float],
    size: tuple[float, float],
    colour: str,
) -> Axes:
    """Draw `frames` side by side in one coloured frame.

    `corner` is the distance of its upper left corner from the figure's, and `size` its width and
    height, all in inches.
    """
    width_in, height_in = figure.get_size_inches()
    (left, top), (wide, tall) = corner, size
    panel = figure.add_axes(
        (left / width_in, 1 - (top + tall) / height_in, wide / width_in, tall / height_in)
    )
    panel.imshow(np.concatenate(list(frames), axis=1))
    seams = np.arange(1, len(frames)) * frames.shape[2] - 0.5  # imshow centres pixels on integers
    for seam in seams:
        panel.axvline(seam, color="white", linewidth=1)
    panel.set(xticks=[], yticks=[])
    panel.xaxis.label.set_fontsize(8)
    panel.xaxis.labelpad = 3
    panel.spines[:].set(visible=True, edgecolor=colour, linewidth=3)
    return panel


def _rule(figure: Figure, top: float) -> None:
    height = 1 - top / figure.get_figheight()
    figure.add_artist(Line2D([0.01, 0.99], [height, height], color="#bbbbbb", linewidth=0.8))

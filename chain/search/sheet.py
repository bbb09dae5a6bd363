"""A contact sheet: it shows frames of the query and, below them, the clips that were found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.figures.style import house_style, shorten
from chain.video.decode import midpoints

COLUMNS = 5
LONGEST_NAME = 24
CELL = (1.8, 2.3)  # inches; below the square image there is room for two lines


@dataclass(frozen=True, eq=False)
class Result:
    """A clip that was found: its image (H, W, 3), name and Hamming distance from the query."""

    image: NDArray[np.uint8]
    name: str
    distance: float


def results(found: pd.DataFrame, clips: pd.DataFrame, frames: NDArray[np.uint8]) -> list[Result]:
    """Choose what to show of the clips in the table `found` (id, labels, distance).

    A clip's image is its middle frame, and its name is its label, or its id if it has no label.
    `frames` (N, D, H, W, 3) are those of `clips`, in the same order.
    """
    rows = pd.Index(clips["id"]).get_indexer(found["id"])
    middle = frames.shape[1] // 2
    return [
        Result(frames[row, middle], labels or name, distance)
        for row, name, labels, distance in zip(
            rows, found["id"], found["labels"], found["distance"], strict=True
        )
    ]


@house_style()
def contact_sheet(query: NDArray[np.uint8], name: str, results: Sequence[Result]) -> Figure:
    """Draw five frames of the query (D, H, W, 3) in a row, and the results in rows of five below.

    Raises InputError if there are no results.
    """
    if not results:
        raise InputError("contact sheet: no results")
    rows = 1 + -(-len(results) // COLUMNS)
    figure = Figure((COLUMNS * CELL[0], rows * CELL[1]), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    for panel in panels.flat:
        panel.axis("off")
    for panel, frame in zip(panels[0], midpoints(len(query), COLUMNS), strict=True):
        _draw(panel, query[frame], "")
    panels[0, 0].set_title(f"query: {shorten(drawable(name), 2 * LONGEST_NAME)}", loc="left")
    for rank, (panel, result) in enumerate(zip(panels[1:].flat, results, strict=False), start=1):
        name = shorten(drawable(result.name), LONGEST_NAME)
        caption = f"{rank}: distance {result.distance:.4g}\n{name}"
        _draw(panel, result.image, caption)
    return figure


def drawable(text: str) -> str:
    """The text with every character escaped, as Python does, that the font would draw as a box."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(
        letter if ord(letter) in known else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _draw(panel: Axes, image: NDArray[np.uint8], caption: str) -> None:
    panel.imshow(image)
    panel.set(xticks=[], yticks=[], xlabel=caption)
    panel.axis("on")
    panel.spines[:].set(visible=False)

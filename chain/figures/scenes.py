"""The scenes that affinity propagation finds in a few clips."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.figures.style import WIDTH, house_style
from chain.figures.tsne import COLOURS

MOST = 16  # frames of a strip
LETTERS = 16  # of a name, on each of two lines
NO_SCENE_COLOUR = "#bbbbbb"
CUT: dict[str, Any] = {"color": "#000000", "linewidth": 2, "solid_capstyle": "butt"}

# Inches.
NAME = 1.3  # width
GAP = 0.07
WIDEST = 0.9  # frame
CAPTION = 0.26  # height
HEADER = 0.3
MARGIN = 0.1


@house_style()
def scene_strips(
    frames: NDArray[np.uint8],
    scenes: NDArray[np.int64],
    names: Sequence[str],
    cuts: Sequence[int | None],
) -> Figure:
    """Draw each clip as a row of its frames in temporal order, with colour and number of the scene.

    `frames` are (n, D, H, W, 3), `scenes` are (n, D) with -1 for a frame without a scene, and
    `names` are the n categories. Each clip's scenes are numbered from 1 in order of appearance. A
    line before the frame `cuts[i]` marks the true cut of clip i, where one is known. Of more than
    16 frames, 16 at even distances are shown. Raises InputError if the shapes are others, and if
    there is no clip or no frame.
    """
    if frames.ndim != 5 or frames.shape[4] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise InputError(
            f"scenes: frames must be (n, D, H, W, 3) uint8, not {frames.shape} {frames.dtype}"
        )
    clips, count, height, width, _ = frames.shape
    if scenes.shape != (clips, count) or not len(names) == len(cuts) == clips:
        raise InputError(
            f"scenes: {len(names)} names, {len(cuts)} cuts and scenes {scenes.shape} for {clips} "
            f"clips of {count} frames"
        )
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int))
    left = MARGIN + NAME + GAP
    wide = min(WIDEST, (WIDTH - left - MARGIN + GAP) / len(shown) - GAP)
    tall = wide * height / width
    line = tall + CAPTION
    size = (left + len(shown) * (wide + GAP) + MARGIN - GAP, HEADER + clips * line)
    figure = Figure(size)

    def text(x: float, y: float, words: str, **look: Any) -> None:
        figure.text(x / size[0], 1 - y / size[1], words, va="center", **look)

    marked = any(cut is not None for cut in cuts)
    header = "time →" + "      black line: the true cut" * marked
    text(left, HEADER / 2, header, ha="left", size=8)
    for row, (name, cut) in enumerate(zip(names, cuts, strict=True)):
        top = HEADER + row * line
        wrapped = textwrap.fill(name, LETTERS, max_lines=2, placeholder="…")
        text(left - GAP, top + tall / 2, wrapped, ha="right", size=8)
        text(left - GAP, top + tall + 0.11, "scene", ha="right", size=7, color="#555555")
        numbers = _numbered(scenes[row])
        for place, frame in enumerate(shown):
            corner = left + place * (wide + GAP)
            box = (corner / size[0], 1 - (top + tall) / size[1], wide / size[0], tall / size[1])
            _draw_frame(figure.add_axes(box), frames[row, frame], numbers[frame])
        if cut is not None:
            across = left + int(np.searchsorted(shown, cut)) * (wide + GAP) - GAP / 2
            ends = [1 - (top - GAP) / size[1], 1 - (top + line - GAP) / size[1]]
            figure.add_artist(Line2D([across / size[0]] * 2, ends, **CUT))
    return figure


def _numbered(scenes: NDArray[np.int64]) -> list[int]:
    """Number the scenes (D,) of one clip from 1 as they appear; 0 stands for none."""
    order = dict.fromkeys(int(scene) for scene in scenes if scene >= 0)
    number = {scene: place for place, scene in enumerate(order, start=1)}
    return [number.get(int(scene), 0) for scene in scenes]


def _draw_frame(panel: Axes, image: NDArray[np.uint8], number: int) -> None:
    colour = COLOURS[(number - 1) % len(COLOURS)] if number else NO_SCENE_COLOUR
    panel.imshow(image)
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(str(number) if number else "–", labelpad=3, size=8)
    panel.spines[:].set(visible=True, edgecolor=colour, linewidth=2.8)

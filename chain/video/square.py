"""From decoded frames to squares of pixels, as a player would show them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
LONGEST = (
    4  # times the short side; more is cut off before a frame is scaled, whose cost it would be
)

Neighbour: TypeAlias = av.VideoFrame | None
Convert = Callable[[Neighbour, av.VideoFrame, Neighbour], NDArray[np.uint8]]
"""Makes a square (S, S, 3) RGB of a frame, given also the frames before and after it if any."""


def to_square(size: int, pixel_aspect: Fraction | None) -> Convert:
    """The conversion of a clip's frames to squares of `size` pixels.

    * An interlaced frame is deinterlaced with the help of its neighbours.
    * The short side of the picture as it is shown is resized to `size`. `pixel_aspect` gives the
      width of a pixel divided by its height, or None or 0 where they are square.
    * The picture is turned as its display matrix says, and the central square is kept.
    """
    scaler = VideoReformatter()  # keeps its tables from one frame to the next
    aspect = float(pixel_aspect or 1)

    def convert(before: Neighbour, frame: av.VideoFrame, after: Neighbour) -> NDArray[np.uint8]:
        matrix = display_matrix(frame)
        if frame.interlaced_frame:
            frame = _deinterlaced(before, frame, after)
        frame = _bounded(frame, aspect)
        across = frame.width * aspect
        scale = size / min(across, frame.height)
        width, height = max(round(across * scale), size), max(round(frame.height * scale), size)
        # From YUV, the scaler gives the same RGB three times as fast in planes. From RGB of 16
        # bits, the values would differ.
        layout = "gbrp" if frame.format.name.startswith("yuv") else "rgb24"
        scaled = scaler.reformat(
            frame, width, height, format=layout, interpolation=SCALING, threads=1
        )
        pixels = turned(scaled.to_ndarray().astype(np.uint8, copy=False), matrix)
        top, left = ((side - size) // 2 for side in pixels.shape[:2])
        return pixels[top : top + size, left : left + size]

    return convert


def display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    """The matrix ((a, b), (c, d)) that takes (x, y) to (a x + c y, b x + d y), scaled, if any."""
    side_data: Any = frame.side_data  # PyAV's type hints know motion vectors only
    if "DISPLAYMATRIX" not in side_data:
        return None
    return np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32).reshape(3, 3)[:2, :2]


def turned(pixels: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) mirrored and turned to the nearest of the eight ways that keep the axes."""
    if matrix is None:
        return pixels
    (a, b), (c, d) = matrix.tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _deinterlaced(before: Neighbour, frame: av.VideoFrame, after: Neighbour) -> av.VideoFrame:
    alike = [one for one in (before, frame, after) if one and _form(one) == _form(frame)]
    return _filtered(alike, alike.index(frame), "yadif", "deint=interlaced")


def _form(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _bounded(frame: av.VideoFrame, aspect: float) -> av.VideoFrame:
    """The middle of a frame that is shown more than LONGEST times as long as it is wide."""
    across = frame.width * aspect
    width = min(frame.width, max(1, round(LONGEST * frame.height / aspect)))
    height = min(frame.height, max(1, round(LONGEST * across)))
    if (width, height) == (frame.width, frame.height):
        return frame
    left, top = (frame.width - width) // 2, (frame.height - height) // 2
    return _filtered([frame], 0, "crop", f"{width}:{height}:{left}:{top}:exact=1")


def _filtered(
    frames: Sequence[av.VideoFrame], place: int, name: str, options: str
) -> av.VideoFrame:
    """What a filter of FFmpeg, which gives one frame for each, makes of `frames[place]`."""
    graph = av.filter.Graph()
    graph.threads = 1
    one = frames[0]
    source = graph.add_buffer(
        width=one.width, height=one.height, format=one.format, time_base=one.time_base
    )
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    for frame in [*frames, None]:
        graph.vpush(frame)
    return [graph.vpull() for _ in frames][place]

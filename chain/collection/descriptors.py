"""Small descriptors of frames, by which copies of a video are verified.

A descriptor is a thumbnail of 12 × 12 grey levels, 144 bytes, without the bars around the picture.
It tells apart frames of one scene, which CNN features do not, and it can be mirrored and turned.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

SIDE = 12
"""Pixels of the thumbnail's sides."""
WIDTH = SIDE**2
"""Bytes of a descriptor."""

FINE = 64  # pixels of the picture in which bars are looked for
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (BT.601)
PLAIN = 8.0  # grey levels; a line of pixels that differ by less, at all times, may be of a bar
SHOWS = 4.0  # grey levels; a picture with a smaller standard deviation shows nothing
WIDEST = 3 / 8  # of the picture's side: the widest bar


def describe(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Describe the frames of a video by their pictures (T, S, S, 3): (T, 144).

    Bars are what stays plain at an edge of the picture in all frames that show something.
    """
    shrink = averaging(pictures.shape[1], FINE)
    grey = pictures.astype(np.float32) @ LUMA
    fine = shrink @ grey @ shrink.T
    top, bottom, left, right = _content(fine)
    down, across = (averaging(stop - start, SIDE) for start, stop in ((top, bottom), (left, right)))
    small = down @ fine[:, top:bottom, left:right] @ across.T
    return small.round().clip(0, 255).astype(np.uint8).reshape(len(small), -1)


def thumbnails(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The thumbnails (T, 12, 12) of descriptors (T, 144), in grey levels."""
    return descriptors.reshape(-1, SIDE, SIDE).astype(np.float32)


@cache
def averaging(size: int, count: int) -> NDArray[np.float32]:
    """The matrix (count, size) that shrinks a line of pixels, each to the mean of what it covers.

    A line that is shorter than `count` is stretched in the same way.
    """
    edges = np.linspace(0, size, count + 1)
    pixels = np.arange(size)
    over = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (over.clip(0) * count / size).astype(np.float32)


def _content(grey: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """The top, bottom, left and right of what is inside the bars of pictures (T, 64, 64)."""
    shown = grey[grey.std(axis=(1, 2)) >= SHOWS]
    if not len(shown):
        return 0, FINE, 0, FINE
    low, high = shown.min(axis=0), shown.max(axis=0)
    return (*_inside(low, high), *_inside(low.T, high.T))


def _inside(low: NDArray[np.float32], high: NDArray[np.float32]) -> tuple[int, int]:
    """The first row inside the bars, and the one behind the last, by each pixel's range."""
    ends = []
    for darkest, brightest in ((low, high), (low[::-1], high[::-1])):
        darkest = np.minimum.accumulate(darkest.min(axis=1))
        brightest = np.maximum.accumulate(brightest.max(axis=1))
        plain = int((brightest - darkest < PLAIN).sum())
        # The row behind a bar is part bar, part picture, and is left out with it.
        ends.append(plain + 1 if 0 < plain <= WIDEST * FINE else 0)
    return ends[0], FINE - ends[1]

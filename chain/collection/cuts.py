"""Where one shot ends and the next one begins, by the colours of frames that are looked at anyway.

A histogram of colours does not depend on where in the picture something is, so that motion changes
it little. The quarters of the picture have one each, so that shots with like colours differ, too.
"""

import numpy as np
from numpy.typing import NDArray

LEVELS = 4  # of red, of green and of blue
DIFFERENT = 0.35  # the share of pixels of other colours from which on there may be a cut
SHARP = 1.5  # how many times as much a cut changes as what comes right before and after it


def cuts(pictures: NDArray[np.uint8], times: NDArray[np.float32]) -> NDArray[np.float64]:
    """The times (C,) of the hard cuts between the frames of a video.

    Args:
        pictures: its frames in the order of time, (T, S, S, 3) RGB.
        times: their times (T,), in seconds.

    A cut is midway between two frames, so that it is known to half the time between them. Fades are
    no hard cuts.
    """
    change = np.abs(np.diff(_histograms(pictures), axis=0)).sum(axis=(1, 2)) / 8
    around = np.pad(change, 1)
    sharp = change >= SHARP * np.maximum(around[:-2], around[2:])
    after = 1 + np.flatnonzero((change >= DIFFERENT) & sharp)
    seconds = times.astype(np.float64)
    found: NDArray[np.float64] = (seconds[after - 1] + seconds[after]) / 2
    return found


def _histograms(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The shares of colours (T, 4, LEVELS³) in each quarter of pictures (T, S, S, 3)."""
    levels = pictures.astype(np.int64) * LEVELS // 256
    colours = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
    half = pictures.shape[1] // 2
    quarters = [
        colours[:, down : down + half, across : across + half].reshape(len(pictures), -1)
        for down in (0, half)
        for across in (0, half)
    ]
    counts = [[np.bincount(one, minlength=LEVELS**3) for one in quarter] for quarter in quarters]
    shares: NDArray[np.float64] = np.array(counts).swapaxes(0, 1) / half**2
    return shares

"""The order in which CHAIN's order task sees the frames of a clip."""

import numpy as np
from numpy.typing import NDArray


def permute(
    clips: int, frames: int, share: float, random: np.random.Generator
) -> NDArray[np.int64]:
    """The frame that stands at each place (N, T) of N clips of T frames.

    A share of the places, two at least, is drawn for each clip. Their frames move along one random
    cycle through them, so each of them stands in another place than its own. The others stay.

    ValueError if there is a single frame.
    """
    if frames < 2:
        raise ValueError("a clip of one frame has no order")
    moved = max(2, round(share * frames))
    places = random.random((clips, frames)).argsort(axis=1)[:, :moved]
    order = np.tile(np.arange(frames), (clips, 1))
    np.put_along_axis(order, places, np.roll(places, 1, axis=1), axis=1)
    return order

"""From a video file to the frames that its codes are made of."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chain.collection.segmenting import Segmenting
from chain.core.errors import InputError
from chain.video.container import VideoError
from chain.video.decode import read_clip


@dataclass(frozen=True, eq=False)
class Decoded:
    """T frames of a video, evenly spaced."""

    images: NDArray[np.uint8]
    """(T, S, S, 3) RGB."""
    times: NDArray[np.float32]
    """(T,), in seconds."""
    whole: NDArray[np.int64]
    """Which of the frames (D,) are those of the code of the whole video."""
    duration: float


def decode(path: Path, frames: int, size: int, segmenting: Segmenting) -> Decoded:
    """Decode a video, so densely that each segment has D = `frames` frames of `size` pixels.

    Raises InputError, which names the file, if it can't be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        clip = read_clip(path, frames, size)
        density = segmenting.density(clip.duration)
        if density > 1:
            clip = read_clip(path, density * frames, size)
    except VideoError as error:
        raise InputError(f"{path}: {error}") from None
    return Decoded(clip.images, clip.times, midmost(frames, density), clip.duration)


def midmost(frames: int, density: int) -> NDArray[np.int64]:
    """Which of `density` * D midpoints are the D = `frames` midpoints; `density` is odd."""
    return np.arange(frames) * density + density // 2

"""From a video to the frames that a hasher sees. Nothing here needs torch."""

from os import PathLike
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.video.container import VideoError
from chain.video.decode import midpoints, read_clip
from chain.video.square import to_square

Video: TypeAlias = str | PathLike[str] | NDArray[np.uint8]
"""A video file, or the frames (n, H, W, 3) of a video, RGB, in the order of presentation."""


def squares(video: Video, count: int, size: int) -> NDArray[np.uint8]:
    """Take `count` frames of a video as squares of `size` pixels: (count, size, size, 3).

    They stand at the midpoints of equal segments, as in the pipeline. Raises InputError if the file
    is missing or broken, or the array holds no frames.
    """
    if isinstance(video, np.ndarray):
        return _of_array(video, count, size)
    path = Path(video)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return read_clip(path, count, size).images
    except VideoError as error:
        raise InputError(f"{path}: {error}") from None


def _of_array(frames: NDArray[np.uint8], count: int, size: int) -> NDArray[np.uint8]:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise InputError(
            "frames: expected uint8 of shape (n, H, W, 3), not "
            f"{frames.dtype} of shape {frames.shape}"
        )
    chosen = frames[midpoints(len(frames), count)]
    if chosen.shape[1:3] == (size, size):
        return chosen
    convert = to_square(size, None)
    images = (av.VideoFrame.from_ndarray(np.ascontiguousarray(one), "rgb24") for one in chosen)
    return np.stack([convert(None, image, None) for image in images])

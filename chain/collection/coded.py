"""What a collection keeps of a video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Coded:
    """What is kept of a video of T frames and n codes."""

    duration: float
    """Seconds."""
    times: NDArray[np.float32]
    """The times of the frames (T,), in seconds."""
    frames: NDArray[np.uint8]
    """The descriptors of the frames (T, W)."""
    strip: bytes
    """A JPEG."""
    spans: NDArray[np.float64]
    """Where each code starts and ends (n, 2); the first is that of the whole video."""
    codes: NDArray[np.uint8]
    """The packed codes (n, b / 8)."""
    damaged: bool
    """Whether the file is damaged or cut off, so that all this is of the frames that decode."""

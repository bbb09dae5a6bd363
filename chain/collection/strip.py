"""A strip: small frames of a video side by side, for moving thumbnails."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chain.video.decode import midpoints

FRAMES, SIDE = 8, 90


def strip(pictures: NDArray[np.uint8]) -> bytes:
    """Draw FRAMES of the frames (T, S, S, 3), SIDE pixels high, as one JPEG."""
    chosen = [Image.fromarray(pictures[row]) for row in midpoints(len(pictures), FRAMES)]
    out = Image.new("RGB", (FRAMES * SIDE, SIDE))
    for place, picture in enumerate(chosen):
        out.paste(picture.resize((SIDE, SIDE)), (place * SIDE, 0))
    buffer = io.BytesIO()
    out.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()

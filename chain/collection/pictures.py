"""Small pictures of a video: a strip for moving thumbnails, and what descriptors are made of."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chain.video.decode import midpoints

FRAMES, SIDE = 8, 90  # of a strip, and its height in pixels
SMALL = 64  # pixels; descriptors of frames are made from pictures of this size


def strip(images: NDArray[np.uint8]) -> bytes:
    """Draw FRAMES of the frames (T, S, S, 3) side by side, SIDE pixels high, as one JPEG."""
    out = Image.new("RGB", (FRAMES * SIDE, SIDE))
    for place, row in enumerate(midpoints(len(images), FRAMES)):
        out.paste(Image.fromarray(images[row]).resize((SIDE, SIDE)), (place * SIDE, 0))
    buffer = io.BytesIO()
    out.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def cut(strip: bytes) -> NDArray[np.uint8]:
    """Cut a strip into its frames (FRAMES, SIDE, SIDE, 3)."""
    image = np.array(Image.open(io.BytesIO(strip)).convert("RGB"))
    return np.stack(np.split(image, FRAMES, axis=1))


def shrunk(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink frames (T, S, S, 3) to SMALL pixels by averaging; smaller ones stay as they are."""
    side = min(SMALL, images.shape[1])
    small = [Image.fromarray(one).resize((side, side), Image.Resampling.BOX) for one in images]
    return np.stack([np.asarray(one) for one in small])

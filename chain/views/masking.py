"""BERT's masking (arXiv 1810.04805, section 3.1) of a clip's frames, as BTH and MCMSH have it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MASKED = 0.15  # chance of a frame to be masked
ZEROED, REPLACED = 0.8, 0.1  # shares of the masked frames; the rest are shown as they are
HIDDEN = -1  # stands for a frame of zeros in what `mask_frames` says is shown


def mask_frames(clips: int, frames: int, random: np.random.Generator) -> NDArray[np.int64]:
    """The frame that the network sees in each place (N, T) of N clips of T frames.

    Frames are counted through the batch. Each is masked with a chance of 15 %, whatever happens to
    the others. In a masked place the network sees HIDDEN with a chance of 80 %, any other frame of
    the batch with a chance of 10 %, and else the frame of that place. Everywhere else it sees the
    frame of that place.
    """
    own = np.arange(clips * frames).reshape(clips, frames)
    other = (own + random.integers(1, max(2, own.size), own.shape)) % own.size
    masked = random.random(own.shape) < MASKED
    fate = random.random(own.shape)
    shown = np.where(masked & (fate < ZEROED), HIDDEN, own)
    return np.where(masked & (fate >= 1 - REPLACED), other, shown)


def corrupt(features: Tensor, shown: Tensor) -> Tensor:
    """What the network sees of features (N, T, F): a new tensor of the same shape.

    It holds the frames `shown` (N, T), and zeros where that is HIDDEN.
    """
    frames = features.flatten(0, 1)[shown.clamp(min=0)]
    return frames.masked_fill((shown == HIDDEN)[:, :, None], 0)

"""Which of a clip's D stored frames make a view of T: CHAIN's temporal augmentation.

All functions return stored-frame indices (B, T), int64, ascending in time.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sampling = Literal["segment", "random", "consecutive"]


def uniform_frames(dense: int, frames: int) -> NDArray[np.int64]:
    """The frame (T,) at the middle of each of T equal segments. These frames are encoded."""
    return ((np.arange(frames) + 0.5) * dense / frames).astype(np.int64)


def sample_frames(
    kind: Sampling, batch: int, dense: int, frames: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """The T = `frames` frames (B, T) of one view for each of B = `batch` clips.

    * `segment` draws one frame from each of T equal segments (arXiv 2310.18926).
    * `random` draws T frames without replacement.
    * `consecutive` takes T neighbours from a random start.

    ValueError if a clip has fewer than T stored frames, `dense`.
    """
    if frames > dense:
        raise ValueError(f"can't draw {frames} frames from {dense}")
    if kind == "segment":
        edges = np.arange(frames + 1) * dense // frames
        offsets = random.random((batch, frames)) * np.diff(edges)
        return edges[:-1] + offsets.astype(np.int64)
    if kind == "random":
        ranks = random.random((batch, dense)).argsort(axis=1)
        return np.sort(ranks[:, :frames], axis=1)
    start = random.integers(0, dense - frames + 1, (batch, 1))
    return start + np.arange(frames)

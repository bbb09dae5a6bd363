"""Which parts of a long video have a code of their own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError

SHORTEST = 0.2  # seconds
LEEWAY = 1.1  # times as long as a segment; up to this, a video is not long


@dataclass(frozen=True)
class Segmenting:
    """A video longer than `length` has a segment of that length every `stride` seconds.

    One that is longer by less than a tenth has none. So it is for each shot of a video with cuts.

    Raises InputError unless SHORTEST <= stride <= length.
    """

    length: float = 4.0
    stride: float = 2.0

    def __post_init__(self) -> None:
        if not SHORTEST <= self.stride <= self.length < math.inf:
            raise InputError(
                f"segments: expected {SHORTEST} <= stride <= length in seconds, not a stride of "
                f"{self.stride} and a length of {self.length}"
            )

    def segments(
        self, duration: float, cuts: Sequence[float] | NDArray[np.float64] = ()
    ) -> NDArray[np.float64]:
        """The start and end (n, 2) of each segment, in the order of time.

        * `cuts` are the times (C,) of its cuts, in seconds. They part it in shots, each with
          segments of its own, which start and end where the shot does. A shot that is not long is
          one segment.
        * A shot of less than a quarter of a segment joins the next one, and the last one the one
          before.
        * A video of one shot that is not long has none.
        """
        edges = [0.0]
        for cut in cuts:
            if min(cut - edges[-1], duration - cut) >= self.length / 4:
                edges.append(float(cut))
        if len(edges) == 1 and not self._is_long(duration):
            return np.empty((0, 2))
        shots = pairwise([*edges, duration])
        return np.concatenate([start + self._of_shot(end - start) for start, end in shots])

    def _of_shot(self, duration: float) -> NDArray[np.float64]:
        if not self._is_long(duration):
            return np.array([[0.0, duration]])
        last = duration - self.length
        steps = math.ceil(last / self.stride - 0.1)  # a last step is at least a tenth of a stride
        starts = np.append(self.stride * np.arange(steps), last)
        return np.stack([starts, starts + self.length], axis=1)

    def density(self, duration: float) -> int:
        """How many times as many frames a long video needs as a short one.

        It is the smallest odd number that gives a segment as many frames as a short video. Odd
        multiples matter: the midpoints of D equal parts are among the midpoints of 3 D, 5 D, ...
        """
        if not self._is_long(duration):
            return 1
        return 2 * math.ceil((duration / self.length - 1) / 2) + 1

    def _is_long(self, duration: float) -> bool:
        return duration > LEEWAY * self.length

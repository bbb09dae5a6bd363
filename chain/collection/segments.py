"""The codes of a collection in memory."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Segments:
    """N codes, and where in which of V videos each belongs."""

    ids: NDArray[np.str_]
    """The ids (V,) of the videos, each once."""
    owner: NDArray[np.int32]
    """Whose code it is (N,): a position in `ids`."""
    start: NDArray[np.float32]
    """Where the segment starts (N,), in seconds."""
    end: NDArray[np.float32]
    whole: NDArray[np.bool_]
    """Whether it is the code of the whole video (N,)."""
    codes: NDArray[np.uint8]
    """The packed codes (N, b / 8)."""

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Segments":
        """Keep some of the codes, by a mask (N,) or by positions; `ids` stay as they are."""
        return Segments(
            self.ids,
            self.owner[rows],
            self.start[rows],
            self.end[rows],
            self.whole[rows],
            self.codes[rows],
        )

    @cached_property
    def finest(self) -> NDArray[np.bool_]:
        """Which codes (N,) are of the smallest part: a segment, or a whole that has none."""
        parts = np.bincount(self.owner, minlength=len(self.ids))
        finest: NDArray[np.bool_] = ~self.whole | (parts[self.owner] == 1)
        return finest

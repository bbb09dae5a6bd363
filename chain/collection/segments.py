"""The codes of a collection in memory."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Segments:
    """N codes, and where in which of V videos each belongs."""

    ids: NDArray[np.str_]
    """The ids (V,) of the videos, each once, in ascending order."""
    owner: NDArray[np.int32]
    """Whose code it is (N,): a position in `ids`."""
    start: NDArray[np.float32]
    """Where the segment starts (N,), in seconds."""
    end: NDArray[np.float32]
    whole: NDArray[np.bool_]
    """Whether it is the code of the whole video (N,)."""
    codes: NDArray[np.uint8]
    """The packed codes (N, b / 8)."""

    def position(self, id: str) -> int | None:
        """Where in `ids` an id is, or None."""
        place = int(np.searchsorted(self.ids, id))
        return place if place < len(self.ids) and self.ids[place] == id else None

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

    def of(self, place: int) -> "Segments":
        """The codes of the one video at a position in `ids`."""
        own = self.take(self.owner == place)
        return replace(own, ids=self.ids[[place]], owner=np.zeros_like(own.owner))

    @cached_property
    def wholes(self) -> "Segments":
        """The codes of whole videos."""
        return self.take(self.whole)

    @cached_property
    def parts(self) -> "Segments":
        """The codes of segments, and those of whole videos that have none."""
        return self.take(self.finest)

    @cached_property
    def finest(self) -> NDArray[np.bool_]:
        """Which codes (N,) are of the smallest part: a segment, or a whole that has none."""
        count = np.bincount(self.owner, minlength=len(self.ids))
        finest: NDArray[np.bool_] = ~self.whole | (count[self.owner] == 1)
        return finest

"""The videos of a collection as the page lists them: by id, and by words of their paths."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd


class Video(NamedTuple):
    """A video file of the collection. Files of the same content have the same id."""

    id: str
    path: str
    size: int
    """In bytes."""
    duration: float
    """In seconds."""


class Listing:
    """All videos, in the order of their paths."""

    def __init__(self, videos: Iterable[Video]) -> None:
        """List `videos`, which may come in any order."""
        self.videos = sorted(videos, key=lambda video: video.path)
        self._folded = [video.path.casefold() for video in self.videos]
        self._by_id: dict[str, list[Video]] = {}
        for video in self.videos:
            self._by_id.setdefault(video.id, []).append(video)

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Listing":
        """The listing of a table with the columns id, path, size and duration."""
        columns = (table[name].tolist() for name in Video._fields)
        return cls(map(Video, *columns))

    def files(self, id: str) -> list[Video]:
        """The files of one content; none if the collection has no such video."""
        return self._by_id.get(id, [])

    def find(self, words: str, offset: int, limit: int) -> tuple[int, list[Video]]:
        """Find the videos whose paths hold all `words`, whether in upper or lower case.

        Returns how many there are, and up to `limit` of them, from the one at `offset`.
        """
        wanted = words.casefold().split()
        found = [
            place for place, path in enumerate(self._folded) if all(word in path for word in wanted)
        ]
        return len(found), [self.videos[place] for place in found[offset : offset + limit]]

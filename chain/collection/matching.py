"""Which videos have parts like those of a query, and where."""

from dataclasses import dataclass

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.collection.calibration import Chance
from chain.collection.segments import Segments

PLACE = ["start", "end", "query_start", "query_end"]
NEAREST = 200  # codes that are looked at for each code of the query, at least
ENOUGH = 50  # unrelated videos that tell by themselves what distances mean


@dataclass(frozen=True)
class Match:
    """One line of an answer."""

    path: str
    id: str
    duration: float
    """The length of the found video, in seconds."""
    start: float
    """Where in the found video the match starts, in seconds."""
    end: float
    query_start: float
    """Where in the query it starts."""
    query_end: float
    distance: float
    """The mean Hamming distance of the parts that match, in bits."""
    chance: float
    """The expected number of unrelated videos that match as well, in a collection of this size."""


@dataclass(frozen=True)
class Chances:
    """What distances mean in a collection."""

    wholes: Chance
    """Between codes of whole videos."""
    parts: Chance
    """Between codes of segments."""
    unrelated: int
    """How many videos tell it; those that show the same pictures count for one."""

    @property
    def rough(self) -> bool:
        """Whether these are so few that the hasher's training clips tell more than they do."""
        return self.unrelated < ENOUGH


def match(
    query: Segments, database: Segments, chances: Chances, stride: float, k: int
) -> pd.DataFrame:
    """Find the videos of `database` that are most like the one video of `query`.

    * The code of the whole query is compared with those of whole videos.
    * The codes of its segments are compared with those of segments. A video that has no segments
      stands for one.
    * Hits in one video at the same offset in time, within one stride, belong together. The more
      there are and the nearer they are, the fewer such groups are expected by chance.

    The `k` nearest codes of each code count, and NEAREST at least. Returns a row for each video
    with a hit, the least likely by chance first: `video` (a position in `database.ids`), start,
    end, query_start, query_end, distance, parts (how many parts of the query match), chance. Of
    equals, the one with the query's content comes first.
    """
    twice = int(query.parts.whole.sum() * database.parts.whole.sum())  # as wholes and as parts
    compared = len(database.wholes) + len(query.parts) * len(database.parts) - twice
    wholes = _groups(_hits(query.wholes, database.wholes, k), np.inf)
    wholes["chance"] = chances.wholes.expected(wholes["distance"], compared)
    parts = _groups(_hits(query.parts, database.parts, k), stride)
    parts["chance"] = chances.parts.expected(parts["distance"], compared, parts["parts"])
    found = pd.concat([parts, wholes], ignore_index=True)
    same = found["video"] == database.position(str(query.ids[0]))
    best = found.assign(other=~same).sort_values(["chance", "distance", "other", "video"])
    best = best.drop_duplicates("video", ignore_index=True).drop(columns="other")
    videos = max(len(database.wholes), 1)  # one with several matches by chance counts once
    best["chance"] = -videos * np.expm1(-best["chance"] / videos)
    return _placed(best, parts)


def _placed(best: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Where several parts of the query are aligned with a video, these tell the place.

    The codes of whole videos may say more surely that two are alike, but not where.
    """
    several = parts[parts["parts"] > 1].sort_values(["chance", "distance"])
    aligned = several.drop_duplicates("video").set_index("video")
    unplaced = (best["parts"] == 1) & best["video"].isin(aligned.index)
    best.loc[unplaced, PLACE] = aligned.loc[best["video"][unplaced], PLACE].to_numpy()
    return best


def nearest(
    query: NDArray[np.uint8], database: NDArray[np.uint8], k: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The distances and rows (Q, k) of the codes of `database` (N, b / 8) nearest to each query."""
    distances, rows = faiss.knn_hamming(query, database, min(k, len(database)))
    return distances, rows


def _hits(query: Segments, database: Segments, k: int) -> pd.DataFrame:
    """The nearest codes of each code of the query, one a row."""
    if len(database):
        distances, rows = nearest(query.codes, database.codes, max(k, NEAREST))
    else:
        distances, rows = np.empty((len(query), 0), np.int32), np.empty((len(query), 0), np.int64)
    asked = np.repeat(np.arange(len(query)), rows.shape[1])
    rows = rows.reshape(-1)
    return pd.DataFrame(
        {
            "video": database.owner[rows],
            "start": database.start[rows],
            "end": database.end[rows],
            "query_start": query.start[asked],
            "query_end": query.end[asked],
            "distance": distances.reshape(-1),
        }
    )


def _groups(hits: pd.DataFrame, stride: float) -> pd.DataFrame:
    """Hits of one video at the same offset, one group a row.

    Of two parts that differ in length, one lacks what is before or after the other. So such a hit
    counts at the offset of the starts and at that of the ends.
    """
    at = [
        ((hits[there] - hits[asked]) / stride).round()
        for there, asked in (("start", "query_start"), ("end", "query_end"))
    ]
    ends = hits.assign(offset=at[1])[at[0] != at[1]]
    best = pd.concat([hits.assign(offset=at[0]), ends]).sort_values("distance", kind="stable")
    best = best.drop_duplicates(["video", "offset", "query_start"])
    return best.groupby(["video", "offset"], as_index=False).agg(
        start=("start", "min"),
        end=("end", "max"),
        query_start=("query_start", "min"),
        query_end=("query_end", "max"),
        distance=("distance", "mean"),
        parts=("distance", "size"),
    )

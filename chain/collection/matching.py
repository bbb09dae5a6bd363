"""Which videos have parts like those of a query, and where."""

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np
import pandas as pd

from chain.collection.segments import Segments

NEAREST = 200  # codes that are looked at for each code of the query


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
    """The expected number of videos in a collection of this size that match so well by chance."""


@dataclass(frozen=True)
class Found:
    """The best match of one video, a position in `Segments.ids`."""

    video: int
    start: float
    end: float
    query_start: float
    query_end: float
    distance: float
    parts: int
    """How many parts of the query match."""


def match(query: Segments, database: Segments, stride: float) -> list[Found]:
    """Find the videos of `database` that are most like the one video of `query`.

    * The code of the whole query is compared with those of whole videos.
    * The codes of its segments are compared with those of segments. A video that has no segments
      stands for one.
    * Hits in one video at the same offset in time, within one stride, belong together.
    """
    wholes = _hits(query.take(query.whole), database.take(database.whole))
    parts = _hits(query.take(query.finest), database.take(database.finest))
    found = [*_groups(wholes, np.inf), *_groups(parts, stride)]
    best = dict[int, Found]()
    for one in sorted(found, key=_rank):
        best.setdefault(one.video, one)
    return list(best.values())


def _rank(one: Found) -> tuple[float, int]:
    return one.distance, -one.parts


def _hits(query: Segments, database: Segments) -> pd.DataFrame:
    """The nearest codes of each code of the query."""
    if not len(database):
        return pd.DataFrame(columns=["video", "start", "query_start", "distance"], dtype=float)
    distances, rows = faiss.knn_hamming(query.codes, database.codes, min(NEAREST, len(database)))
    asked = np.repeat(np.arange(len(query)), rows.shape[1])
    rows = rows.ravel()
    return pd.DataFrame(
        {
            "video": database.owner[rows],
            "start": database.start[rows],
            "end": database.end[rows],
            "query_start": query.start[asked],
            "query_end": query.end[asked],
            "distance": distances.ravel(),
        }
    )


def _groups(hits: pd.DataFrame, stride: float) -> Iterator[Found]:
    offset = (hits["start"] - hits["query_start"]) / stride
    nearest = hits.assign(offset=offset.round()).sort_values("distance", kind="stable")
    nearest = nearest.drop_duplicates(["video", "offset", "query_start"])
    for _, group in nearest.groupby(["video", "offset"], sort=False):
        yield Found(
            video=int(group["video"].iloc[0]),
            start=float(group["start"].min()),
            end=float(group["end"].max()),
            query_start=float(group["query_start"].min()),
            query_end=float(group["query_end"].max()),
            distance=float(group["distance"].mean()),
            parts=len(group),
        )

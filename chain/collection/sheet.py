"""A contact sheet of an answer: the query, and below it the places that were found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chain.collection.collection import Collection
from chain.collection.matching import Match
from chain.collection.pictures import FRAMES, cut
from chain.hasher.frames import squares
from chain.search.sheet import Result, contact_sheet

COLUMNS, SIZE = 5, 128  # frames of the query, and their side in pixels


def draw(collection: Collection, query: str, matches: Sequence[Match]) -> Figure:
    """Draw five frames of the query, and of each match the frame in the middle of its place.

    `query` is a file, or an id of the collection. Raises InputError if nothing was found.
    """
    if Path(query).is_file():
        name, frames = Path(query).name, squares(query, COLUMNS, SIZE)
    else:
        name, frames = query, cut(collection.strip(query))
    found = [
        Result(_middle(cut(collection.strip(one.id)), one), Path(one.path).name, one.distance)
        for one in matches
    ]
    return contact_sheet(frames, name, found)


def _middle(frames: NDArray[np.uint8], one: Match) -> NDArray[np.uint8]:
    place = (one.start + one.end) / 2 / max(one.duration, 1e-9)
    picture: NDArray[np.uint8] = frames[min(int(place * FRAMES), FRAMES - 1)]
    return picture

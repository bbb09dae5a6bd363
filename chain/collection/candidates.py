"""Pairs of videos that may be copies: near by code, or with frames of nearly the same picture."""

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from chain.collection.alignment import WHOLE, Film, Turn, Window, turned
from chain.collection.calibration import Chance
from chain.collection.segments import Segments

Pairs = set[tuple[int, int, Turn]]
"""Positions of two videos, the smaller first, and how the second one's picture is turned."""

NEAREST = 20  # codes that are looked at for each code
PER_CODE = 20.0  # chance matches of a code that are put up with
PER_PICTURE = 1.0  # frames that are near a picture by chance; a video has many alike
PICTURES = 4  # pictures of a video that are looked up
WAVES = 8  # frequencies in each direction; a picture's key has their square in bits
BLOCK = 4096  # keys that are looked up at a time
WINDOWS = (
    WHOLE,
    Window(0.1, 0.9, 0.1, 0.9),
    Window(0.0, 0.8, 0.0, 0.8),
    Window(0.0, 0.8, 0.2, 1.0),
    Window(0.2, 1.0, 0.0, 0.8),
    Window(0.2, 1.0, 0.2, 1.0),
    Window(0.12, 0.88, 0.0, 1.0),
    Window(0.0, 1.0, 0.12, 0.88),
)
"""What another video may show of a picture."""


def by_codes(codes: Segments, groups: NDArray[np.integer]) -> Pairs:
    """Pairs of videos with two near codes, of the whole or of segments.

    Near are those of the NEAREST codes that are at most at the distance within which PER_CODE
    matches of each code are expected by chance. `groups` (V,) numbers the groups of videos that are
    known to be copies, whose distances are no chance.
    """
    chance = Chance.fit(codes.codes, np.arange(len(codes)), related=groups[codes.owner])
    pairs: Pairs = set()
    for part in (codes.take(codes.whole), codes.take(codes.finest)):
        if len(part) < 2:
            continue
        limit = chance.distance_for(PER_CODE, len(part))
        distances, rows = faiss.knn_hamming(part.codes, part.codes, min(NEAREST, len(part)))
        one, near = np.repeat(part.owner, rows.shape[1]), distances.ravel() <= limit
        other = part.owner[rows.ravel()]
        pairs |= _sorted(one[near], other[near], "")
    return pairs


def by_pictures(films: Sequence[Film], turns: Sequence[Turn], groups: NDArray[np.integer]) -> Pairs:
    """Pairs of videos of which two frames have nearly the same key.

    PICTURES frames of each video are looked up among all frames of the others, through WINDOWS and
    turned in each of the ways. Keys are near within the distance at which PER_PICTURE matches of a
    key are expected by chance, where `groups` (V,) is as above.
    """
    shown = [film.pictures[film.shows] for film in films]
    keys = [picture_keys(pictures) for pictures in shown]
    owner = np.repeat(np.arange(len(films)), [len(key) for key in keys])
    if len(np.unique(owner)) < 2:
        return set()
    every = np.concatenate(keys)
    chance = Chance.fit(every, np.arange(len(every)), related=groups[owner])
    limit = int(chance.distance_for(PER_PICTURE, len(every)))
    index = faiss.IndexBinaryFlat(WAVES**2)
    index.add(every)
    some = [pictures[places(len(pictures))] for pictures in shown]
    asked, who = np.concatenate(some), np.repeat(np.arange(len(films)), [len(one) for one in some])
    pairs: Pairs = set()
    for turn in turns:
        for window in WINDOWS:
            looked_up = picture_keys(window.of(turned(asked, turn)))
            for first in range(0, len(looked_up), BLOCK):
                found = index.range_search(looked_up[first : first + BLOCK], max(limit, 0) + 1)
                counts: NDArray[np.int64] = np.diff(found[0]).astype(np.int64)
                ones = np.repeat(who[first : first + BLOCK], counts)
                pairs |= _sorted(ones, owner[found[2]], turn)
    return pairs


def picture_keys(pictures: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The keys (T, 8) of pictures (T, n, n): the signs of their 64 lowest frequencies."""
    waves = dctn(pictures, axes=(1, 2), norm="ortho")[:, :WAVES, :WAVES]
    waves[:, 0, 0] = 0  # how bright it is says nothing
    return np.packbits(waves.reshape(-1, WAVES**2) > 0, axis=1)


def places(count: int) -> NDArray[np.int64]:
    """Which of so many pictures of a video are looked up: PICTURES evenly spaced ones."""
    spaced = ((np.arange(PICTURES) + 0.5) / PICTURES * count).astype(np.int64)
    return np.unique(spaced[spaced < count])


def _sorted(first: NDArray[np.integer], second: NDArray[np.integer], turn: Turn) -> Pairs:
    """Distinct pairs of different videos; a picture that is turned back is turned the other way."""
    back: dict[Turn, Turn] = {"left": "right", "right": "left"}
    rows = np.unique(np.stack([first, second], axis=1), axis=0)
    return {
        (int(b), int(a), turn) if b < a else (int(a), int(b), back.get(turn, turn))
        for a, b in rows
        if a != b
    }

"""Which videos of a collection are related, so that their distances are no matter of chance.

Copies make small distances look common. They also show the same pictures, which unrelated videos do
not, however near their codes are. So the nearest pairs of videos are looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from chain.collection.alignment import Film
from chain.collection.calibration import hamming, pairs_of_videos
from chain.collection.candidates import picture_keys, places
from chain.collection.segments import Segments

CHECKED = 2000  # pairs of videos whose pictures are compared
NEAR = 10  # bits of 64 in which the keys of the same picture differ, at most
SHARE = 0.5  # of the pictures that are looked up

Frames: TypeAlias = Callable[
    [Sequence[str]], Mapping[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]
]
"""It reads the times and the descriptors of the frames of videos, by id."""


def related(codes: Segments, frames: Frames) -> NDArray[np.int64]:
    """Number the groups (V,) of related videos.

    * The CHECKED pairs of videos are looked at whose whole codes are nearest, and as many whose
      segments are. In a large collection, they are among the pairs that `Chance` counts.
    * Two videos are related if at least SHARE of a few pictures of one are in the other one, too.
    * Who is related to a third one is related.
    """
    nearest = _nearest(codes.wholes) | _nearest(codes.parts)
    asked = sorted({codes.ids[place].item() for pair in nearest for place in pair})
    keys = {id: _keys(*found) for id, found in frames(asked).items()}
    keys_of = [keys.get(id, np.empty((0, 8), np.uint8)) for id in codes.ids.tolist()]
    links = [pair for pair in sorted(nearest) if _same(keys_of[pair[0]], keys_of[pair[1]])]
    ends = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), tuple(ends)), (len(codes.ids), len(codes.ids)))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _nearest(codes: Segments) -> set[tuple[int, int]]:
    """The CHECKED pairs of videos with the nearest codes, as positions in `ids`."""
    first, second, _ = pairs_of_videos(codes.owner)
    order = np.argsort(hamming(codes.codes, first, second).astype(np.uint16), kind="stable")
    pairs = np.sort(np.stack([codes.owner[first[order]], codes.owner[second[order]]], axis=1))
    names = pairs[:, 0].astype(np.int64) * len(codes.ids) + pairs[:, 1]
    _, once = np.unique(names, return_index=True)
    one, other = pairs[np.sort(once)[:CHECKED]].T.tolist()
    return set(zip(one, other, strict=True))


def _keys(times: NDArray[np.float32], descriptors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    film = Film.of(times, descriptors)
    return picture_keys(film.pictures[film.shows])


def _same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return max(_share(one, other), _share(other, one)) >= SHARE


def _share(asked: NDArray[np.uint8], keys: NDArray[np.uint8]) -> float:
    """The share of a few pictures, by their keys (T, 8), that are among others (S, 8)."""
    some = asked[places(len(asked))]
    if not len(some) or not len(keys):
        return 0.0
    apart = np.bitwise_count(some[:, None] ^ keys[None]).sum(axis=2)
    return float((apart.min(axis=1) <= NEAR).mean())

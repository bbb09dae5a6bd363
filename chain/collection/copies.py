"""Groups of files of a collection that are copies of each other.

The first step finds pairs that may be copies, the second one compares their frames in time.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import get_args

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr
from tqdm import tqdm

from chain.collection.alignment import Agreement, Alignment, Film, Turn, align, span
from chain.collection.candidates import Pairs, by_codes, by_pictures
from chain.collection.collection import Collection
from chain.collection.grouping import grouped
from chain.collection.segments import Segments
from chain.core.errors import InputError

LEAST = 0.88  # the similarity that a copy has at least, however few pairs there are
SAME = 0.99  # the same for videos in which nothing moves
ALIKE = 0.3  # the least correlation of whole pictures, so that a moving logo makes no copy
USUAL = (0.3, 0.35, 20.0)  # mean, deviation and number of the evidence that is known before
HELD = 0.6  # a part below this share of the longer video is held by it
ROUNDS = 3  # of looking for candidates
TURNED = 512  # videos that are kept turned


@dataclass(frozen=True)
class Pair:
    """Two videos that are copies, and which part of them."""

    a: str
    """The id of one, the shorter one if one holds the other."""
    b: str
    start_a: float
    """Where the common part starts in the first one, in seconds."""
    end_a: float
    start_b: float
    end_b: float
    turn: Turn
    """How the picture of one is turned against the other's; "" says that it is not."""
    similarity: float
    """How well they agree, up to 1."""
    chance: float
    """The expected number of pairs of this collection that agree so well without being copies."""
    held: bool
    """Whether the second one holds the first one and much more: less than .6 of it is common."""


@dataclass(frozen=True)
class Group:
    """Files that show the same, at least in part."""

    ids: list[str]
    paths: list[str]
    """All files of these ids, sorted."""
    pairs: list[Pair]
    """The pairs among them that were found, the surest first."""


@dataclass(frozen=True)
class Compared:
    """A pair of videos, positions in a list, that was compared."""

    first: int
    second: int
    turn: Turn
    alignment: Alignment

    @property
    def evidence(self) -> float:
        """The similarity on a scale on which chance spreads alike (Fisher's z), less with few
        frames."""
        found = self.alignment.agreement
        return float(np.arctanh(min(found.similarity, 0.9999)) * np.sqrt(1 - 2 / found.frames))


def duplicates(
    collection: Collection,
    false_alarms: float = 0.1,
    mirrored: bool = False,
    rotated: bool = False,
    progress: bool = False,
) -> list[Group]:
    """Find the groups of copies in a collection.

    Args:
        collection: is only read.
        false_alarms: how many pairs that are no copies to expect among those that are found.
        mirrored: look for copies with left and right exchanged, too.
        rotated: look for copies turned by a quarter or a half, too; with `mirrored`, also for those
            that are both.
        progress: shows a bar.

    Pairs that were judged "not a copy" are in no common group, and those judged "copy" are. Raises
    InputError if `false_alarms` is not above 0.
    """
    if not 0 < false_alarms < np.inf:
        raise InputError(f"false alarms: expected a number above 0, not {false_alarms}")
    videos, judged = collection.videos(), collection.judgements()
    durations = videos.drop_duplicates("id").set_index("id")["duration"]
    ids: list[str] = sorted(durations.index.tolist())
    frames = collection.frames(ids)
    films = [Film.of(*frames[id]) for id in ids]
    apart = _judged(judged, "not a copy")
    barred = {(ids.index(a), ids.index(b)) for a, b in apart if a in frames and b in frames}
    codes = _of(collection.codes(), ids)
    found = find(films, codes, turns(mirrored, rotated), false_alarms, barred, progress)
    pairs = [_pair(one, chance, ids, films, durations) for one, chance in found]
    return _groups(pairs, videos, _judged(judged, "copy"), apart)


def find(
    films: Sequence[Film],
    codes: Segments,
    turns: Sequence[Turn],
    false_alarms: float,
    barred: Container[tuple[int, int]] = (),
    progress: bool = False,
) -> list[tuple[Compared, float]]:
    """Find pairs of films that are copies, as `copies` returns them.

    `codes` are those of the films, in their order, and pairs in `barred` are left out. Copies that
    are found tell better which distances are chance, so that further candidates come up. So it is
    done up to ROUNDS times.
    """
    groups = np.arange(len(films))
    seen: Pairs = set()
    compared: list[Compared] = []
    for _ in range(ROUNDS):
        candidates = by_codes(codes, groups) | by_pictures(films, turns, groups)
        new = {
            (one, other, turn)
            for one, other, turn in candidates - seen
            if groups[one] != groups[other] and (one, other) not in barred
        }
        compared += compare(films, new, progress)
        seen |= candidates
        sure = copies(compared, false_alarms)
        if not new:
            break
        links = np.array([(one.first, one.second) for one, _ in sure], np.int64).reshape(-1, 2).T
        graph = coo_array((np.ones(links.shape[1]), tuple(links)), (len(films), len(films)))
        groups = connected_components(graph, directed=False)[1]
    return sure


def turns(mirrored: bool, rotated: bool) -> list[Turn]:
    """The ways in which a copy's picture may be turned; "" is always among them."""
    return [
        turn
        for turn in get_args(Turn)
        if turn in ("", "mirrored" if mirrored else "")
        or (rotated and (mirrored or turn in ("left", "right", "half")))
    ]


def compare(films: Sequence[Film], candidates: Pairs, progress: bool = False) -> list[Compared]:
    """Align each pair of films, and keep the best turn of each."""
    turned = lru_cache(TURNED)(lambda row, turn: films[row].turned(turn))
    best: dict[tuple[int, int], Compared] = {}
    for first, second, turn in tqdm(sorted(candidates), unit="pair", disable=not progress):
        other = turned(second, turn) if turn else films[second]
        if found := align(films[first], other):
            compared = Compared(first, second, turn, found)
            known = best.get((first, second))
            if known is None or compared.evidence > known.evidence:
                best[first, second] = compared
    return list(best.values())


def copies(compared: Sequence[Compared], false_alarms: float) -> list[tuple[Compared, float]]:
    """The pairs that are copies, the surest first, each with the expected number of chance pairs.

    How well pairs agree that are no copies is told by those that agree too little to be copies. The
    evidence of such pairs is taken for normally distributed. So a collection with many similar
    clips asks for more agreement than one with few.
    """
    evidence = np.array([one.evidence for one in compared])
    ruled_out = evidence[evidence < np.arctanh(LEAST)]
    mean, deviation, weight = USUAL
    total = len(ruled_out) + weight
    centre = (ruled_out.sum() + weight * mean) / total
    squares = ((ruled_out - centre) ** 2).sum() + weight * (deviation**2 + (mean - centre) ** 2)
    chances = max(len(ruled_out), 1) * ndtr((centre - evidence) / np.sqrt(squares / total))
    sure = [
        (one, float(chance))
        for one, chance in zip(compared, chances, strict=True)
        if chance <= false_alarms and _agree(one.alignment.agreement)
    ]
    return sorted(sure, key=lambda found: -found[0].evidence)


def _agree(found: Agreement) -> bool:
    return found.still >= ALIKE and found.similarity >= (LEAST if found.moves else SAME)


def _pair(
    one: Compared, chance: float, ids: Sequence[str], films: Sequence[Film], durations: pd.Series
) -> Pair:
    first, second = one.first, one.second
    low, high, other_low, other_high = span(one.alignment, films[first], films[second])
    parts = [(ids[first], low, high), (ids[second], other_low, other_high)]
    parts = [(id, start, min(end, float(durations[id]))) for id, start, end in parts]
    parts.sort(key=lambda part: -(part[2] - part[1]) / durations[part[0]])
    (a, start_a, end_a), (b, start_b, end_b) = parts
    held = (end_b - start_b) < HELD * float(durations[b])
    similarity = one.alignment.agreement.similarity
    return Pair(a, b, start_a, end_a, start_b, end_b, one.turn, similarity, chance, held)


def _of(codes: Segments, ids: Sequence[str]) -> Segments:
    """The codes of the videos `ids`, which are sorted; owners are positions in it."""
    there = np.isin(codes.ids, np.array(ids, np.str_))
    kept = codes.take(there[codes.owner])
    places = np.searchsorted(np.array(ids, np.str_), codes.ids).astype(np.int32)
    return replace(kept, ids=np.array(ids, np.str_), owner=places[kept.owner])


def _judged(judgements: pd.DataFrame, verdict: str) -> set[tuple[str, str]]:
    of = judgements[judgements["verdict"] == verdict]
    return set(zip(of["id_a"], of["id_b"], strict=True))


def _groups(
    pairs: Sequence[Pair],
    videos: pd.DataFrame,
    joined: set[tuple[str, str]],
    apart: set[tuple[str, str]],
) -> list[Group]:
    """Groups of ids, and of files with the same content."""
    paths: dict[str, list[str]] = {}
    for path, id in sorted(zip(videos["path"], videos["id"], strict=True)):
        paths.setdefault(id, []).append(path)
    known = sorted((a, b, False) for a, b in joined if a in paths and b in paths)
    found = grouped([*known, *((pair.a, pair.b, pair.held) for pair in pairs)], apart)
    alone = sorted(paths.keys() - {id for ids in found for id in ids})
    found += [[id] for id in alone if len(paths[id]) > 1]
    return [
        Group(
            ids,
            sorted(path for id in ids for path in paths[id]),
            [pair for pair in pairs if pair.a in ids and pair.b in ids],
        )
        for ids in found
    ]

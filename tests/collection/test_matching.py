"""Matches against a slow twin, and by hand."""

import numpy as np
import pytest

from chain.collection.calibration import Chance
from chain.collection.matching import Chances, match
from chain.collection.segments import Segments

BYTES, STRIDE = 4, 2.0


def segments(lengths, seed=0):
    """Random codes of videos that have so many segments each, besides the whole one."""
    random, rows = np.random.default_rng(seed), []
    for video, parts in enumerate(lengths):
        end = STRIDE * (parts + 1) if parts else 3.0
        rows.append((video, 0.0, end, True))
        rows += [(video, STRIDE * part, STRIDE * part + 4, False) for part in range(parts)]
    owner, start, end, whole = map(np.array, zip(*rows, strict=True))
    codes = random.integers(0, 256, (len(rows), BYTES), dtype=np.uint8)
    ids = np.array([f"{video:032x}" for video in range(len(lengths))])
    return Segments(
        ids, owner.astype(np.int32), start.astype(np.float32), end.astype(np.float32), whole, codes
    )


def chances(database):
    return Chances(
        Chance.fit(database.wholes.codes, database.wholes.owner),
        Chance.fit(database.parts.codes, database.parts.owner),
        unrelated=len(database.ids),
    )


def slow_twin(query, database, meaning):
    """The least chance of each video, pair by pair."""
    groups = {}
    for kind in ("wholes", "parts"):
        asked, there = getattr(query, kind), getattr(database, kind)
        for q in range(len(asked)):
            for d in range(len(there)):
                distance = bin(int.from_bytes(asked.codes[q] ^ there.codes[d])).count("1")
                shifts = there.start[d] - asked.start[q], there.end[d] - asked.end[q]
                for shift in {round(float(one) / STRIDE) for one in shifts}:
                    key = kind, int(there.owner[d]), shift if kind == "parts" else 0
                    group = groups.setdefault(key, {})
                    group[q] = min(group.get(q, 99), distance)
    both = len(database.wholes) * len(query.wholes) + len(query.parts) * len(database.parts)
    both -= sum(query.parts.whole) * sum(database.parts.whole)
    least = {}
    for (kind, video, _), group in groups.items():
        mean = np.mean(list(group.values()))
        chance = float(getattr(meaning, kind).expected(mean, both, len(group)))
        least[video] = min(least.get(video, np.inf), chance)
    count = len(database.ids)
    return {video: count * (1 - np.exp(-chance / count)) for video, chance in least.items()}


@pytest.mark.parametrize("lengths", [[0], [4]])
def test_chances_are_those_of_the_slow_twin(lengths):
    query, database = segments(lengths, 1), segments([0, 3, 5, 0, 1, 4])
    meaning = chances(database)
    found = match(query, database, meaning, STRIDE, 10)
    assert dict(zip(found["video"], found["chance"], strict=True)) == pytest.approx(
        slow_twin(query, database, meaning)
    )
    assert found["chance"].is_monotonic_increasing


def test_a_part_is_found_where_it_is():
    database = segments([5, 6, 0, 4])
    film = database.take(database.owner == 1)
    query = segments([2], 1)
    codes = query.codes.copy()
    codes[1:] = film.codes[3:5]  # the segments that start after 4 and 6 seconds
    query = Segments(query.ids, query.owner, query.start, query.end, query.whole, codes)
    best = match(query, database, chances(database), STRIDE, 10).iloc[0]
    assert (best["video"], best["distance"], best["parts"]) == (1, 0, 2)
    assert (best["start"], best["end"]) == (4, 10)
    assert (best["query_start"], best["query_end"]) == (0, 6)


def test_chance_expects_no_more_videos_than_there_are():
    """Each of 30 segments has a chance match somewhere, and yet they are those of four videos."""
    query, database = segments([30], 1), segments([30, 30, 30, 30])
    found = match(query, database, chances(database), STRIDE, 10)
    assert (found["chance"] <= 4).all() and found["chance"].max() > 1


def test_a_query_that_starts_and_ends_within_a_shot():
    """Its shots lack a beginning and an end, so that only one end of each tells the offset."""
    database, query = segments([5, 2, 4]), segments([2], 1)
    film = database.owner == 1
    start, end, codes = database.start.copy(), database.end.copy(), query.codes.copy()
    start[film], end[film] = [0, 0, 4], [9, 4, 9]
    codes[1:] = database.codes[film][1:]
    database = Segments(database.ids, database.owner, start, end, database.whole, database.codes)
    there, gone = np.float32([0, 0, 2]), np.float32([5, 2, 5])  # from 2 to 7 of the film
    query = Segments(query.ids, query.owner, there, gone, query.whole, codes)
    best = match(query, database, chances(database), STRIDE, 10).iloc[0]
    assert (best["video"], best["distance"], best["parts"]) == (1, 0, 2)
    assert (best["start"], best["end"]) == (0, 9)
    assert (best["query_start"], best["query_end"]) == (0, 5)


def test_an_empty_database():
    query, database = segments([2]), segments([3])
    empty = database.take(np.zeros(len(database), bool))
    assert match(query, empty, chances(database), STRIDE, 10).empty


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_equals_the_one_with_the_query_s_content_is_first(place):
    one = segments([0, 0, 0, 0])
    codes = one.codes.copy()
    codes[:3] = codes[0]
    database = Segments(one.ids, one.owner, one.start, one.end, one.whole, codes)
    found = match(database.of(place), database, chances(database), STRIDE, 10)
    assert found["video"].tolist()[:3] == [place, *(v for v in range(3) if v != place)]

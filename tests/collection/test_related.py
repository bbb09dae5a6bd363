"""Videos that show the same pictures, whose distances are no matter of chance."""

import numpy as np
import pytest
from moving_scenes import every, shoot

from chain.collection import related as room
from chain.collection.descriptors import describe
from chain.collection.related import related
from chain.collection.segments import Segments

TIMES = every(0.25, 0, 4)


def videos():
    """Eight scenes, and of the first a darker copy, a part, and one that holds it."""
    made = {f"{number}": shoot(number, number, TIMES) for number in range(8)}
    made["dark"] = (made["0"] * 0.7).astype(np.uint8)
    made["part"] = made["dark"][4:9]
    made["within"] = np.concatenate([made["1"], made["0"]])
    made["flat"] = np.full_like(made["0"], 40)
    return dict(sorted(made.items()))


def reader(shown, asked=None):
    def frames(ids):
        if asked is not None:
            asked.extend(ids)
        return {id: (np.arange(len(shown[id])) / 4, describe(shown[id])) for id in ids}

    return frames


def codes_of(ids, spread):
    """A code of each video; all are within `spread` bits of one."""
    random = np.random.default_rng(0)
    codes = np.zeros((len(ids), 8), np.uint8)
    codes[:, 0] = random.integers(0, 2**spread, len(ids))
    zero = np.zeros(len(ids), np.float32)
    owner = np.arange(len(ids), dtype=np.int32)
    return Segments(np.array(ids), owner, zero, zero + 4, np.ones(len(ids), bool), codes)


@pytest.fixture(scope="module")
def shown():
    return videos()


def groups_of(ids, groups):
    found = [[id for id, one in zip(ids, groups, strict=True) if one == group] for group in groups]
    return sorted({tuple(group) for group in found if len(group) > 1})


def test_who_shows_the_same_pictures_is_related(shown):
    ids = list(shown)
    groups = related(codes_of(ids, 3), reader(shown))
    assert groups_of(ids, groups) == [("0", "1", "dark", "part", "within")]
    assert len(np.unique(groups)) == 8  # the flat one shows nothing


def test_only_the_nearest_pairs_are_looked_at(shown, monkeypatch):
    monkeypatch.setattr(room, "CHECKED", 1)
    ids = ["0", "2", "3", "dark"]
    codes = codes_of(ids, 0)
    codes.codes[:, 0] = [0, 255, 15, 1]
    asked = []
    groups = related(codes, reader(shown, asked))
    assert asked == ["0", "dark"]
    assert groups_of(ids, groups) == [("0", "dark")]


@pytest.mark.parametrize("count", [0, 1])
def test_where_there_is_no_pair_nobody_is_related(shown, count):
    ids = list(shown)[:count]
    assert related(codes_of(ids, 3), reader(shown)).tolist() == list(range(count))

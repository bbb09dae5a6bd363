"""Cuts between pictures by hand, against slow counting, and in what a collection keeps."""

from itertools import pairwise

import numpy as np
import pytest
from tiny_hasher import texture

from chain.collection import Collection, Segmenting
from chain.collection.cuts import DIFFERENT, LEVELS, SHARP, cuts

S = 8


def plain(*levels):
    """Grey pictures, one of each level."""
    return np.stack([np.full((S, S, 3), level, np.uint8) for level in levels])


def partly(share):
    """A black picture, and one of which a share of each quarter is white."""
    pictures = plain(0, 0)
    rows = round(share * S / 2)
    pictures[1, :rows] = pictures[1, S // 2 :][:rows] = 255
    return pictures


def every(step, count):
    return (step * np.arange(count)).astype(np.float32)


def found(pictures):
    return cuts(pictures, every(1, len(pictures))).tolist()


def slow_cuts(pictures, times):
    def colours(quarter):
        names = [tuple(int(value) * LEVELS // 256 for value in pixel) for pixel in quarter]
        return {name: names.count(name) / len(names) for name in names}

    def change(one, other):
        changes = []
        for down in (slice(0, S // 2), slice(S // 2, S)):
            for across in (slice(0, S // 2), slice(S // 2, S)):
                a, b = (colours(picture[down, across].reshape(-1, 3)) for picture in (one, other))
                changes.append(sum(abs(a.get(n, 0) - b.get(n, 0)) for n in {*a, *b}) / 2)
        return sum(changes) / 4

    all_changes = [change(*pair) for pair in pairwise(pictures)]
    result = []
    for place, one in enumerate(all_changes):
        beside = [*all_changes[max(place - 1, 0) : place], *all_changes[place + 1 : place + 2]]
        if one >= DIFFERENT and one >= SHARP * max(beside, default=0):
            result.append((times[place] + times[place + 1]) / 2)
    return result


def test_a_cut_is_midway_between_two_frames():
    assert cuts(plain(0, 0, 200, 200), np.array([0, 1, 3, 4], np.float32)).tolist() == [2.0]


def test_what_is_no_hard_cut():
    assert found(plain(10, 10, 20, 30)) == []  # the same colours
    assert found(plain(0, 70, 140, 200, 255)) == []  # a fade
    assert found(plain(0, 0, 200, 0, 0)) == []  # a flash
    assert found(partly(0.25)) == []
    assert found(partly(0.5)) == [0.5]
    assert found(plain(0)) == []


def test_where_in_the_picture_the_colours_are():
    one, other = plain(0, 0), plain(0, 0)
    one[:, :, : S // 2], other[:, :, S // 2 :] = 200, 200
    assert found(np.concatenate([one, other])) == [1.5]  # one histogram would not tell
    moved = one.copy()
    moved[:, :, : S // 2] = one[:, ::-1, : S // 2]
    assert found(np.concatenate([one, moved])) == []


@pytest.mark.parametrize("seed", range(5))
def test_against_slow_counting(seed):
    random = np.random.default_rng(seed)
    scenes = random.integers(0, 256, (4, S, S, 3))
    shown = np.repeat(scenes, random.integers(1, 5, 4), axis=0)
    pictures = (shown + random.integers(-9, 10, shown.shape)).clip(0, 255).astype(np.uint8)
    times = random.uniform(0, 1, len(pictures)).cumsum().astype(np.float32)
    expected = slow_cuts(pictures, times.astype(float))
    np.testing.assert_allclose(cuts(pictures, times), expected)


def test_segments_of_a_collection_respect_cuts(tmp_path, hasher, write_clip):
    frames = np.concatenate([texture(0)] * 2 + [255 - texture(0) // 2] * 2)  # cut after 2.4 s
    path = write_clip(tmp_path / "cut.mp4", frames)
    collection = Collection.create(tmp_path / "collection", hasher, Segmenting(2, 1))
    collection.add([path])
    parts = collection.codes(whole=False)
    np.testing.assert_allclose(parts.start, [0, 0.4, 2.4, 2.8], atol=0.2)
    np.testing.assert_allclose(parts.end, [2, 2.4, 4.4, 4.8], atol=0.2)
    assert parts.end[1] == parts.start[2]

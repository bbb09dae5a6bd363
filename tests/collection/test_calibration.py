"""The expected number of chance matches."""

import numpy as np
import pytest

from chain.collection import calibration
from chain.collection.calibration import Chance
from chain.core.errors import InputError


def codes_of(count, bits, seed, common=0.0):
    """Codes whose bits follow a few hidden values in part, so that distances spread widely."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(count, 3)) @ np.random.default_rng(9).normal(size=(3, bits))
    return np.packbits(common * hidden + random.normal(size=(count, bits)) > 0, axis=1)


def counted(codes, owner):
    """A slow twin: how many pairs of different owners are at each distance."""
    counts = np.zeros(8 * codes.shape[1] + 1)
    for i in range(len(codes)):
        for j in range(i):
            if owner[i] != owner[j]:
                counts[int(np.unpackbits(codes[i] ^ codes[j]).sum())] += 1
    return counts


def test_where_many_pairs_are_counted_their_counts_hold(monkeypatch):
    monkeypatch.setattr(calibration, "PRIOR", 1e-9)
    codes, owner = codes_of(150, 16, 0), np.arange(150) // 2
    counts = counted(codes, owner)
    chance = Chance.fit(codes, owner)
    below = counts.cumsum() / counts.sum()
    for distance in range(5, 17):  # 5: more than 2 * 0.5 / 75 of the pairs
        assert below[distance] > 1 / 75
        assert chance.expected(distance, 1000) == pytest.approx(1000 * below[distance])
    assert chance.mean == pytest.approx((counts * np.arange(17)).sum() / counts.sum())


def test_each_pair_of_videos_counts_the_same(monkeypatch):
    """A slow twin: the mean over pairs of videos of the mean distance of their codes."""
    monkeypatch.setattr(calibration, "PRIOR", 1e-9)
    lengths = (1, 2, 5, 30)
    codes, owner = codes_of(sum(lengths), 16, 0), np.repeat(np.arange(4), lengths)
    related = np.array([0, 1, 0, 2])[owner]
    means = []
    for a, b in ((0, 1), (0, 3), (1, 2), (1, 3), (2, 3)):  # 0 and 2 are related
        pairs = codes[owner == a][:, None] ^ codes[owner == b]
        means.append(np.bitwise_count(pairs).sum(axis=2).mean())
    of_groups = [np.mean([means[0], means[2]]), np.mean([means[1], means[4]]), means[3]]
    assert Chance.fit(codes, owner, related=related).mean == pytest.approx(np.mean(of_groups))
    monkeypatch.setattr(calibration, "PAIRS", 400)  # so that pairs are drawn
    assert Chance.fit(codes, owner, related=related).mean == pytest.approx(
        np.mean(of_groups), abs=0.5
    )


def test_pairs_that_are_held_out_are_as_many_as_expected():
    codes = codes_of(3000, 64, 1, 0.8)
    chance = Chance.fit(codes[:1000], np.arange(1000))
    others = codes[1000:]
    one, two = np.triu_indices(len(others), 1)
    distances = np.bitwise_count(others[one] ^ others[two]).sum(axis=1)
    for distance in (4, 6, 8, 10, 14, 20, 30):
        found = int((distances <= distance).sum())
        expected = float(chance.expected(distance, len(one)))
        # Of two million pairs, the last hundred are those of the tail, which is on the safe side.
        assert found / 2.5 - 3 < expected < 2.5 * found + 100, distance


def test_copies_change_little():
    codes = codes_of(800, 64, 2, 0.8)
    random = np.random.default_rng(0)
    flips = np.packbits(random.random((400, 64)) < 0.03, axis=1)
    without = Chance.fit(codes, np.arange(800))
    with_copies = Chance.fit(np.concatenate([codes, codes[:400] ^ flips]), np.arange(1200))
    for distance in range(0, 40):
        ratio = with_copies.expected(distance, 1) / without.expected(distance, 1)
        assert 0.4 < ratio < 4, distance


def near_copies(codes, count, seed=0):
    """`count` copies of the first code, of which each bit may have changed."""
    flips = np.random.default_rng(seed).random((count, 8 * codes.shape[1])) < 0.02
    return np.concatenate([codes, codes[[0] * count] ^ np.packbits(flips, axis=1)])


def test_many_copies_of_one_video_change_nothing_once_they_are_known():
    codes = codes_of(30, 64, 2, 0.8)
    known = counted(codes_of(300, 64, 3, 0.8), np.arange(300))
    without = Chance.fit(codes, np.arange(30), known)
    every, related = near_copies(codes, 29), np.r_[np.arange(30), np.zeros(29, int)]
    seen, unseen = (Chance.fit(every, np.arange(59), known, groups) for groups in (related, None))
    for distance in (4, 8, 12):
        expected = without.expected(distance, 1)
        assert 0.2 < seen.expected(distance, 1) / expected < 5, distance
        assert unseen.expected(distance, 1) > 20 * expected, distance


@pytest.mark.parametrize("count", [0, 2, 5, 10])
def test_in_a_collection_of_few_videos_training_tells_how_rare_a_distance_is(count):
    """Not a tail that a handful of pairs begins: it told one in 10^12 where it is one in 100."""
    known = np.zeros(65)
    known[:3], known[24:41] = 1000, 15_000
    chance = Chance.fit(codes_of(count, 64, 6), np.arange(count), known)
    for distance in (0, 2, 12, 28):
        truth = known[: distance + 1].sum() / known.sum()
        assert 0.8 < chance.expected(distance, 1) / truth < 1.25, distance


def test_the_tail_goes_on_below_what_is_counted():
    chance = Chance.fit(codes_of(200, 64, 3), np.arange(200))
    steps = np.diff(np.log(chance.expected(np.arange(33), 1.0)))
    assert (steps > 0).all() and chance.expected(0, 1.0) > 0
    np.testing.assert_allclose(steps[:5], steps[0])


@pytest.mark.parametrize("segments", [1, 3])
def test_distance_for_is_the_largest_that_is_so_rare(segments):
    chance = Chance.fit(codes_of(300, 32, 4, 0.5), np.arange(300))
    for rate in (1e-6, 0.1, 5, 1e9):
        limit = chance.distance_for(rate, 1000, segments)
        steps = np.arange(32 * segments + 1) / segments
        rare = [step for step in steps if chance.expected(step, 1000, segments) <= rate]
        assert limit == (max(rare) if rare else -1)
    assert chance.distance_for(1e-300, 1000) == -1


def runs(count, length, seed, memory):
    """Codes of videos of `length` segments, each of which shares bits with the one before."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, length, 64))
    for row in range(1, length):
        values[:, row] = memory * values[:, row - 1] + np.sqrt(1 - memory**2) * values[:, row]
    return np.packbits(values > 0, axis=2).reshape(count * length, 8)


@pytest.mark.parametrize("memory", [0.0, 0.7, 1.0])
def test_the_mean_over_segments(memory):
    """As many means are so small as it says, whether neighbours are independent or the same."""
    codes, owner = runs(300, 4, 5, memory), np.repeat(np.arange(300), 4)
    chance = Chance.fit(codes, owner)
    others = runs(600, 4, 6, memory).reshape(300, 2, 4, 8)
    means = np.bitwise_count(others[:, 0] ^ others[:, 1]).sum(axis=2).mean(axis=1)
    for limit in (29.0, 30.0, 31.0):
        assert chance.expected(limit, 300, 4) == pytest.approx((means <= limit).sum(), abs=40)
    three = chance.expected([20.0], 1, 4) / chance.expected([20.0], 1, 1)
    assert three <= 1.001 and (memory < 1 or three > 0.9)


def test_small_collections_lean_on_the_hashers_training():
    known = np.zeros(33)
    known[10:22] = 1000
    alone = Chance.fit(codes_of(2, 32, 7), ["a", "b"], known)
    assert alone.expected(9, 1) < alone.expected(10, 1) < 0.2
    assert alone.mean == pytest.approx(15.5, abs=0.1)
    empty = Chance.fit(np.empty((0, 4), np.uint8), [])
    assert empty.expected(0, 1) < 0.01 and empty.mean == pytest.approx(16)


def test_the_same_codes_give_the_same():
    codes = codes_of(2000, 64, 8)
    one, two = (Chance.fit(codes, np.arange(2000)) for _ in range(2))
    np.testing.assert_array_equal(one.below, two.below)


@pytest.mark.parametrize(
    ("codes", "owner", "known"),
    [
        (np.zeros((3, 4), np.uint8), [1, 2], None),
        (np.zeros((2, 4), np.int64), [1, 2], None),
        (np.zeros((2, 4), np.uint8), [1, 2], np.ones(7)),
        (np.zeros((2, 4), np.uint8), [1, 2], np.zeros(33)),
    ],
)
def test_what_does_not_fit_is_refused(codes, owner, known):
    with pytest.raises(InputError, match="calibration"):
        Chance.fit(codes, owner, known)


def test_groups_of_another_number_are_refused():
    with pytest.raises(InputError, match="a group of related videos for each code"):
        Chance.fit(np.zeros((2, 4), np.uint8), [1, 2], related=[0])

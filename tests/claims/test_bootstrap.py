import numpy as np
import pytest

from chain.claims import bootstrap
from chain.claims.bootstrap import Gain, paired_bootstrap, relative_gain
from chain.core.errors import InputError


def matrices(ours=(3, 40), theirs=(2, 40), seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(ours), 0.8 * rng.random(theirs)


def twin(ours, theirs, resamples, seed):
    """One resample after the other, one picked value after the other."""
    rng = np.random.default_rng(seed)
    picks = [rng.integers(len(s), size=(resamples, len(s))) for s in (ours, theirs)]
    gains = []
    for one in range(resamples):
        queries = rng.integers(ours.shape[1], size=ours.shape[1])
        means = [
            np.mean([side[s, q] for s in pick[one] for q in queries])
            for side, pick in zip((ours, theirs), picks, strict=True)
        ]
        gains.append(means[0] / means[1] - 1)
    gains.sort()
    last = resamples - 1
    low, high = gains[int(np.floor(0.025 * last))], gains[int(np.ceil(0.975 * last))]
    positive = sum(gain > 0 for gain in gains) / resamples
    return Gain(ours.mean() / theirs.mean() - 1, low, high, positive)


def values(gain):
    return [gain.mean, gain.low, gain.high, gain.positive]


@pytest.mark.parametrize("shapes", [((3, 40), (2, 40)), ((1, 7), (4, 7)), ((2, 1), (2, 1))])
def test_slow_twin(shapes):
    ours, theirs = matrices(*shapes)
    found = paired_bootstrap(ours, theirs, 101, seed=3)
    np.testing.assert_allclose(values(found), values(twin(ours, theirs, 101, 3)), rtol=1e-12)


def test_blocks_do_not_matter(monkeypatch):
    ours, theirs = matrices()
    whole = paired_bootstrap(ours, theirs, 50, seed=1)
    for block in (1, 40 * 7, 40 * 50):
        monkeypatch.setattr(bootstrap, "BLOCK", block)
        parts = paired_bootstrap(ours, theirs, 50, seed=1)
        np.testing.assert_allclose(values(parts), values(whole), rtol=1e-12)


def test_deterministic_by_seed_and_pure():
    ours, theirs = matrices()
    copies = ours.copy(), theirs.copy()
    first = paired_bootstrap(ours, theirs, 200, seed=5)
    assert paired_bootstrap(ours, theirs, 200, seed=5) == first
    assert paired_bootstrap(ours, theirs, 200, seed=6) != first
    np.testing.assert_array_equal(ours, copies[0])
    np.testing.assert_array_equal(theirs, copies[1])


def test_identical_sides():
    ours, _ = matrices()
    several = paired_bootstrap(ours, ours.copy(), 500, seed=0)
    assert several.mean == 0
    assert several.low < 0 < several.high  # seeds are drawn for each side on its own
    one = paired_bootstrap(ours[:1], ours[:1].copy(), 500, seed=0)
    assert one == Gain(0, 0, 0, 0)


def test_twice_as_good_on_every_query_leaves_no_doubt():
    _, theirs = matrices(theirs=(1, 40))
    assert paired_bootstrap(2 * theirs, theirs, 300, seed=0) == Gain(1, 1, 1, 1)
    assert paired_bootstrap(theirs, 2 * theirs, 300, seed=0) == Gain(-0.5, -0.5, -0.5, 0)


def test_pairing_takes_the_difficulty_of_queries_out():
    _, theirs = matrices(theirs=(1, 60))
    ours = 1.05 * theirs
    shuffled = np.random.default_rng(1).permuted(ours, axis=1)
    paired, unpaired = (paired_bootstrap(x, theirs, 300, seed=0) for x in (ours, shuffled))
    assert paired.mean == pytest.approx(unpaired.mean)
    assert paired.low > 0 > unpaired.low


def test_spread_between_trainings_widens_the_interval():
    _, theirs = matrices(theirs=(1, 60))
    steady = np.repeat(1.2 * theirs, 3, axis=0)
    shaky = steady * np.array([[0.7], [1.0], [1.3]])
    first, second = (paired_bootstrap(x, theirs, 400, seed=0) for x in (steady, shaky))
    assert first.mean == pytest.approx(second.mean)
    assert first.low == pytest.approx(0.2) and first.high == pytest.approx(0.2)
    assert second.low < 0 < 0.5 < second.high


def test_coverage_of_a_known_gain():
    """Of intervals for data with a true gain of 10 %, about 95 in 100 hold it."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(100):
        difficulty = rng.random(80)
        ours, theirs = (level * difficulty + rng.normal(0, 0.1, (1, 80)) for level in (1.1, 1.0))
        gain = paired_bootstrap(ours, theirs, 200, seed=trial)
        hits += gain.low <= 0.1 <= gain.high
    assert 88 <= hits <= 99


def test_resamples_without_a_hit_of_theirs():
    ours = np.array([[0.5, 0.5, 0.0]])
    theirs = np.array([[0.5, 0.0, 0.0]])
    gain = paired_bootstrap(ours, theirs, 500, seed=0)
    assert gain.mean == 1
    assert gain.low == 0 and gain.high == np.inf
    np.testing.assert_array_equal(
        relative_gain(np.array([0.0, 1.0, 0.0, 3.0]), np.array([0.0, 0.0, 2.0, 2.0])),
        [0, np.inf, -1, 0.5],
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (np.ones((1, 3)), np.ones((1, 4)), "ours has 3 queries, theirs 4"),
        (np.ones((0, 3)), np.ones((1, 3)), r"ours: AP of shape \(0, 3\)"),
        (np.ones((1, 3)), np.ones((1, 0)), r"theirs: AP of shape \(1, 0\)"),
        (np.ones(3), np.ones(3), r"ours: AP of shape \(3,\)"),
        (np.ones((1, 3)), np.array([[1, np.nan, 1]]), "theirs: AP holds something else"),
        (np.ones((1, 3)), np.zeros((1, 3)), "theirs: every AP is 0"),
    ],
)
def test_bad_input(ours, theirs, message):
    with pytest.raises(InputError, match=message):
        paired_bootstrap(ours, theirs, 10, seed=0)

import itertools
import math

import numpy as np
import pytest

from chain.models.hash_centres import (
    Array,
    first_centres,
    hamming,
    hash_centres,
    least_distance,
    objective,
    scaled,
    score,
    solve,
)


def semantic(count: int, seed: int = 0) -> Array:
    """Centres of length 1 in six dimensions."""
    centres = np.random.default_rng(seed).normal(size=(count, 6))
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def distances(centres: Array) -> list[int]:
    return [int((a != b).sum()) for a, b in itertools.combinations(centres, 2)]


def test_first_centres_are_hadamard_rows() -> None:
    expected = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1], [-1, -1, -1, -1]]
    assert first_centres(5, 4, np.random.default_rng(0)).tolist() == expected
    assert set(distances(first_centres(8, 4, np.random.default_rng(0)))) == {2, 4}


def test_more_centres_than_rows_are_balanced() -> None:
    centres = first_centres(70, 32, np.random.default_rng(0))
    assert np.isin(centres, (-1, 1)).all() and not centres[64:].sum(axis=1).any()
    assert np.array_equal(centres, first_centres(70, 32, np.random.default_rng(0)))
    assert not np.array_equal(centres, first_centres(70, 32, np.random.default_rng(1)))
    assert min(distances(centres)) > 8


@pytest.mark.parametrize(
    ("count", "bits", "expected"),
    [
        (2, 4, 3),  # 1 + 4 = 5 < 8 = 16 / 2 and 1 + 4 + 6 = 11
        (4, 4, 2),  # 1 < 4 = 16 / 4 and 1 + 4 = 5
        (16, 4, 1),  # 1 = 16 / 16
        (1, 3, 4),  # all eight codes
    ],
)
def test_least_distance_by_hand(count: int, bits: int, expected: int) -> None:
    assert least_distance(count, bits) == expected


def test_scaled_similarities() -> None:
    assert scaled(np.array([0.0, 1.0, 0.25]), 8).tolist() == [-8, 8, -4]
    assert scaled(np.array([0.3, 0.3]), 8).tolist() == [0, 0]


def test_hamming_distances() -> None:
    first, second = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, -1, 1])
    assert hamming(np.array([first @ second, first @ first, -first @ first]), 4).tolist() == [
        2,
        0,
        4,
    ]


@pytest.mark.parametrize("seed", range(5))
def test_admm_improves_its_objective(seed: int) -> None:
    similarity = semantic(20, seed) @ semantic(20, seed).T
    centres, targets = (
        first_centres(20, 16, np.random.default_rng(seed)),
        scaled(similarity[0, 1:], 16),
    )
    start, others = centres[0], centres[1:]
    found = solve(start, others, targets, 16 - 2 * least_distance(20, 16))
    assert np.isin(found, (-1, 1)).all()
    assert objective(found, others, targets) < objective(start, others, targets)


def test_admm_finds_the_code_that_the_targets_are_of() -> None:
    random = np.random.default_rng(0)
    wanted, others = np.sign(random.normal(size=8)), np.sign(random.normal(size=(30, 8)))
    found = solve(-wanted, others, others @ wanted, 8)
    assert np.array_equal(found, wanted)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=8)))
    best = min(objective(corner, others, others @ wanted) for corner in corners)
    assert objective(found, others, others @ wanted) == pytest.approx(best)


def test_score_by_hand() -> None:
    """Two opposite codes of clusters at a right angle: 4 bits / 2² − (−1 − 0) = 2."""
    codes = np.array([[1.0, 1, -1, -1], [-1.0, -1, 1, 1]])
    assert score(codes, np.eye(2)) == pytest.approx(2)


def test_centres_are_better_than_the_first_and_follow_the_clusters() -> None:
    clusters = semantic(12)
    similarity, pairs = clusters @ clusters.T, np.triu_indices(12, 1)
    found = hash_centres(clusters, 16, np.random.default_rng(0))
    first = first_centres(12, 16, np.random.default_rng(0))
    assert found.shape == (12, 16) and np.isin(found, (-1, 1)).all()
    assert score(found, similarity) >= score(first, similarity)
    assert np.corrcoef((found @ found.T)[pairs], similarity[pairs])[0, 1] > 0.5
    assert min(distances(found)) >= 1
    assert np.array_equal(found, hash_centres(clusters, 16, np.random.default_rng(0)))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least two clusters, not 1"):
        hash_centres(semantic(1), 8, np.random.default_rng(0))
    with pytest.raises(ValueError, match="power of 2"):
        hash_centres(semantic(3), 24, np.random.default_rng(0))
    assert math.isfinite(score(hash_centres(semantic(2), 8, np.random.default_rng(0)), np.eye(2)))

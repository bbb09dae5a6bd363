from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from chain.retrieval.metrics import (
    average_precision,
    average_precision_ssvh,
    expected_average_precision,
    precision_recall_by_radius,
    precision_recall_by_rank,
)


def histograms(distances, relevant, bins):
    """Items and relevant items by distance, (1, bins) each, of one query."""
    distances, relevant = np.array(distances), np.array(relevant, dtype=bool)
    return (
        np.bincount(distances, minlength=bins)[None],
        np.bincount(distances[relevant], minlength=bins)[None],
    )


def random_histograms(queries, bins, largest, seed):
    rng = np.random.default_rng(seed)
    items = rng.integers(0, largest + 1, (queries, bins))
    return items, rng.integers(0, items + 1)


def slow_sum_of_precisions(ranked, k):
    total, hits = Fraction(0), 0
    for rank, is_relevant in enumerate(ranked[:k], start=1):
        if is_relevant:
            hits += 1
            total += Fraction(hits, rank)
    return total


def tie_orders(distances, relevant):
    """Every ranking, as lists of relevance, that sorts by distance."""
    for order in permutations(range(len(distances))):
        ranked = [distances[i] for i in order]
        if ranked == sorted(ranked):
            yield [bool(relevant[i]) for i in order]


TIED = [
    ([0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]),
    ([0, 1, 1, 1, 3, 3], [0, 1, 0, 1, 1, 0]),
    ([1, 1, 2, 2, 2, 2], [1, 0, 1, 1, 1, 0]),
    ([2, 2, 2, 2, 2, 3], [0, 0, 0, 0, 1, 0]),
    ([0, 1, 2, 3, 4, 4], [1, 0, 1, 1, 0, 1]),
    ([3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]),
    ([0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("distances", "relevant"), TIED)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6, 9])
def test_expected_ap_is_the_mean_over_all_orders_of_the_ties(distances, relevant, k):
    orders = list(tie_orders(distances, relevant))
    best = max(min(k, sum(relevant)), 1)
    expected = sum(slow_sum_of_precisions(ranked, k) for ranked in orders) / len(orders) / best
    computed = expected_average_precision(*histograms(distances, relevant, 5), k)
    assert computed == pytest.approx([float(expected)], abs=1e-12)


@pytest.mark.parametrize(("distances", "relevant"), TIED[:-1])
def test_precision_and_recall_by_rank_are_means_over_all_orders_of_the_ties(distances, relevant):
    orders = list(tie_orders(distances, relevant))
    ranks = np.arange(1, 7)
    hits = [np.mean([sum(ranked[:rank]) for ranked in orders]) for rank in ranks]
    precision, recall = precision_recall_by_rank(*histograms(distances, relevant, 5), ranks)
    np.testing.assert_allclose(precision, hits / ranks)
    np.testing.assert_allclose(recall, np.array(hits) / sum(relevant))


def slow_expected_ap(items, relevant, k):
    """The place-by-place sum of McSherry and Najork, in exact fractions."""
    total, n, m = Fraction(0), 0, 0
    for g, r in zip(map(int, items), map(int, relevant), strict=True):
        for j in range(1, g + 1):
            if n + j <= k:
                others = Fraction((j - 1) * (r - 1), g - 1) if g > 1 else 0
                total += Fraction(r, g) * (m + 1 + others) / (n + j)
        n, m = n + g, m + r
    return float(total / max(min(k, m), 1))


@pytest.mark.parametrize("k", [1, 2, 5, 20, 100, 1000])
def test_expected_ap_matches_the_explicit_sum(k):
    items, relevant = random_histograms(15, 17, 12, seed=0)
    items[0] = relevant[0] = 0
    relevant[1] = 0
    relevant[2] = items[2]
    slow = [slow_expected_ap(*pair, k) for pair in zip(items, relevant, strict=True)]
    computed = expected_average_precision(items, relevant, k)
    np.testing.assert_allclose(computed, slow, rtol=1e-12, atol=1e-12)
    assert computed[0] == computed[1] == 0 and computed[2] == pytest.approx(1)


def test_expected_ap_is_accurate_in_a_large_database():
    items = np.array([[3, 40_000, 5_000, 600]])
    relevant = np.array([[0, 300, 20, 2]])
    computed = expected_average_precision(items, relevant, 45_000)
    assert computed == pytest.approx([slow_float_sum(items[0], relevant[0], 45_000)], rel=1e-10)


def slow_float_sum(items, relevant, k):
    total, n, m = 0.0, 0, 0
    for g, r in zip(items.tolist(), relevant.tolist(), strict=True):
        for j in range(1, min(g, k - n) + 1):
            total += r / g * (m + 1 + (j - 1) * (r - 1) / (g - 1)) / (n + j)
        n, m = n + g, m + r
    return total / min(k, m)


def test_expected_ap_is_the_monte_carlo_mean():
    rng = np.random.default_rng(0)
    distances = rng.integers(0, 6, 60)
    relevant = rng.random(60) < 0.3
    samples = []
    for _ in range(4000):
        order = np.lexsort((rng.random(60), distances))
        samples.append(average_precision(relevant[None, order], 20, relevant.sum(keepdims=True))[0])
    expected = expected_average_precision(*histograms(distances, relevant, 6), 20)[0]
    error = np.std(samples) / len(samples) ** 0.5
    assert abs(np.mean(samples) - expected) < 4 * error < 0.02


def test_without_ties_the_expected_ap_is_the_ap():
    rng = np.random.default_rng(1)
    ranked = rng.random((20, 30)) < 0.2
    ones = np.ones((20, 30), dtype=np.int64)
    for k in (1, 10, 30):
        np.testing.assert_allclose(
            expected_average_precision(ones, ranked.astype(np.int64), k),
            average_precision(ranked, k, ranked.sum(axis=1)),
        )


def test_ap_by_hand():
    ranked = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)
    sums = [1 + 2 / 3, 0, 1 / 2, 3]
    np.testing.assert_allclose(average_precision_ssvh(ranked, 3), np.array(sums) / 3)
    found = average_precision(ranked, 3, np.array([9, 0, 1, 4]))
    np.testing.assert_allclose(found, np.array(sums) / [3, 1, 1, 3])


@pytest.mark.parametrize("k", [1, 4, 12])
def test_ap_matches_the_slow_twin(k):
    ranked = np.random.default_rng(0).random((25, 12)) < 0.4
    sums = [float(slow_sum_of_precisions(row, k)) for row in ranked]
    np.testing.assert_allclose(average_precision_ssvh(ranked, k), np.array(sums) / k)
    relevant = ranked.sum(axis=1) + 2
    np.testing.assert_allclose(average_precision(ranked, k, relevant), sums / relevant.clip(max=k))


def test_radius_by_hand():
    items = np.array([[0, 2, 2], [0, 0, 1], [4, 0, 0]])
    relevant = np.array(
        [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    )  # the last query has none and is left out
    precision, recall = precision_recall_by_radius(items, relevant)
    np.testing.assert_array_equal(precision, [np.nan, 1 / 2, (1 / 2 + 1) / 2])
    np.testing.assert_array_equal(recall, [0, 1 / 4, 1])


def test_radius_matches_the_slow_twin():
    items, relevant = random_histograms(20, 9, 2, seed=3)
    items[:15, :3] = relevant[:15, :3] = 0
    relevant[4] = 0
    precision, recall = precision_recall_by_radius(items, relevant)
    for radius in range(9):
        precisions, recalls = [], []
        for query in range(20):
            everything = relevant[query].sum()
            if everything:
                inside = items[query, : radius + 1].sum()
                hits = relevant[query, : radius + 1].sum()
                recalls.append(hits / everything)
                if inside:
                    precisions.append(hits / inside)
        assert precision[radius] == pytest.approx(np.mean(precisions))
        assert recall[radius] == pytest.approx(np.mean(recalls))


def test_rank_by_hand():
    items = np.array([[2, 4], [1, 5], [6, 0]])
    relevant = np.array([[1, 2], [1, 0], [0, 0]])  # the last query has none and is left out
    precision, recall = precision_recall_by_rank(items, relevant, np.array([1, 2, 4, 6]))
    np.testing.assert_allclose(precision, [0.75, 0.5, (2 / 4 + 1 / 4) / 2, (3 / 6 + 1 / 6) / 2])
    np.testing.assert_allclose(recall, [(1 / 6 + 1) / 2, (1 / 3 + 1) / 2, (2 / 3 + 1) / 2, 1])


@pytest.mark.parametrize("rank", [0, 7])
def test_ranks_out_of_range_are_refused(rank):
    items, relevant = np.array([[2, 4], [3, 9]]), np.array([[1, 2], [1, 1]])
    with pytest.raises(ValueError, match=r"1\.\.6"):
        precision_recall_by_rank(items, relevant, np.array([1, rank]))

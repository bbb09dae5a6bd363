import tracemalloc

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.retrieval.codes import pack, unpack
from chain.retrieval.hamming import compare, nearest
from chain.retrieval.relevance import Relevance


def histograms(queries, database, relevance, exclude):
    return compare(queries, database, relevance, exclude, 1)[:2]


def random_codes(count, bits, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, bits // 8), dtype=np.uint8)


def random_labels(count, categories, seed):
    return np.random.default_rng(seed).random((count, categories)) < 0.2


def slow_distance(one, other):
    return sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(one, other, strict=True))


def slow_histograms(queries, database, query_labels, database_labels, exclude):
    items = np.zeros((len(queries), 8 * queries.shape[1] + 1), dtype=int)
    relevant = np.zeros_like(items)
    for q, query in enumerate(queries):
        for d, item in enumerate(database):
            if d != exclude[q]:
                distance = slow_distance(query, item)
                items[q, distance] += 1
                relevant[q, distance] += bool((query_labels[q] & database_labels[d]).any())
    return items, relevant


@pytest.mark.parametrize("bits", [8, 16, 24, 64, 72, 128, 256, 512])
def test_histograms_match_the_slow_twin(bits):
    queries, database = random_codes(9, bits, 0), random_codes(35, bits, 1)
    database[3], database[4] = queries[0], ~queries[0]  # distances 0 and b occur
    query_labels, database_labels = random_labels(9, 6, 2), random_labels(35, 6, 3)
    query_labels[2] = database_labels[0] = True  # the third query leaves out a relevant item
    exclude = np.array([3, -1, 0, 34, -1, 3, 7, 8, 9])
    fast = histograms(queries, database, Relevance(query_labels, database_labels), exclude)
    slow = slow_histograms(queries, database, query_labels, database_labels, exclude)
    for counts, expected in zip(fast, slow, strict=True):
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, expected)


def test_histograms_by_hand():
    database = np.array([[0b0], [0b1], [0b11], [0b11111111]], dtype=np.uint8)
    labels = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)
    relevance = Relevance(labels[:1], labels)
    items, relevant = histograms(database[:1], database, relevance, np.array([0]))
    assert items.tolist() == [[0, 1, 1, 0, 0, 0, 0, 0, 1]]
    assert relevant.tolist() == [[0, 1, 0, 0, 0, 0, 0, 0, 1]]


def test_queries_are_independent():
    codes, labels = random_codes(20, 32, 0), random_labels(20, 5, 1)
    whole = histograms(codes, codes, Relevance(labels, labels), np.arange(20))
    for start, stop in ((0, 7), (7, 8), (8, 20)):
        part = histograms(
            codes[start:stop],
            codes,
            Relevance(labels[start:stop], labels),
            np.arange(start, stop),
        )
        np.testing.assert_array_equal(part, [counts[start:stop] for counts in whole])


def test_invariant_to_database_order_and_to_flipped_and_permuted_bits():
    rng = np.random.default_rng(0)
    queries, database = random_codes(8, 64, 1), random_codes(50, 64, 2)
    query_labels, database_labels = random_labels(8, 5, 3), random_labels(50, 5, 4)
    exclude = rng.integers(-1, 50, 8)
    expected = histograms(queries, database, Relevance(query_labels, database_labels), exclude)

    order = rng.permutation(50)
    moved = np.where(exclude >= 0, np.argsort(order)[exclude], -1)
    shuffled = Relevance(query_labels, database_labels[order])
    np.testing.assert_array_equal(histograms(queries, database[order], shuffled, moved), expected)

    signs, bits = rng.choice([-1, 1], 64), rng.permutation(64)
    turned = [pack((unpack(codes) * signs)[:, bits]) for codes in (queries, database)]
    relevance = Relevance(query_labels, database_labels)
    np.testing.assert_array_equal(histograms(*turned, relevance, exclude), expected)


@pytest.mark.parametrize("bits", [8, 64, 72, 256])
@pytest.mark.parametrize("k", [1, 7, 39, 40])
def test_nearest_matches_the_slow_twin(bits, k):
    queries, database = random_codes(6, bits, 0), random_codes(40, bits, 1)
    database[20:30] = database[:10]
    database[5], database[6] = queries[2], ~queries[3]  # distances 0 and b occur
    indices, distances = nearest(queries, database, k)
    for q, query in enumerate(queries):
        pairs = sorted((slow_distance(query, item), d) for d, item in enumerate(database))[:k]
        assert list(zip(distances[q], indices[q], strict=True)) == pairs


@pytest.mark.parametrize("bits", [16, 64, 104])
@pytest.mark.parametrize("count", [40, 3000])
def test_one_pass_finds_the_nearest_too(bits, count):
    """In blocks of queries, the last of them not full; nobody is left out of the ranking."""
    queries, database = random_codes(101, bits, 0), random_codes(count, bits, 1)
    labels = random_labels(count, 3, 2)
    relevance = Relevance(random_labels(101, 3, 3), labels)
    found = compare(queries, database, relevance, np.arange(101) % count, 17)[2]
    np.testing.assert_array_equal(found, nearest(queries, database, 17)[0])


def test_ties_go_to_the_lower_index():
    database = np.zeros((300, 4), dtype=np.uint8)
    database[100] = 255
    indices, distances = nearest(database[:1], database, 299)
    assert indices[0].tolist() == [d for d in range(300) if d != 100]
    assert not distances.any()


def test_memory_does_not_grow_with_queries_times_items():
    codes, labels = random_codes(2000, 16, 0), np.ones((2000, 1), dtype=bool)
    relevance = Relevance(labels, labels)
    tracemalloc.start()
    histograms(codes, codes, relevance, np.arange(2000))
    nearest(codes, codes, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 2000 / 2  # half a byte a pair


def test_bad_input():
    queries, database = random_codes(2, 16, 0), random_codes(5, 32, 0)
    labels = np.ones((5, 1), dtype=bool)
    with pytest.raises(InputError, match="16 bits for the queries, 32 for the database"):
        histograms(queries, database, Relevance(labels[:2], labels), np.array([-1, -1]))
    with pytest.raises(InputError, match="16 bits for the queries, 32 for the database"):
        nearest(queries, database, 1)
    for k in (0, 6):
        with pytest.raises(ValueError, match=r"1\.\.5"):
            nearest(database, database, k)
        with pytest.raises(ValueError, match=r"1\.\.5"):
            compare(database, database, Relevance(labels, labels), np.arange(5), k)

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.retrieval.relevance import Relevance, self_matches


def random_labels(items, categories, density, seed):
    return np.random.default_rng(seed).random((items, categories)) < density


def slow_relevance(query_labels, database_labels):
    return np.array([[bool(set(q) & set(d)) for d in database_labels] for q in query_labels])


def as_sets(labels):
    return [set(np.flatnonzero(row).tolist()) for row in labels]


@pytest.mark.parametrize("categories", [1, 7, 8, 63, 64, 65, 130, 239])
@pytest.mark.parametrize("density", [0.01, 0.3])
def test_members_match_the_slow_twin(categories, density):
    query_labels = random_labels(9, categories, density, 0)
    database_labels = random_labels(40, categories, density, 1)
    query_labels[0] = False
    query_labels[1, -1] = database_labels[5, -1] = True
    expected = slow_relevance(as_sets(query_labels), as_sets(database_labels))
    assert expected.any() and not expected.all()
    relevance = Relevance(query_labels, database_labels)
    for query in range(9):
        members = relevance.members(query)
        np.testing.assert_array_equal(members, np.flatnonzero(expected[query]))


def test_single_labels_compare_as_integers():
    classes = np.random.default_rng(0).integers(0, 100, 200)
    labels = np.eye(100, dtype=bool)[classes]
    relevance = Relevance(labels, labels)
    for query in range(200):
        same = np.flatnonzero(classes == classes[query])
        np.testing.assert_array_equal(relevance.members(query), same)


def test_unlabelled_items_are_relevant_to_nothing():
    nothing = np.zeros((3, 70), dtype=bool)
    assert not len(Relevance(nothing, nothing).members(0))
    no_categories = np.zeros((3, 0), dtype=bool)
    assert not len(Relevance(no_categories, no_categories).members(2))


@pytest.mark.parametrize("categories", [5, 100])
def test_picked_items_agree_with_members(categories):
    query_labels = random_labels(12, categories, 0.1, 2)
    database_labels = random_labels(30, categories, 0.1, 3)
    relevance = Relevance(query_labels, database_labels)
    items = np.random.default_rng(4).integers(-1, 30, (12, 8))
    items[0, 0] = -1
    expected = [
        [item in relevance.members(query) for item in row] for query, row in enumerate(items)
    ]
    np.testing.assert_array_equal(relevance.of(items), expected)


def test_minus_one_is_never_relevant():
    labels = np.ones((2, 3), dtype=bool)
    assert Relevance(labels, labels).of(np.array([[-1, 1], [0, -1]])).tolist() == [
        [False, True],
        [True, False],
    ]


def test_bad_labels_are_named():
    labels = np.ones((2, 3), dtype=bool)
    with pytest.raises(InputError, match="query labels"):
        Relevance(labels.astype(int), labels)
    with pytest.raises(InputError, match="database labels"):
        Relevance(labels, labels[0])
    with pytest.raises(InputError, match="3 categories for the queries, 2 for the database"):
        Relevance(labels, labels[:, :2])


def test_self_matches():
    database = np.array(["b", "a/long name", "c"])
    found = self_matches(np.array(["c", "a/long", "a/long name", "z"]), database)
    assert found.tolist() == [2, -1, 1, -1] and found.dtype == np.int64

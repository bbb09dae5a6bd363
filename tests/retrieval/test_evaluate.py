import hashlib

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.datasets.manifest import Roles
from chain.retrieval.codes import Codes, pack, unpack
from chain.retrieval.evaluate import evaluate, evaluate_roles, stack_seeds


def sample(count=60, bits=16, categories=5, density=0.15, seed=0, prefix="item"):
    rng = np.random.default_rng(seed)
    ids = np.array([f"{prefix}_{i:03d}" for i in range(count)])
    codes = rng.integers(0, 256, (count, bits // 8), dtype=np.uint8)
    labels = rng.random((count, categories)) < density
    labels[:, 0] |= ~labels.any(axis=1)
    return Codes(ids, codes), labels


def slow_evaluation(queries, database, query_labels, database_labels, topk):
    """Both protocols ranked in Python; strict by the mean AP over 100 random tie orders."""
    rng = np.random.default_rng(0)
    ssvh, strict = {k: [] for k in topk}, {k: [] for k in topk}
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in database.ids.tolist()]
    for q, code in enumerate(queries.codes):
        distance = [int(np.bitwise_count(code ^ other).sum()) for other in database.codes]
        relevant = [bool((query_labels[q] & row).any()) for row in database_labels]
        ranking = sorted(range(len(distance)), key=lambda d: (distance[d], hashes[d]))
        for k in topk:
            ssvh[k].append(slow_ap([relevant[d] for d in ranking], k, k))

        others = [d for d in ranking if database.ids[d] != queries.ids[q]]
        best = sum(relevant[d] for d in others)
        if best:
            orders = [
                sorted(others, key=lambda d: (distance[d], draw[d]))
                for draw in rng.random((100, len(distance)))
            ]
            for k in topk:
                scores = [slow_ap([relevant[d] for d in o], k, min(k, best)) for o in orders]
                strict[k].append(np.mean(scores))
    return (
        {k: np.mean(values) for k, values in ssvh.items()},
        {k: np.mean(values) for k, values in strict.items()},
    )


def slow_ap(ranked, k, denominator):
    hits = total = 0
    for rank, relevant in enumerate(ranked[:k], start=1):
        hits += relevant
        total += relevant * hits / rank
    return total / denominator


@pytest.mark.parametrize("together", [True, False])
def test_both_protocols_match_the_slow_twin(together):
    database, database_labels = sample(categories=12)
    queries, query_labels = database, database_labels
    if not together:
        queries, query_labels = sample(30, categories=12, seed=1, prefix="query")
    topk = [1, 5, 20]
    found = evaluate(queries, database, query_labels, database_labels, topk)
    ssvh, strict = slow_evaluation(queries, database, query_labels, database_labels, topk)
    assert found.map_ssvh == pytest.approx(ssvh)
    assert found.map_strict == pytest.approx(strict, abs=0.01)
    assert list(found.map_ssvh) == list(found.map_strict) == list(found.ap_strict) == topk


def test_by_hand():
    codes = np.array([[0b0], [0b0], [0b1], [0b111]], dtype=np.uint8)
    database = Codes(np.array(["a", "b", "c", "d"]), codes)
    labels = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=bool)
    queries = Codes(np.array(["a"]), codes[:1])
    found = evaluate(queries, database, labels[:1], labels, [1, 2, 4])
    # The SHA-256 of b is 3e..., that of a is ca...; so ssvh ranks b, a, c, d: relevant 0, 1, 1, 1.
    # Strict ranks b, c, d: 0, 1, 1.
    assert found.map_ssvh == pytest.approx({1: 0, 2: 1 / 4, 4: (1 / 2 + 2 / 3 + 3 / 4) / 4})
    assert found.map_strict == pytest.approx({1: 0, 2: 1 / 4, 4: (1 / 2 + 2 / 3) / 2})
    assert found.by_radius["radius"].tolist() == list(range(9))
    assert found.by_radius["precision"].tolist() == pytest.approx([0, 1 / 2, 1 / 2] + [2 / 3] * 6)
    assert found.by_radius["recall"].tolist() == pytest.approx([0, 1 / 2, 1 / 2] + [1] * 6)
    assert found.by_rank["rank"].tolist() == [1, 2, 3]
    assert found.by_rank["precision"].tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    assert found.by_rank["recall"].tolist() == pytest.approx([0, 1 / 2, 1])


def test_the_self_match_counts_in_ssvh_only():
    """Alone in its class, every query finds itself under ssvh and nothing when strict."""
    database, _ = sample(16)
    labels = np.eye(16, dtype=bool)
    labels[15] = labels[14]
    found = evaluate(database, database, labels, labels, [1])
    renamed = Codes(np.array([f"other_{i}" for i in range(16)]), database.codes)
    assert found.answerable.tolist() == [False] * 14 + [True] * 2
    assert not found.ap_strict[1][:14].any()
    assert found.map_ssvh == evaluate(renamed, database, labels, labels, [1]).map_ssvh


def test_queries_without_relevant_items_count_in_ssvh_and_not_in_strict():
    database, database_labels = sample()
    queries, query_labels = sample(10, seed=1, prefix="query")
    answered = evaluate(queries, database, query_labels, database_labels, [5, 20])
    more = Codes(
        np.append(queries.ids, ["x", "y"]), np.append(queries.codes, queries.codes[:2], axis=0)
    )
    more_labels = np.append(query_labels, np.zeros((2, 5), dtype=bool), axis=0)
    found = evaluate(more, database, more_labels, database_labels, [5, 20])
    assert answered.answerable.all() and found.answerable.tolist() == [True] * 10 + [False] * 2
    assert found.map_strict == pytest.approx(answered.map_strict)
    assert found.map_ssvh[5] == pytest.approx(answered.map_ssvh[5] * 10 / 12)
    assert found.by_radius.equals(answered.by_radius)
    assert found.by_rank.equals(answered.by_rank)


def assert_same_strict(one, other):
    assert one.map_strict == other.map_strict
    assert one.by_radius.equals(other.by_radius)
    assert one.by_rank.equals(other.by_rank)


def test_invariant_to_database_order_and_flipped_and_permuted_bits():
    rng = np.random.default_rng(7)
    database, labels = sample(80, bits=8)
    queries = Codes(database.ids[:20], database.codes[:20])
    expected = evaluate(queries, database, labels[:20], labels, [3, 80])

    order = rng.permutation(80)
    shuffled = Codes(database.ids[order], database.codes[order])
    found = evaluate(queries, shuffled, labels[:20], labels[order], [3, 80])
    assert_same_strict(found, expected)
    assert found.map_ssvh == expected.map_ssvh

    flips, bits = rng.choice([-1, 1], 8), rng.permutation(8)
    turned = [
        Codes(part.ids, pack((unpack(part.codes) * flips)[:, bits])) for part in (queries, database)
    ]
    again = evaluate(*turned, labels[:20], labels, [3, 80])
    assert_same_strict(again, expected)
    assert again.map_ssvh == expected.map_ssvh


def test_constant_codes_score_what_chance_does():
    database, labels = sample(50)
    constant = Codes(database.ids, np.zeros_like(database.codes))
    found = evaluate(constant, constant, labels, labels, [1])
    relevant = (labels.astype(int) @ labels.T.astype(int) > 0).sum(axis=1) - 1
    assert found.map_strict[1] == pytest.approx(relevant[relevant > 0].mean() / 49)


def test_a_database_sorted_by_category_favours_no_category_under_ssvh():
    """All codes are the same, so that the ties' order is all there is."""
    database, _ = sample(400)
    labels = np.repeat(np.eye(4, dtype=bool), 100, axis=0)
    constant = Codes(database.ids, np.zeros_like(database.codes))
    found = evaluate(constant, constant, labels, labels, [100])
    sorted_by_category = 1 / 4  # all hits for one category, none for the others
    chance = 1 / 16  # the share of a category at each rank, of which it is the precision
    assert abs(found.map_ssvh[100] - chance) < (sorted_by_category - chance) / 10


def test_perfect_codes_score_one():
    labels = np.repeat(np.eye(3, dtype=bool), 10, axis=0)
    codes = np.repeat(np.array([[0], [15], [255]], dtype=np.uint8), 10, axis=0)
    perfect = Codes(np.array([str(i) for i in range(30)]), codes)
    found = evaluate(perfect, perfect, labels, labels, [1, 5, 10, 30])
    assert found.map_strict == pytest.approx({1: 1, 5: 1, 10: 1, 30: 1})
    assert found.map_ssvh == pytest.approx({1: 1, 5: 1, 10: 1, 30: 1 / 3})


def test_curves_span_the_whole_database():
    queries, query_labels = sample(20, seed=1, prefix="query")
    database, database_labels = sample(500)
    found = evaluate(queries, database, query_labels, database_labels, [5])
    ranks = found.by_rank["rank"].to_numpy()
    assert ranks[0] == 1 and ranks[-1] == 500 and (np.diff(ranks) > 0).all()
    assert found.by_rank["recall"].iloc[-1] == pytest.approx(1)
    assert found.by_radius["radius"].iloc[-1] == 16
    assert found.by_radius["recall"].iloc[-1] == pytest.approx(1)


def test_radii_at_which_nothing_is_found_are_left_out():
    queries = Codes(np.array(["q"]), np.array([[0]], dtype=np.uint8))
    database = Codes(np.array(["d"]), np.array([[0b111]], dtype=np.uint8))
    labels = np.ones((1, 1), dtype=bool)
    table = evaluate(queries, database, labels, labels, [1]).by_radius
    assert table["radius"].tolist() == [3, 4, 5, 6, 7, 8]
    assert list(table.columns) == ["radius", "precision", "recall"]


def test_a_query_with_nothing_to_search_is_only_counted():
    database = Codes(np.array(["a"]), np.array([[1]], dtype=np.uint8))
    queries = Codes(np.array(["a", "b"]), np.array([[1], [2]], dtype=np.uint8))
    labels = np.ones((2, 1), dtype=bool)
    found = evaluate(queries, database, labels, labels[:1], [1])
    assert found.answerable.tolist() == [False, True] and found.map_strict == {1: 1.0}


def test_bad_input():
    database, labels = sample(20)
    for k in (0, 21):
        with pytest.raises(InputError, match=rf"K = {k}: .* database, 20"):
            evaluate(database, database, labels, labels, [5, k])
    with pytest.raises(InputError, match="16 bits for the queries, 32 for the database"):
        evaluate(database, sample(20, bits=32)[0], labels, labels, [5])
    with pytest.raises(InputError, match="query labels: 19 rows for 20 items"):
        evaluate(database, database, labels[:19], labels, [5])
    with pytest.raises(InputError, match="database labels: 19 rows for 20 items"):
        evaluate(database, database, labels, labels[:19], [5])
    with pytest.raises(InputError, match="no query has a relevant item"):
        evaluate(database, database, np.zeros_like(labels), labels, [5])
    alone = np.eye(20, dtype=bool)
    with pytest.raises(InputError, match="no query has a relevant item"):
        evaluate(database, database, alone, alone, [5])


ROLES = Roles(train="train", database="database", query="query")
LABELS = ["a", "b;c", "a;c", "b", "", "c", "d", "a"]
SPLITS = ["query", "database", "database", "train", "query", "query", "query", "database"]
INDEX = pd.DataFrame({"id": [f"{k:03}" for k in range(8)], "labels": LABELS, "split": SPLITS})
CODES = Codes(
    INDEX["id"].to_numpy().astype(str),
    np.array([[0], [0b111], [0b1], [0], [0], [0b1111], [0], [0b11]], dtype=np.uint8),
)


def test_roles_by_hand():
    """Clips 0, 4, 5, 6 ask among 1, 2, 7; only 0 (a) and 5 (c) have an answer there."""
    tables = evaluate_roles(CODES, INDEX, ROLES, [1, 3])
    assert list(tables) == ["map", "queries", "by_rank", "by_radius"]
    # Clip 0 ranks 2, 7, 1, of which 2 and 7 are right; clip 5 ranks 1, 7, 2: 1 and 2 are right.
    third = (1 + 2 / 3) / 2
    queries = pd.DataFrame({"id": ["000", "005"], "ap1": [1.0, 1.0], "ap3": [1.0, third]})
    pd.testing.assert_frame_equal(tables["queries"], queries)
    strict, ssvh = [1.0, (1 + third) / 2], [2 / 4, (2 / 3 + 5 / 9) / 4]
    scores = pd.DataFrame({"k": [1, 3], "map_strict": strict, "map_ssvh": ssvh})
    pd.testing.assert_frame_equal(tables["map"], scores)
    assert tables["by_rank"]["rank"].tolist() == [1, 2, 3]
    assert tables["by_rank"]["precision"].tolist() == pytest.approx([1, 3 / 4, 2 / 3])
    assert tables["by_radius"]["radius"].tolist() == list(range(1, 9))
    assert tables["by_radius"]["recall"].tolist() == pytest.approx([0.5, 0.75] + [1] * 6)


def test_roles_are_rows_of_one_data_set():
    found, labels = sample(90)
    texts = [";".join(f"c{c}" for c in np.flatnonzero(row)) for row in labels]
    splits = np.random.default_rng(3).choice(["train", "database", "query", ""], 90)
    index = pd.DataFrame({"id": found.ids, "labels": texts, "split": splits})
    for roles in (ROLES, Roles(train="train", database="train", query="train")):
        query, database = (np.flatnonzero(splits == s) for s in (roles.query, roles.database))
        parts = [Codes(found.ids[rows], found.codes[rows]) for rows in (query, database)]
        expected = evaluate(*parts, labels[query], labels[database], [1, 5])
        tables = evaluate_roles(found, index, roles, [1, 5])
        for name, table in expected.tables(found.ids[query]).items():
            pd.testing.assert_frame_equal(tables[name], table)


def test_roles_that_can_not_be_evaluated():
    with pytest.raises(InputError, match="no clip is in split 'test'"):
        evaluate_roles(CODES, INDEX, ROLES.model_copy(update={"query": "test"}), [1])
    with pytest.raises(InputError, match="no query has a relevant item"):
        evaluate_roles(CODES, INDEX.assign(labels=""), ROLES, [1])


def test_k_above_the_database_are_left_out():
    """Three clips are in the database."""
    expected = evaluate_roles(CODES, INDEX, ROLES, [1, 3])
    found = evaluate_roles(CODES, INDEX, ROLES, [1, 3, 4, 100])
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table)
    assert evaluate_roles(CODES, INDEX, ROLES, [20])["map"]["k"].tolist() == [3]


QUERIES = pd.DataFrame({"id": ["001", "b"]})


def test_seeds_are_stacked_in_order():
    tables = {
        s: {
            "map": pd.DataFrame({"k": [1, 5], "map": [s / 10, s / 5]}),
            "queries": QUERIES.assign(ap1=s),
        }
        for s in (3, 4, 5)
    }
    stacked = stack_seeds(tables)
    assert list(stacked) == ["map", "queries"]
    assert list(stacked["map"].columns) == ["seed", "k", "map"]
    assert stacked["map"].to_numpy().tolist() == [
        [seed, k, value] for seed in (3, 4, 5) for k, value in ((1, seed / 10), (5, seed / 5))
    ]
    assert stacked["queries"]["id"].tolist() == ["001", "b"] * 3
    assert (stacked["queries"]["ap1"] == stacked["queries"]["seed"]).all()
    assert stacked["map"]["seed"].dtype == int
    assert list(tables[3]["map"].columns) == ["k", "map"]  # left as they were


def test_one_seed_and_tables_of_different_lengths():
    longer = {"by_radius": pd.DataFrame({"radius": [0, 1, 2]})}
    shorter = {"by_radius": pd.DataFrame({"radius": [2]})}
    found = stack_seeds({0: shorter, 1: longer})["by_radius"]
    assert found.to_numpy().tolist() == [[0, 2], [1, 0], [1, 1], [1, 2]]
    assert stack_seeds({7: longer})["by_radius"]["seed"].tolist() == [7, 7, 7]

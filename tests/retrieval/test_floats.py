import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.datasets.manifest import Roles
from chain.retrieval import floats
from chain.retrieval.codes import Codes, pack, unpack
from chain.retrieval.evaluate import evaluate
from chain.retrieval.floats import evaluate_floats, float_ap_strict


def float_map_strict(*data):
    """Means over the queries that have a relevant item."""
    return {k: np.nanmean(ap) for k, ap in float_ap_strict(*data).items()}


def sample(queries=12, database=40, width=7, categories=6, seed=0):
    """Features, ids and labels; the first half of the queries are in the database."""
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(database + queries, width))
    labels = rng.random((database + queries, categories)) < 0.2
    ids = np.array([f"item_{i}" for i in range(database + queries)])
    chosen = np.r_[: queries // 2, database : database + queries - queries // 2]
    return tuple(part[rows] for part in (items, ids, labels) for rows in (chosen, slice(database)))


def slow_map(query, database, query_ids, database_ids, query_labels, database_labels, k):
    scores = []
    for q, vector in enumerate(query):
        cosine = [v @ vector / np.linalg.norm(v) / np.linalg.norm(vector) for v in database]
        ranking = sorted(range(len(database)), key=lambda d: -cosine[d])
        ranking = [d for d in ranking if database_ids[d] != query_ids[q]]
        ranked = [bool((query_labels[q] & database_labels[d]).any()) for d in ranking]
        hits = total = 0
        for rank, relevant in enumerate(ranked[:k], start=1):
            hits += relevant
            total += relevant * hits / rank
        if any(ranked):
            scores.append(total / min(k, sum(ranked)))
    return np.mean(scores)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_matches_the_slow_twin(seed):
    data = sample(seed=seed)
    topk = [1, 5, 39, 40]
    expected = {k: slow_map(*data, k) for k in topk}
    assert float_map_strict(*data, topk) == pytest.approx(expected)


def test_blocks_give_what_the_whole_gives(monkeypatch):
    data = sample()
    whole = float_map_strict(*data, [3, 10])
    for block in (1, 40, 130):
        monkeypatch.setattr(floats, "BLOCK", block)
        assert float_map_strict(*data, [3, 10]) == pytest.approx(whole)


def test_invariant_to_scale_and_database_order():
    query, database, query_ids, database_ids, query_labels, database_labels = sample()
    expected = float_map_strict(
        query, database, query_ids, database_ids, query_labels, database_labels, [5]
    )
    rng = np.random.default_rng(3)
    order = rng.permutation(len(database))
    scaled = (database * rng.uniform(0.1, 10, (len(database), 1)))[order]
    found = float_map_strict(
        query * 3, scaled, query_ids, database_ids[order], query_labels, database_labels[order], [5]
    )
    assert found == pytest.approx(expected)


def test_agrees_with_hamming_where_distances_do_not_tie():
    """Codes whose distances to the query all differ rank as their signs do under cosine."""
    signs = np.where(np.tri(17, 16, -1), 1, -1)[1:]
    database = Codes(np.array([f"d{i}" for i in range(16)]), pack(signs))
    queries = Codes(np.array(["q"]), pack(-np.ones((1, 16))))
    rng = np.random.default_rng(0)
    query_labels, labels = np.array([[True, False]]), rng.random((16, 2)) < 0.4
    binary = evaluate(queries, database, query_labels, labels, [4, 16]).map_strict
    found = float_map_strict(
        unpack(queries.codes).astype(np.float32),
        signs.astype(np.float32),
        queries.ids,
        database.ids,
        query_labels,
        labels,
        [4, 16],
    )
    assert found == pytest.approx(binary)


def test_a_zero_feature_is_at_right_angles_to_all():
    query = np.array([[1.0, 0.0]])
    database = np.array([[0.0, 0.0], [-1.0, 0.1], [1.0, 0.1]])
    ids, labels = np.array(["a", "b", "c"]), np.array([[True], [False], [False]])
    found = float_map_strict(query, database, np.array(["q"]), ids, labels[:1], labels, [3])
    assert found == {3: 0.5}


def test_clips_are_evaluated_by_the_mean_of_their_frames():
    """Two queries by hand, the second without a relevant item: only the first counts."""
    points = np.array([[1, 0], [0, 1], [1, 1], [4, 1], [1, 5]], dtype=np.float16)
    clean = np.stack([points - 0.5, points + 0.5], axis=1)  # (N, 2 frames, 2)
    index = pd.DataFrame(
        {
            "id": ["a", "b", "c", "q", "r"],
            "labels": ["x", "y", "x", "x", "z"],
            "split": ["database"] * 3 + ["query"] * 2,
        }
    )
    roles = Roles(train="database", database="database", query="query")
    tables = evaluate_floats(clean, index, roles, [1, 3])
    assert tables["map"].to_numpy().tolist() == [[0, 1, 1.0], [0, 3, 1.0]]  # ranking a, c, b
    assert tables["queries"].to_numpy().tolist() == [[0, "q", 1.0, 1.0]]
    assert list(tables["queries"].columns) == ["seed", "id", "ap1", "ap3"]
    more = evaluate_floats(clean, index, roles, [1, 3, 4, 100])  # above the three of the database
    for name, table in tables.items():
        pd.testing.assert_frame_equal(more[name], table)


def test_bad_input():
    query, database, query_ids, database_ids, query_labels, labels = sample()
    rest = (query_ids, database_ids, query_labels, labels)
    with pytest.raises(InputError, match=r"K = 41: .* database, 40"):
        float_map_strict(query, database, *rest, [41])
    with pytest.raises(InputError, match="width 6 for the queries, 7 for the database"):
        float_map_strict(query[:, 1:], database, *rest, [5])
    with pytest.raises(InputError, match="database features: expected 40 rows"):
        float_map_strict(query, database[1:], *rest, [5])
    with pytest.raises(InputError, match=r"query features: .* finite"):
        float_map_strict(np.full_like(query, np.nan), database, *rest, [5])
    with pytest.raises(InputError, match="query labels"):
        float_map_strict(query, database, query_ids, database_ids, query_labels[1:], labels, [5])
    with pytest.raises(InputError, match="no query has a relevant item"):
        float_map_strict(
            query, database, query_ids, database_ids, np.zeros_like(query_labels), labels, [5]
        )

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from chain.core.errors import InputError
from chain.datasets.manifest import Roles
from chain.methods.pca_rotation import PCARotation, PCARotationConfig
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


ROLES = Roles(train="train", database="database", query="query")


def of(table, variant):
    """The rows of one variant, without its name."""
    return table[table["variant"] == variant].drop(columns="variant").to_numpy().tolist()


def test_raw_features_are_the_mean_of_the_frames():
    """Two queries by hand, the second without a relevant item: only the first counts."""
    points = np.array([[1, 0], [0, 1], [1, 1], [4, 1], [1, 5], [9, 9]], dtype=np.float16)
    clean = np.stack([points - 0.5, points + 0.5], axis=1)  # (N, 2 frames, 2)
    index = pd.DataFrame(
        {
            "id": ["a", "b", "c", "q", "r", "t"],
            "labels": ["x", "y", "x", "x", "z", ""],
            "split": ["database"] * 3 + ["query"] * 2 + ["train"],
        }
    )
    tables = evaluate_floats(clean, index, ROLES, [1, 3])
    assert of(tables["map"], "raw") == [[0, 1, 1.0], [0, 3, 1.0]]  # ranking a, c, b
    assert of(tables["queries"], "raw") == [[0, "q", 1.0, 1.0]]
    assert list(tables["map"]) == ["seed", "variant", "k", "map_strict"]
    assert list(tables["queries"]) == ["seed", "variant", "id", "ap1", "ap3"]
    assert list(tables["queries"]["variant"]) == list(floats.VARIANTS)
    more = evaluate_floats(clean, index, ROLES, [1, 3, 4, 100])  # above the three of the database
    for name, table in tables.items():
        pd.testing.assert_frame_equal(more[name], table)


def test_centred_features_leave_out_what_all_training_clips_share():
    """By hand: seen from (10, 0) the query and b look one way, seen from the origin a is nearer."""
    points = np.array([[9, 0], [11, 3], [10, 1], [9, 0], [11, 0]], dtype=np.float16)
    index = pd.DataFrame(
        {
            "id": ["a", "b", "q", "s", "t"],
            "labels": ["y", "x", "x", "", ""],
            "split": ["database", "database", "query", "train", "train"],
        }
    )
    table = evaluate_floats(points[:, None].repeat(2, axis=1), index, ROLES, [2])["map"]
    assert of(table, "raw") == [[0, 2, 0.5]]
    assert of(table, "centred") == of(table, "centred_halves") == [[0, 2, 1.0]]


def test_centred_halves_tell_a_clip_from_its_reversal():
    """By hand: a is the query's reversal, which has the same mean, and b has another mean."""
    there, back, aslant = [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, -0.5], [0, 1]]
    clean = np.array([back, aslant, there, [[0, 0]] * 2], dtype=np.float16)
    index = pd.DataFrame(
        {
            "id": ["a", "b", "q", "t"],
            "labels": ["y", "x", "x", ""],
            "split": ["database", "database", "query", "train"],
        }
    )
    table = evaluate_floats(clean, index, ROLES, [2])["map"]
    assert of(table, "centred") == [[0, 2, 0.5]]
    assert of(table, "centred_halves") == [[0, 2, 1.0]]
    single = evaluate_floats(clean[:, :1], index, ROLES, [2])["map"]  # a half would have no frame
    assert list(single["variant"]) == ["raw", "centred"]


@pytest.mark.parametrize("frames", [4, 5])
def test_variants_match_a_slow_twin(frames):
    """Representations by plain loops over clips, parts, frames; then the slow ranking above."""
    rng = np.random.default_rng(frames)
    clean = (2 + rng.normal(size=(40, frames, 3))).astype(np.float16)
    split = np.array(["train"] * 10 + ["query"] * 10 + ["database"] * 20)
    index = pd.DataFrame({"id": range(40), "labels": rng.choice(["x", "y"], 40), "split": split})
    table = evaluate_floats(clean, index, ROLES, [5])["map"].set_index("variant")["map_strict"]
    ids = np.array(index["id"].astype(str))
    labels = np.stack([index["labels"] == "x", index["labels"] == "y"], axis=1)
    for variant, (parts, centred) in floats.VARIANTS.items():
        long = frames - frames // 2  # frames of the first half
        cuts = [0, frames] if parts == 1 else [0, long, frames]
        vectors = []
        for clip in clean.astype(float):
            vectors.append([])
            for start, stop in pairwise(cuts):
                for column in range(3):
                    values = [clip[t][column] for t in range(start, stop)]
                    vectors[-1].append(sum(values) / len(values))
        vectors = np.array(vectors)
        if centred:
            vectors = vectors - vectors[:10].mean(axis=0)
        sides = [x for y in (vectors, ids, labels) for x in (y[10:20], y[20:])]
        assert table[variant] == pytest.approx(slow_map(*sides, 5)), variant


@pytest.mark.parametrize("parts", [1, 2])
def test_parts_are_those_of_the_methods(parts):
    """The float rows and the codes of PCA-ITQ halves split a clip at the same frame."""
    torch.manual_seed(0)
    clip = torch.randn(1, 7, 3)
    model = PCARotation(PCARotationConfig(frames=7), 3, 2)
    model.parts = parts
    expected = model.part_means(clip)[0]
    torch.testing.assert_close(
        torch.from_numpy(floats.part_means(clip[0].numpy(), parts)), expected
    )


def test_a_split_without_clips_is_refused():
    index = pd.DataFrame({"id": ["a", "q"], "labels": "x", "split": ["database", "query"]})
    with pytest.raises(InputError, match="no clip is in split 'train'"):
        evaluate_floats(np.ones((2, 2, 3), np.float16), index, ROLES, [1])


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

import sys

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.retrieval.codes import Codes, take
from chain.search import lancedb_table as tables
from chain.search.index import SearchConfig, build, search

pytest.importorskip("lancedb", reason="LanceDB is optional: requirements-scale.txt")

COUNT = 400
SETTINGS = {
    "flat_up_to": COUNT,
    "kind": "hnsw",
    "hnsw": {"links": 8, "breadth": 8},
    "ivf": {"lists": 1, "probes": 1},
    "multihash": {"tables": 1, "flips": 0},
}


@pytest.fixture(scope="module")
def codes():
    random = np.random.default_rng(0)
    ids = np.array([f"it's/{row:03}" for row in range(COUNT)])
    return Codes(ids, random.integers(0, 256, (COUNT, 4), dtype=np.uint8))


@pytest.fixture(scope="module")
def clips(codes):
    """In another order than the codes."""
    rows = np.arange(COUNT)
    table = pd.DataFrame(
        {
            "id": codes.ids,
            "labels": np.where(rows % 3, "golf", "golf;run"),
            "split": np.where(rows % 2, "database", "query"),
            "path": [f"{name}.mp4" for name in codes.ids],
        }
    )
    return table[::-1]


def rows(found, codes):
    return [codes.ids.tolist().index(name) for name in found["id"]]


def check(found, code, codes, allowed, k):
    """`found` are k of the nearest among the rows `allowed`, by a full sort."""
    distances = np.bitwise_count(codes.codes ^ code).sum(axis=1)
    assert found["distance"].tolist() == sorted(distances[allowed])[:k]
    assert set(rows(found, codes)) <= set(allowed)
    assert found["distance"].tolist() == distances[rows(found, codes)].tolist()


def test_same_answers_as_flat(tmp_path, codes, clips):
    table = tables.create(tmp_path, "clips", codes, clips)
    index = build(codes.codes, parse(SearchConfig, SETTINGS, "search"))
    for code in np.random.default_rng(1).integers(0, 256, (10, 4), dtype=np.uint8):
        found = tables.nearest(table, code, 20)
        distances, faiss_rows = search(index, code[None], 20)
        assert found["distance"].tolist() == distances[0].tolist()
        sure = distances[0] < distances[0, -1]  # several may be at the last distance
        assert [codes.ids[row] for row in faiss_rows[0][sure]] == found["id"][sure].tolist()


def test_metadata_belongs_to_its_code(tmp_path, codes, clips):
    table = tables.create(tmp_path, "clips", codes, clips)
    found = tables.nearest(table, codes.codes[7], 1).iloc[0]
    assert found["id"] == "it's/007" and found["distance"] == 0
    assert found["path"] == "it's/007.mp4"
    assert found["split"] == "database" and found["labels"] == "golf"


def test_a_filter_comes_before_the_k(tmp_path, codes, clips):
    table = tables.create(tmp_path, "clips", codes, clips)
    where = "split = 'query' AND labels LIKE '%run%'"
    found = tables.nearest(table, codes.codes[1], 30, where)
    check(found, codes.codes[1], codes, [row for row in range(COUNT) if row % 6 == 0], 30)
    assert len(tables.nearest(table, codes.codes[1], 30, "split = 'none'")) == 0


def test_add_and_delete(tmp_path, codes, clips):
    first, second = np.arange(300), np.arange(250, COUNT)  # fifty are in both
    table = tables.create(tmp_path, "clips", take(codes, first), clips)
    tables.add(table, take(codes, second), clips)
    assert table.count_rows() == COUNT
    check(tables.nearest(table, codes.codes[0], 50), codes.codes[0], codes, range(COUNT), 50)

    tables.delete(table, [*codes.ids[:10], "not there"])
    tables.delete(table, [])
    assert table.count_rows() == COUNT - 10
    reopened = tables.open_table(tmp_path, "clips")
    found = tables.nearest(reopened, codes.codes[0], 50)
    check(found, codes.codes[0], codes, list(range(10, COUNT)), 50)


def test_an_added_clip_replaces_itself(tmp_path, codes, clips):
    table = tables.create(tmp_path, "clips", codes, clips)
    tables.add(table, Codes(codes.ids[:1], codes.codes[5:6]), clips)
    assert table.count_rows() == COUNT
    found = tables.nearest(table, codes.codes[5], 2)
    assert found["id"].tolist() == ["it's/000", "it's/005"]
    assert found["distance"].tolist() == [0, 0]


def test_create_starts_anew(tmp_path, codes, clips):
    tables.create(tmp_path, "clips", codes, clips)
    tables.create(tmp_path, "clips", take(codes, np.arange(3)), clips)
    assert tables.open_table(tmp_path, "clips").count_rows() == 3


def test_bad_input(tmp_path, codes, clips):
    table = tables.create(tmp_path, "clips", codes, clips)
    with pytest.raises(InputError, match="no table 'other'"):
        tables.open_table(tmp_path, "other")
    with pytest.raises(InputError, match="codes of 32 bits, not 16"):
        tables.nearest(table, codes.codes[0, :2], 1)
    with pytest.raises(InputError, match="codes of 32 bits, not 16"):
        tables.add(table, Codes(codes.ids, codes.codes[:, :2]), clips)
    with pytest.raises(InputError, match="k: expected a number above 0, not 0"):
        tables.nearest(table, codes.codes[0], 0)
    with pytest.raises(InputError, match="nope"):
        tables.nearest(table, codes.codes[0], 1, "nope = 3")
    with pytest.raises(InputError, match="table: "):
        tables.nearest(table, codes.codes[0], 1, "split = = 3")
    with pytest.raises(InputError, match=r"it's/399\S+ is not among the clips"):
        tables.create(tmp_path, "more", codes, clips[1:])


def test_lancedb_absent(tmp_path, codes, clips, monkeypatch):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(InputError, match=r"lancedb is not installed: pip .*requirements-scale.txt"):
        tables.create(tmp_path, "clips", codes, clips)

from pathlib import Path

import faiss
import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.retrieval import hamming
from chain.retrieval.codes import Codes
from chain.search.index import (
    Index,
    Origin,
    SearchConfig,
    build,
    database_codes,
    load,
    origin,
    save,
    search,
)

SETTINGS = {
    "flat_up_to": 0,
    "kind": "ivf",
    "hnsw": {"links": 16, "breadth": 64},
    "ivf": {"lists": 16, "probes": 8},
    "multihash": {"tables": 4, "flips": 2},
}
KINDS = ["hnsw", "ivf", "multihash"]
CLASSES = {
    "flat": faiss.IndexBinaryFlat,
    "hnsw": faiss.IndexBinaryHNSW,
    "ivf": faiss.IndexBinaryIVF,
    "multihash": faiss.IndexBinaryMultiHash,
}
MADE = Origin(dataset="d", method="m", bits=16, seed=0, weights="a", backbone="b")


def settings(**changes):
    return parse(SearchConfig, SETTINGS | changes, "search")


FLAT = settings(flat_up_to=10**6)


def uniform(count, bits, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, bits // 8), dtype=np.uint8)


def clustered(count, seed):
    """64-bit codes around 30 centres, an eighth of their bits flipped."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).integers(0, 2**64, 30, dtype=np.uint64)
    flips = np.bitwise_and.reduce(random.integers(0, 2**64, (3, count), dtype=np.uint64))
    return (centres[random.integers(0, 30, count)] ^ flips).view(np.uint8).reshape(count, 8)


@pytest.mark.parametrize("bits", [8, 16, 64, 104])
@pytest.mark.parametrize("count", [1, 100, 70_000])
def test_flat_is_brute_force_with_ties_by_row(bits, count):
    codes, queries = uniform(count, bits), uniform(40, bits, seed=1)
    k = min(count, 25)
    rows, distances = hamming.nearest(queries, codes, k)
    index = build(codes, FLAT)
    for some in (slice(None), slice(0, 1)):  # FAISS searches many and few in different ways
        found = search(index, queries[some], k)
        np.testing.assert_array_equal(found[0], distances[some])
        np.testing.assert_array_equal(found[1], rows[some])


def test_all_equal_codes_come_in_order():
    distances, rows = search(build(np.zeros((50, 2), np.uint8), FLAT), np.ones((1, 2), np.uint8), 7)
    assert rows.tolist() == [list(range(7))]
    assert distances.tolist() == [[2] * 7]


def test_more_than_there_are():
    distances, rows = search(build(uniform(3, 16), FLAT), uniform(2, 16), 10)
    assert distances.shape == rows.shape == (2, 3)
    assert (np.sort(rows) == [0, 1, 2]).all()


def test_the_kind_counts_above_flat_up_to_only():
    codes = uniform(20, 64)
    for kind in KINDS:
        assert type(build(codes, settings(kind=kind, flat_up_to=20))) is CLASSES["flat"]
        assert type(build(codes, settings(kind=kind, flat_up_to=19))) is CLASSES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_recall_of_the_approximate_kinds(kind):
    codes, queries = clustered(5000, 1), clustered(100, 2)
    exact, _ = search(build(codes, FLAT), queries, 10)
    distances, rows = search(build(codes, settings(kind=kind)), queries, 10)
    # As near as the tenth: of several at its distance, one is as right as another.
    assert (distances <= exact[:, 9:]).mean() > 0.9
    assert (np.diff(distances) >= 0).all()
    tied = np.diff(distances) == 0
    assert (np.diff(rows)[tied] > 0).all()
    apart = np.bitwise_count(codes[rows] ^ queries[:, None]).sum(axis=2)
    np.testing.assert_array_equal(distances, apart)


@pytest.mark.parametrize(
    ("kind", "little", "much"),
    [
        ("hnsw", {"links": 4, "breadth": 1}, {"links": 4, "breadth": 300}),
        ("ivf", {"lists": 32, "probes": 1}, {"lists": 32, "probes": 32}),
        ("multihash", {"tables": 4, "flips": 0}, {"tables": 4, "flips": 4}),
    ],
)
def test_settings_that_look_harder_find_more(kind, little, much):
    codes, queries = uniform(3000, 64), uniform(50, 64, seed=1)
    exact, _ = search(build(codes, FLAT), queries, 10)
    recall = [
        (search(build(codes, settings(kind=kind, **{kind: own})), queries, 10)[0] <= exact[:, 9:])
        for own in (little, much)
    ]
    assert recall[0].mean() < 0.7 < 0.9 < recall[1].mean()


def test_multihash_finds_all_that_are_close():
    code = np.zeros((1, 8), np.uint8)
    flips = [np.random.default_rng(seed).permutation(64)[:7] for seed in range(200)]
    bits = np.zeros((200, 64), np.uint8)
    for row, places in zip(bits, flips, strict=True):
        row[places] = 1
    codes = np.packbits(bits, axis=1)
    config = settings(kind="multihash", multihash={"tables": 4, "flips": 1})
    distances, _ = search(build(codes, config), code, 200)
    assert (distances == 7).all()  # below 4 × (1 + 1), so that one part differs in 1 bit at most


def test_a_multihash_that_finds_fewer_says_so():
    codes = np.full((5, 8), 255, np.uint8)
    config = settings(kind="multihash", multihash={"tables": 4, "flips": 0})
    _, rows = search(build(codes, config), np.zeros((1, 8), np.uint8), 3)
    assert (rows == -1).all()


@pytest.mark.parametrize("kind", ["flat", *KINDS])
def test_files_round_trip_and_same_bytes_twice(tmp_path, kind):
    codes, queries = clustered(3000, 1), clustered(20, 2)
    config = FLAT if kind == "flat" else settings(kind=kind)
    ids = np.array([f"c{row:04}" for row in range(3000)])
    made = MADE.model_copy(update={"bits": 64})
    for name in ("one", "two"):
        save(tmp_path / name, Index(build(codes, config), ids, made))
    written = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert sorted(written) == ["ids.npy", "index.faiss", "index.sha256", "origin.json"]
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}

    read = load(tmp_path / "one")
    assert type(read.faiss) is CLASSES[kind]
    assert read.origin == made
    np.testing.assert_array_equal(read.ids, ids)
    # The file keeps how hard to look.
    before, after = search(build(codes, config), queries, 10), search(read.faiss, queries, 10)
    np.testing.assert_array_equal(before, after)


def test_saving_replaces_the_whole_folder(tmp_path):
    index = Index(build(uniform(3, 16), FLAT), np.array(["a", "b", "c"]), MADE)
    save(tmp_path / "index", index)
    (tmp_path / "index" / "old").touch()
    save(tmp_path / "index", index)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert not (tmp_path / "index" / "old").exists()


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match=r"none: no such index; run `dvc repro`"):
        load(tmp_path / "none")
    folder = tmp_path / "index"
    good = Index(build(uniform(3, 16), FLAT), np.array(["a", "b", "c"]), MADE)

    for name in ("index.faiss", "ids.npy", "origin.json"):
        save(folder, good)
        whole = (folder / name).read_bytes()
        for content in (b"", whole[: len(whole) // 2]):
            (folder / name).write_bytes(content)
            with pytest.raises(InputError, match=r"index: (not an index, or damaged|no such file)"):
                load(folder)
        (folder / name).unlink()
        with pytest.raises(InputError, match=r"index: (not an index, or damaged|no such file)"):
            load(folder)

    save(folder, Index(faiss.IndexBinaryFlat(16), np.array([], str), MADE))
    with pytest.raises(InputError, match="index: the index holds no codes"):
        load(folder)
    for wrong in (
        Index(good.faiss, np.array(["a"]), MADE),
        Index(good.faiss, good.ids, MADE.model_copy(update={"bits": 32})),
    ):
        save(folder, wrong)
        with pytest.raises(InputError, match="do not belong together"):
            load(folder)


def test_bad_searches():
    index = build(uniform(3, 16), FLAT)
    with pytest.raises(InputError, match="codes of 16 bits, the query has 32"):
        search(index, uniform(1, 32), 1)
    with pytest.raises(InputError, match="k: expected a number above 0, not 0"):
        search(index, uniform(1, 16), 0)
    with pytest.raises(InputError, match="holds no codes"):
        search(faiss.IndexBinaryFlat(16), uniform(1, 16), 1)


def test_bad_builds():
    with pytest.raises(InputError, match="no codes"):
        build(uniform(0, 16), FLAT)
    with pytest.raises(InputError, match=r"search.ivf.lists: 16 for 15 codes"):
        build(uniform(15, 16), settings())
    with pytest.raises(InputError, match=r"search.multihash.tables: 9 for codes of 8 bits"):
        config = settings(kind="multihash", multihash={"tables": 9, "flips": 0})
        build(uniform(15, 8), config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "flat"}, "search.kind"),
        ({"flat_up_to": -1}, "search.flat_up_to"),
        ({"ivf": {"lists": 0, "probes": 1}}, "search.ivf.lists"),
        ({"hnsw": {"links": 16}}, "search.hnsw.breadth: missing"),
        ({"more": 1}, "search.more: unknown parameter"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(InputError, match=message):
        settings(**changes)


CLIPS = pd.DataFrame({"id": ["c", "a", "b"], "labels": "", "split": ["db", "query", "db"]})
THREE = Codes(np.array(["c", "a", "b"]), np.array([[3], [1], [2]], np.uint8))


def test_the_databases_codes_come_by_id():
    some = database_codes(THREE, CLIPS, "db")
    assert some.ids.tolist() == ["b", "c"]
    assert some.codes.tolist() == [[2], [3]]
    assert database_codes(THREE, CLIPS, None).codes.tolist() == [[1], [2], [3]]


def test_bad_databases():
    with pytest.raises(InputError, match="no clip is in split 'none'"):
        database_codes(THREE, CLIPS, "none")
    with pytest.raises(InputError, match="not those of the data set's clips"):
        database_codes(THREE, CLIPS.iloc[:2], "db")


def test_the_origin_follows_both_weights_files(tmp_path: Path):
    model, cnn = tmp_path / "model.pt", tmp_path / "cnn.pt"
    model.write_bytes(b"abc")
    with pytest.raises(InputError, match=r"cnn.pt: no such file; run `dvc repro`"):
        origin("d", "m", 8, 0, model, cnn)
    cnn.write_bytes(b"")
    made = origin("d", "m", 8, 0, model, cnn)
    # SHA-256 of "abc" (FIPS 180-2) and of nothing.
    assert made.weights.startswith("ba7816bf8f01cfea")
    assert made.backbone.startswith("e3b0c44298fc1c14")

"""Miniatures of the published feature and label files."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import csc_array

from chain.core.errors import InputError
from chain.datasets.feature_files import SAMPLE, file_stamp, read_labels
from chain.datasets.manifest import COLUMNS, read_manifest, write_manifest
from chain.datasets.sources import SOURCES, source_config

T, F = 3, 4
Labels = NDArray[Any]
UCF = {
    "train": {"features": ["ucf_train_feats.h5"], "labels": ["ucf_train_labels.mat"]},
    "test": {"features": ["ucf_test_feats.h5"], "labels": ["ucf_test_labels.mat"]},
}


def source(splits: dict[str, Any], **others: Any) -> dict[str, Any]:
    shape = {"frames": T, "width": F}
    return {"kind": "features", "root": "unused", "splits": splits} | shape | others


def index(root: Path, splits: dict[str, Any], **others: Any) -> pd.DataFrame:
    config = source_config(source(splits, **others), "source", "params/mini.yaml")
    return SOURCES["features"][1](config, root, 2)


def features(path: Path, count: int, name: str = "feats") -> None:
    with h5py.File(path, "w") as file:
        file[name] = np.random.default_rng(count).normal(size=(count, T, F)).astype(np.float32)


def multi_hot(count: int, categories: int = 12, seed: int = 0) -> NDArray[np.uint8]:
    return (np.random.default_rng(seed).random((count, categories)) < 0.2).astype(np.uint8)


def v5(path: Path, key: str, labels: Labels) -> None:
    savemat(path, {key: labels}, do_compression=True)


def v5_sparse(path: Path, key: str, labels: Any) -> None:
    savemat(path, {key: csc_array(labels, dtype=float)})


def v73(path: Path, key: str, labels: Labels) -> None:
    """Matrices of version 7.3 lie transposed, behind 512 bytes of MATLAB's own."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file[key] = labels.T
        file[key].attrs["MATLAB_class"] = np.bytes_("double")
        file.create_group("#refs#")


def v73_sparse(path: Path, key: str, labels: Any) -> None:
    columns = csc_array(labels, dtype=float)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group(key)
        group.attrs["MATLAB_sparse"] = np.uint64(labels.shape[0])
        group["jc"] = columns.indptr.astype(np.uint64)
        if columns.nnz:  # MATLAB leaves both out otherwise
            group["data"] = columns.data
            group["ir"] = columns.indices.astype(np.uint64)


WRITERS = [v5, v5_sparse, v73, v73_sparse]


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """Eleven training clips and three for testing, twelve categories."""
    features(tmp_path / "ucf_train_feats.h5", 11)
    features(tmp_path / "ucf_test_feats.h5", 3)
    v5(tmp_path / "ucf_train_labels.mat", "labels", multi_hot(11))
    v5(tmp_path / "ucf_test_labels.mat", "labels", np.eye(3, 12))
    return tmp_path


def test_each_row_of_the_files_is_a_row_of_the_manifest(ucf: Path) -> None:
    manifest = index(ucf, UCF)
    assert list(manifest) == COLUMNS
    assert manifest["id"].tolist()[:4] == ["test/0", "test/1", "test/2", "train/00"]
    assert manifest["id"].tolist()[-2:] == ["train/09", "train/10"]
    assert manifest["path"].tolist()[2:5] == [
        "ucf_test_feats.h5#2",
        "ucf_train_feats.h5#0",
        "ucf_train_feats.h5#1",
    ]
    assert manifest["split"].tolist() == ["test"] * 3 + ["train"] * 11
    assert manifest["labels"].tolist()[:3] == ["c01", "c02", "c03"]
    assert set(manifest["bytes"]) == {T * F * 4}
    stamps = [file_stamp(ucf / name) for name in ("ucf_test_feats.h5", "ucf_train_feats.h5")]
    assert manifest["sha256"].tolist() == [stamps[0]] * 3 + [stamps[1]] * 11


def test_the_manifest_survives_its_file(ucf: Path) -> None:
    manifest = index(ucf, UCF)
    write_manifest(ucf / "manifest.csv", manifest)
    pd.testing.assert_frame_equal(read_manifest(ucf / "manifest.csv"), manifest, check_dtype=False)


@pytest.mark.parametrize("write", WRITERS)
def test_labels_of_every_kind_against_a_loop(ucf: Path, write: Callable[..., None]) -> None:
    labels = multi_hot(11, seed=5)
    labels[4] = 0
    assert labels.sum(axis=1).max() > 2
    write(ucf / "ucf_train_labels.mat", "whatever", labels)
    expected = [
        ";".join(f"c{c + 1:02d}" for c in range(12) if labels[row, c] == 1) for row in range(11)
    ]
    assert index(ucf, UCF)["labels"].tolist()[3:] == expected
    assert expected[4] == ""


@pytest.mark.parametrize("write", WRITERS)
def test_labels_that_are_all_zero(tmp_path: Path, write: Callable[..., None]) -> None:
    write(tmp_path / "labels.mat", "labels", np.zeros((5, 7), np.uint8))
    matrix = read_labels(tmp_path / "labels.mat", None)
    assert matrix.shape == (5, 7) and matrix.nnz == 0


def test_columns_of_a_wide_matrix_are_padded_alike(tmp_path: Path) -> None:
    features(tmp_path / "f.h5", 2)
    labels = np.zeros((2, 239))
    labels[0, [6, 238]] = 1
    v5(tmp_path / "l.mat", "labels", labels)
    manifest = index(tmp_path, {"test": {"features": ["f.h5"], "labels": ["l.mat"]}})
    assert manifest["labels"].tolist() == ["c007;c239", ""]


def test_the_key_chooses_among_matrices_and_a_training_split_needs_none(tmp_path: Path) -> None:
    """As ActivityNet's: training without labels, a key for each of the other files."""
    for name, count in (("train", 4), ("test", 3), ("query", 2)):
        features(tmp_path / f"{name}_feats.h5", count)
    savemat(tmp_path / "re_label.mat", {"re_label": np.eye(3, 5), "other": np.ones((3, 5))})
    v73(tmp_path / "q_label.mat", "q_label", np.eye(2, 5))
    splits = {
        "train": {"features": ["train_feats.h5"]},
        "database": {
            "features": ["test_feats.h5"], "labels": ["re_label.mat"], "label_key": "re_label"
        },
        "query": {
            "features": ["query_feats.h5"], "labels": ["q_label.mat"], "label_key": "q_label"
        },
    }  # fmt: skip
    manifest = index(tmp_path, splits)
    assert manifest["labels"].tolist() == ["c1", "c2", "c3", "c1", "c2"] + [""] * 4
    assert manifest["id"].tolist()[3:5] == ["query/0", "query/1"]


def test_shards_follow_each_other_in_the_listed_order(tmp_path: Path) -> None:
    """As YFCC's: features and labels in several files, cut at different places even."""
    for number, count in ((1, 6), (2, 5)):
        features(tmp_path / f"feats_{number}.h5", count)
    labels = np.eye(11)
    v5(tmp_path / "labels_1.mat", "a", labels[:2])
    v73_sparse(tmp_path / "labels_2.mat", "b", labels[2:])
    files = {
        "features": ["feats_2.h5", "feats_1.h5"],
        "labels": ["labels_1.mat", "labels_2.mat"],
    }
    manifest = index(tmp_path, {"test": files})
    assert manifest["id"].tolist() == [f"test/{row:02d}" for row in range(11)]
    assert manifest["labels"].tolist() == [f"c{row:02d}" for row in range(1, 12)]
    assert manifest["path"].tolist() == [f"feats_2.h5#{row}" for row in range(5)] + [
        f"feats_1.h5#{row}" for row in range(6)
    ]


def test_the_order_of_the_splits_in_the_parameters_does_not_matter(ucf: Path) -> None:
    backwards = dict(reversed(UCF.items()))
    assert list(backwards) != list(UCF)
    pd.testing.assert_frame_equal(index(ucf, backwards), index(ucf, UCF))
    assert index(ucf, UCF)["id"].is_monotonic_increasing


def test_headers_are_enough(tmp_path: Path) -> None:
    """An array of 400 TB, none of it on disk."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", (1000, 10**5, 10**6), np.float32, chunks=(1, 1, 8))
    manifest = index(
        tmp_path, {"train": {"features": ["f.h5"]}}, feats="x", frames=10**5, width=10**6
    )
    assert len(manifest) == 1000 and manifest["bytes"][0] == 4 * 10**11


def test_absolute_files_and_groups(tmp_path: Path) -> None:
    features(tmp_path / "f.h5", 2, "group/feats")
    file = str(tmp_path / "f.h5")
    manifest = index(Path("elsewhere"), {"train": {"features": [file]}}, feats="group/feats")
    assert manifest["path"][1] == f"{file}#1"


# --------------------------------------------------------------------------------------------------
# Stamps
# --------------------------------------------------------------------------------------------------


def test_the_stamp_of_a_small_file_sees_every_byte(tmp_path: Path) -> None:
    file = tmp_path / "file"
    content = bytearray(np.random.default_rng(0).bytes(3 * SAMPLE + 17))
    file.write_bytes(content)
    seen = {file_stamp(file)}
    assert file_stamp(file) in seen
    for place in (0, SAMPLE, 2 * SAMPLE - 1, 3 * SAMPLE, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        seen.add(file_stamp(file))
    file.write_bytes(content + b"\0")
    seen.add(file_stamp(file))
    assert len(seen) == 7
    file.write_bytes(content)
    os.utime(file, (1, 1))
    assert file_stamp(file) in seen and len(seen) == 7  # a copy has the same stamp


def test_the_stamp_of_a_large_file_is_a_sample_with_both_ends(tmp_path: Path) -> None:
    file = tmp_path / "file"
    size = 10**10
    with file.open("wb") as sparse:
        sparse.truncate(size)
    started = time.monotonic()
    zeros = file_stamp(file)
    assert time.monotonic() - started < 2
    expected = hashlib.sha256(str(size).encode() + bytes(64 * SAMPLE)).hexdigest()
    assert zeros == expected
    for place in (0, size - 1):
        with file.open("r+b") as sparse:
            sparse.seek(place)
            sparse.write(b"\1")
        assert file_stamp(file) != zeros
        with file.open("r+b") as sparse:
            sparse.seek(place)
            sparse.write(b"\0")
    assert file_stamp(file) == zeros


# --------------------------------------------------------------------------------------------------
# Bad input
# --------------------------------------------------------------------------------------------------


def rewrite(path: Path, data: Any, name: str = "feats") -> None:
    with h5py.File(path, "w") as file:
        file[name] = data


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


FEATURES, LABELS = "ucf_train_feats.h5", "ucf_train_labels.mat"
BAD: list[tuple[str, Callable[[Path], Any], str]] = [
    (FEATURES, lambda p: p.unlink(), "no such file of features"),
    (FEATURES, lambda p: p.write_bytes(b"not HDF5" * 999), "not a whole HDF5 file.*signature"),
    (FEATURES, cut, "not a whole HDF5 file.*truncated"),
    (
        FEATURES,
        lambda p: rewrite(p, np.zeros((2, T, F)), "group/x"),
        r"no data set 'feats' \(it holds: group/x\)",
    ),
    (FEATURES, lambda p: rewrite(p, np.zeros((2, T, F)), "feats/x"), "no data set 'feats'"),
    (FEATURES, lambda p: h5py.File(p, "w").close(), r"\(it holds: none\)"),
    (FEATURES, lambda p: rewrite(p, np.zeros((2, 12))), "'feats' is 2 × 12, not clips × 3 × 4"),
    (FEATURES, lambda p: rewrite(p, np.zeros((2, 5, 4))), "is 2 × 5 × 4, not clips × 3 × 4"),
    (FEATURES, lambda p: rewrite(p, np.zeros((2, 3, 5))), "not clips × 3 × 4 .*source.width"),
    (FEATURES, lambda p: rewrite(p, np.zeros((0, T, F))), "is 0 × 3 × 4, not clips"),
    (FEATURES, lambda p: rewrite(p, np.zeros((2, T, F), int)), "holds int64, not floats"),
    (LABELS, lambda p: p.unlink(), "no such file of labels"),
    (LABELS, lambda p: p.write_bytes(b"not MATLAB's" * 99), "not a MATLAB file of labels"),
    (LABELS, lambda p: p.write_bytes(b""), "not a MATLAB file of labels"),
    (LABELS, cut, "not a MATLAB file of labels"),
    (
        LABELS,
        lambda p: v5(p, "labels", multi_hot(9)),
        "labels of 9 clips, but ucf_train_feats.h5 holds 11$",
    ),
    (LABELS, lambda p: v73(p, "labels", multi_hot(13)), "labels of 13 clips, but .* holds 11$"),
    (LABELS, lambda p: v73(p, "labels", multi_hot(11).T), "categories"),
    (LABELS, lambda p: v5(p, "labels", multi_hot(11, 9)), "categories"),
    (LABELS, lambda p: v5(p, "labels", 2 * np.eye(11, 12)), "labels must be 0 or 1, found 2"),
    (LABELS, lambda p: v73(p, "labels", np.full((11, 12), np.nan)), "0 or 1, found nan"),
    (LABELS, lambda p: v5(p, "labels", np.full((11, 12), "a", object)), "not a matrix of numbers"),
    (
        LABELS,
        lambda p: savemat(p, {"b": np.eye(11), "a": np.eye(11)}),
        r"name one of its matrices in label_key \(it holds: a, b\)",
    ),
    (LABELS, lambda p: savemat(p, {}), "label_key .it holds: none"),
]


@pytest.mark.parametrize(("name", "spoil", "message"), BAD)
def test_unusable_files_are_named_in_one_line(
    ucf: Path, name: str, spoil: Callable[[Path], Any], message: str
) -> None:
    spoil(ucf / name)
    with pytest.raises(InputError, match=message) as caught:
        index(ucf, UCF)
    text = str(caught.value)
    assert "\n" not in text
    assert str(ucf / name) in text


def test_the_named_matrix_is_not_there(ucf: Path) -> None:
    splits = {**UCF, "train": {**UCF["train"], "label_key": "re_label"}}
    with pytest.raises(InputError, match=r"no matrix 're_label' \(it holds: labels\)"):
        index(ucf, splits)


@pytest.mark.parametrize("write", [v5_sparse, v73_sparse])
def test_what_a_sparse_matrix_stores(tmp_path: Path, write: Callable[..., None]) -> None:
    """A zero that is written out is none of a clip's categories, and a 2 is no label."""
    for stored in (0.0, 2.0):
        entries = csc_array((np.array([1.0, stored]), ([0, 1], [1, 2])), shape=(2, 3))
        assert entries.nnz == 2
        write(tmp_path / f"{stored}.mat", "labels", entries)
    assert read_labels(tmp_path / "0.0.mat", None).indices.tolist() == [1]
    with pytest.raises(InputError, match="0 or 1, found 2"):
        read_labels(tmp_path / "2.0.mat", "labels")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "frames"),
        ({"width": 0}, "width"),
        ({"splits": {}}, "splits"),
        ({"splits": {"train": {"features": []}}}, "splits.train.features"),
        ({"splits": {"train": {"feature": ["a.h5"]}}}, "splits.train.features: missing"),
        (
            {"splits": {"a": {"features": ["x.h5"]}, "b": {"features": ["x.h5"]}}},
            "'x.h5' is listed twice",
        ),
    ],
)
def test_bad_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"^params/mini.yaml: source") as caught:
        source_config(source(UCF) | change, "source", "params/mini.yaml")
    assert message in str(caught.value)

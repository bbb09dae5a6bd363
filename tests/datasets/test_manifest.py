import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.manifest import (
    COLUMNS,
    Roles,
    check_retrieval,
    file_sha256,
    has_labels,
    label_matrix,
    read_index,
    read_manifest,
    select,
    write_manifest,
)

ROLES = Roles(train="train", database="database", query="query")


def manifest_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Rows of (id, labels, split)."""
    return pd.DataFrame(
        [(name, f"{name}.mp4", 10, "ab" * 32, labels, split) for name, labels, split in rows],
        columns=COLUMNS,
    )


SOUND = (
    ("a", "wave", "train"),
    ("b", "wave", "database"),
    ("c", "golf", "database"),
    ("d", "golf", "query"),
)


def test_round_trip_keeps_text_as_text(tmp_path: Path) -> None:
    manifest = manifest_of(
        ("001", "", ""),
        ("1e5", "NA", "null"),
        ("nan", "a;b", "train"),
        ("with, comma", 'a "quoted" one', "0"),
        ("wäve/ü", "None", "01"),
    )
    manifest["sha256"] = ["0" * 64, "1" * 64, "12e34" + "0" * 59, "f" * 64, "00" * 32]
    manifest["bytes"] = [0, 1, 2**40, 3, 4]
    write_manifest(tmp_path / "deep" / "manifest.csv", manifest.assign(extra=1))
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "deep" / "manifest.csv"), manifest)


def test_round_trip_of_a_single_numeric_looking_column(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text("id,labels,split,decoded,duration\n007,,1,40,1.5\n008,,2,41,1.25\n")
    index = read_index(path)
    assert index["id"].tolist() == ["007", "008"]
    assert index["labels"].tolist() == ["", ""]
    assert index["split"].tolist() == ["1", "2"]
    assert index["decoded"].tolist() == [40, 41]
    assert index["duration"].tolist() == [1.5, 1.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("", "not a table of clips"),
        ("id,path\na,b\n", "no column 'bytes'"),
        ("id,path,bytes,sha256,labels,split\na,b,1,,,\na,c,1,,,\n", "id 'a' occurs more than once"),
    ],
)
def test_unusable_manifest(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "manifest.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"manifest.csv: {message}") as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_file_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "clip.mp4").write_bytes(content)
    assert file_sha256(tmp_path / "clip.mp4") == hashlib.sha256(content).hexdigest()


def test_label_matrix() -> None:
    matrix, names = label_matrix(["wave;golf", "", "golf", "run;wave"])
    assert names == ["golf", "run", "wave"]
    assert matrix.dtype == np.bool_
    assert matrix.astype(int).tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 1]]


def test_label_matrix_without_labels() -> None:
    matrix, names = label_matrix(["", ""])
    assert matrix.shape == (2, 0) and names == []


def test_has_labels() -> None:
    assert has_labels(manifest_of(("a", "", ""), ("b", "wave", "")))
    assert not has_labels(manifest_of(("a", "", "train"), ("b", "", "")))


def test_roles_are_the_splits_of_their_names_unless_others_are_named() -> None:
    own = Roles(train="train", database="database", query="query")
    assert parse(Roles, {}, "roles") == own
    assert parse(Roles, {"query": "test"}, "roles") == own.model_copy(update={"query": "test"})


def test_roles_refuse_unknown_keys_and_no_training() -> None:
    with pytest.raises(InputError, match=r"params\.yaml: roles\.test: unknown parameter"):
        parse(Roles, {"train": "a", "database": None, "query": None, "test": "b"}, "roles")
    with pytest.raises(InputError, match=r"params\.yaml: roles\.train: "):
        parse(Roles, {"train": None, "database": "b", "query": "c"}, "roles")


def test_select() -> None:
    manifest = manifest_of(("a", "", "x"), ("b", "", "y"), ("c", "", "x"), ("d", "", ""))
    assert select(manifest, "x").tolist() == [0, 2]
    assert select(manifest, None).tolist() == []
    with pytest.raises(InputError, match=r"^roles: no clip is in split 'z' \(.*there: x, y\)$"):
        select(manifest, "z")


def test_check_retrieval_accepts_shared_splits_and_unlabelled_database_clips() -> None:
    check_retrieval(manifest_of(*SOUND, ("e", "", "train"), ("f", "", "database")), ROLES)
    check_retrieval(
        manifest_of(*SOUND), Roles(train="database", database="database", query="database")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([("d", "run", "query")], r"category 'run' is in split 'query' \(query\) but not in"),
        ([("d", "golf;run", "query")], "category 'run'"),
        ([("d", "", "query")], "roles.query: 1 of 1 clips in split 'query' have no category.*'d'"),
        ([("c", "wave", "database")], "roles.database: .* two categories, it has wave"),
        (
            [("b", "", "database"), ("c", "", "database")],
            "roles.database: .* two categories, it has none",
        ),
        ([("d", "golf", "test")], "no clip is in split 'query'"),
        ([("a", "golf", "test")], "no clip is in split 'train'"),
    ],
)
def test_check_retrieval_refuses(change: list[tuple[str, str, str]], message: str) -> None:
    rows = {row[0]: row for row in SOUND} | {row[0]: row for row in change}
    with pytest.raises(InputError, match=message):
        check_retrieval(manifest_of(*rows.values()), ROLES)


@pytest.mark.parametrize("role", ["database", "query"])
def test_check_retrieval_needs_both_roles(role: str) -> None:
    roles = ROLES.model_copy(update={role: None})
    with pytest.raises(InputError, match=f"roles.{role}: null"):
        check_retrieval(manifest_of(*SOUND), roles)

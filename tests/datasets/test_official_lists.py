import hashlib
import logging
from pathlib import Path

import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.datasets.manifest import COLUMNS
from chain.datasets.official_lists import (
    Listed,
    add,
    find_listed,
    join_labels,
    official_manifest,
    read_lines,
    without_suffix,
)

LISTED = {
    "golf/a": Listed("golf", "train"),
    "golf/b": Listed("golf", "train"),
    "golf/c": Listed("golf", ""),
    "wave/a": Listed("run;wave", "test"),
}
PUBLISHED = {"train": 2, "test": 1, "all": 4}


def fill(root: Path, *paths: str) -> Path:
    """Files whose content is their own path: indexing decodes nothing."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def manifest_of(root: Path, workers: int = 2) -> pd.DataFrame:
    return official_manifest(root, LISTED, find_listed(root, LISTED), PUBLISHED, workers)


def test_lines_and_their_places(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf\r\none 1 \r\n\n \nt\xc3\xbcwo")
    place = f"{tmp_path / 'list.txt'}:"
    assert read_lines(tmp_path / "list.txt") == [(f"{place}2", "one 1"), (f"{place}5", "tüwo")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such list"),
        (b"", "an empty list"),
        (b" \n\n", "an empty list"),
        (b"\xff", "text"),
    ],
)
def test_unusable_list(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"list\.txt: .*{message}"):
        read_lines(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("./golf/a.avi", "golf/a"),
        ("a.b.MP4", "a.b"),
        ("a.b", "a.b"),
        ("-x_1.5", "-x_1.5"),
        ("golf/a", "golf/a"),
    ],
)
def test_only_video_suffixes_go(name: str, clip: str) -> None:
    assert without_suffix(name) == clip


def test_labels_are_distinct_and_sorted() -> None:
    assert join_labels(["wave", "golf", "wave"], "here") == "golf;wave"
    assert join_labels([], "here") == ""
    with pytest.raises(InputError, match=r"^here: label 'a;b' must not contain ';'$"):
        join_labels(["golf", "a;b"], "here")


def test_listed_twice() -> None:
    listed = dict(LISTED)
    with pytest.raises(InputError, match=r"^list\.txt:7: clip 'golf/c' is listed a second time$"):
        add(listed, "golf/c", Listed("wave", "test"), "list.txt:7")
    assert listed == LISTED


def test_clips_are_found_by_the_end_of_their_path(tmp_path: Path) -> None:
    fill(tmp_path, "golf/a.avi", "deep/down/golf/b.MP4", "wave.avi/a.mkv", "mygolf/c.avi", "d.mp4")
    listed = {**LISTED, "a": Listed("", "train"), "d": Listed("", "train")}
    found = find_listed(tmp_path, listed)
    assert found.paths == {
        "golf/a": "golf/a.avi",  # the longest name, not "a"
        "golf/b": "deep/down/golf/b.MP4",
        "a": "wave.avi/a.mkv",
        "d": "d.mp4",
    }
    assert found.extra == ["mygolf/c.avi"]


def test_a_prefix_may_precede_the_file(tmp_path: Path) -> None:
    listed = {name: Listed("", "train") for name in ("one", "v_two", "v_three")}
    fill(tmp_path, "v_one.mp4", "v_two.mp4", "v_v_three.mp4", "w_one.mp4")
    found = find_listed(tmp_path, listed, prefix="v_")
    assert found.paths == {
        "one": "v_one.mp4", "v_two": "v_two.mp4", "v_three": "v_v_three.mp4"
    }  # fmt: skip
    assert found.extra == ["w_one.mp4"]
    with pytest.raises(InputError, match="none of the 3 clips"):
        find_listed(fill(tmp_path / "bare", "v_one.mp4"), listed)


def test_a_clip_that_is_there_twice(tmp_path: Path) -> None:
    fill(tmp_path, "golf/a.avi", "copy/golf/a.avi")
    with pytest.raises(
        InputError, match=r"copy/golf/a\.avi and golf/a\.avi are both clip 'golf/a'"
    ):
        find_listed(tmp_path, LISTED)


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of clips"):
        find_listed(tmp_path / "nowhere", LISTED)
    with pytest.raises(InputError, match=r"no clips \(looked for files ending in"):
        find_listed(fill(tmp_path, "golf/a.txt"), LISTED)
    with pytest.raises(InputError, match="none of the 3 clips that the lists name is here"):
        find_listed(fill(tmp_path, "golf/c.avi", "golf/d.avi"), LISTED)


def test_whole_copy_has_no_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "golf/b.avi", "golf/a.avi", "wave/a.avi", "golf/c.avi")
    with caplog.at_level(logging.WARNING):
        manifest = manifest_of(tmp_path, workers=1)
    assert list(manifest) == COLUMNS
    assert manifest.attrs["notes"] == [] and not caplog.records
    assert manifest["id"].tolist() == ["golf/a", "golf/b", "wave/a"]
    assert manifest["path"].tolist() == ["golf/a.avi", "golf/b.avi", "wave/a.avi"]
    assert manifest["labels"].tolist() == ["golf", "golf", "run;wave"]
    assert manifest["split"].tolist() == ["train", "train", "test"]
    assert manifest["bytes"].tolist() == [10, 10, 10]
    assert manifest["sha256"][2] == hashlib.sha256(b"wave/a.avi").hexdigest()
    pd.testing.assert_frame_equal(manifest, manifest_of(tmp_path, workers=4))


def test_partial_copy_has_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "golf/a.avi", *(f"other/{n}.avi" for n in range(5)))
    fill(tmp_path, "wave/a.avi").joinpath("wave/a.avi").write_text("golf/a.avi")
    with caplog.at_level(logging.WARNING):
        manifest = manifest_of(tmp_path)
    assert manifest["id"].tolist() == ["golf/a", "wave/a"]
    assert manifest.attrs["notes"] == [
        "clips found: train 1 (published: 2), all 2 (published: 4)",
        "1 of 3 clips missing: golf/b",
        "5 clips in no list, left out: other/0.avi, other/1.avi, other/2.avi, ...",
        "1 sets of clips with the same bytes: golf/a = wave/a",
    ]
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [f"{tmp_path}: {note}" for note in manifest.attrs["notes"]]


def test_short_lists_are_noted_too(tmp_path: Path) -> None:
    listed = {"golf/a": LISTED["golf/a"]}
    root = fill(tmp_path, "golf/a.avi")
    manifest = official_manifest(root, listed, find_listed(root, listed), PUBLISHED, 1)
    assert manifest.attrs["notes"] == [
        "clips found: train 1 (published: 2), test 0 (published: 1), all 1 (published: 4)"
    ]

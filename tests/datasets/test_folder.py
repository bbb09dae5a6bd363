import errno
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.folder import FolderConfig, index_folder
from chain.datasets.manifest import COLUMNS, read_manifest, write_manifest


@pytest.fixture(autouse=True)
def in_empty_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where fingerprints are kept."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


LISTED = ["golf/a.avi", "golf/b.mp4", "wave/c.webm"]


def fill(root: Path, *paths: str) -> Path:
    """Files whose content is their own path: indexing decodes nothing."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(os.fsencode(path))
    return root


def index(root: Path, workers: int = 2, **parameters: object) -> pd.DataFrame:
    return index_folder(FolderConfig(root="unused", **parameters), root, workers)


def test_every_column(tmp_path: Path) -> None:
    manifest = index(fill(tmp_path, "wave/clip.v2.mp4", "golf/001.avi"))
    assert list(manifest) == COLUMNS
    golf, wave = manifest.to_dict("records")
    assert golf["id"] == "golf/001" and golf["path"] == "golf/001.avi"
    assert golf["bytes"] == len("golf/001.avi")
    assert golf["sha256"] == hashlib.sha256(b"golf/001.avi").hexdigest()
    assert golf["labels"] == "golf"
    assert wave["id"] == "wave/clip.v2" and wave["path"] == "wave/clip.v2.mp4"


def test_layouts(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "flat.mp4",
        "golf/one.mp4",
        "golf/day 2/camera/two.MP4",
        "golf/.hidden.mp4",
        ".cache/three.mp4",
        "golf/.cache/four.mp4",
        "golf/notes.txt",
        "golf/no_suffix",
    )
    (tmp_path / "empty.mp4").mkdir()
    manifest = index(tmp_path)
    assert manifest["id"].tolist() == ["flat", "golf/day 2/camera/two", "golf/one"]
    assert manifest["labels"].tolist() == ["", "golf", "golf"]


def test_linked_category(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "one.mp4")
    fill(tmp_path / "root", "golf/two.mp4")
    (tmp_path / "root" / "wave").symlink_to(tmp_path / "elsewhere")
    assert index(tmp_path / "root")["id"].tolist() == ["golf/two", "wave/one"]


def test_sorted_by_id_and_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{c}/{n}.mp4" for c in ("b", "a", "a-b", "a.b") for n in range(12)))
    manifest = index(tmp_path, workers=1)
    assert manifest["id"].tolist() == sorted(manifest["id"])
    pd.testing.assert_frame_equal(manifest, index(tmp_path, workers=4))


def test_own_extensions(tmp_path: Path) -> None:
    fill(tmp_path, "a/one.mp4", "a/two.y4m")
    assert index(tmp_path, extensions=[".y4m"])["id"].tolist() == ["a/two"]


def test_clips_that_differ_in_their_suffix_only(tmp_path: Path) -> None:
    fill(tmp_path, "golf/a.mp4", "golf/a.mov", "golf/a.b.mp4", "wave/a.mp4")
    manifest = index(tmp_path)
    assert manifest["id"].tolist() == ["golf/a.b", "golf/a.mov", "golf/a.mp4", "wave/a"]
    assert manifest["path"].tolist() == [
        "golf/a.b.mp4",
        "golf/a.mov",
        "golf/a.mp4",
        "wave/a.mp4",
    ]


def test_ids_that_would_collide_with_others_suffixes(tmp_path: Path) -> None:
    fill(tmp_path, "a.mov", "a.mp4", "a.mp4.avi", "a.mp4.mov")
    manifest = index(tmp_path)
    assert manifest["id"].tolist() == manifest["path"].tolist()


def left_out(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    assert all(len(message.splitlines()) == 1 for message in messages)
    return [message for message in messages if message.startswith("left out: ")]


@pytest.mark.parametrize(
    "name",
    [
        b"caf\xe9",
        b"one\rtwo",
        b"one\ntwo",
        b"one\r\ntwo",
        b"tab\tbed",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\x1b[31m",
    ],
)
def test_names_that_the_manifest_cannot_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    odd = os.fsdecode(name)
    fill(tmp_path, "golf/a.mp4", f"golf/{odd}.mp4", f"{odd}/b.mp4", f"golf/{odd}.txt")
    with caplog.at_level(logging.WARNING):
        manifest = index(tmp_path)
    write_manifest(tmp_path / "manifest.csv", manifest)
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), manifest)
    assert manifest["id"].tolist() == ["golf/a"]
    reason = "its name is not UTF-8, or has line breaks or other control characters"
    assert sorted(left_out(caplog)) == sorted(
        f"left out: {str(tmp_path / path)!r}: {reason}" for path in (odd, f"golf/{odd}.mp4")
    )


@pytest.mark.parametrize(
    "name",
    ["日本 語", "a,b", 'a "quoted"', " a ", "at 3.45.12\u202fPM", "é", "NA", "🏌", "%03d", "$x"],
)
def test_other_names_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    with caplog.at_level(logging.WARNING):
        manifest = index(fill(tmp_path, f"{name}/{name}.mp4"))
    write_manifest(tmp_path / "manifest.csv", manifest)
    assert read_manifest(tmp_path / "manifest.csv")["id"].tolist() == [f"{name}/{name}"]
    assert not left_out(caplog)


def test_a_link_that_leads_back_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = fill(tmp_path / "root", "golf/one.mp4", "wave/two.mp4")
    fill(tmp_path / "other", "deep/three.mp4")
    (root / "golf" / "here").symlink_to(root / "golf")
    (root / "golf" / "up").symlink_to(root)
    (root / "golf" / "further").symlink_to(tmp_path)
    (root / "swim").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "deep" / "back").symlink_to(root)
    (tmp_path / "other" / "deep" / "self").symlink_to(tmp_path / "other")
    with caplog.at_level(logging.WARNING):
        assert index(root)["id"].tolist() == ["golf/one", "swim/deep/three", "wave/two"]
    loops = ["golf/here", "golf/up", "golf/further", "swim/deep/back", "swim/deep/self"]
    assert sorted(left_out(caplog)) == sorted(
        f"left out: {root / path}: a link to a folder that contains it" for path in loops
    )


def test_links_to_each_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "a/one.mp4", "b/two.mp4")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    with caplog.at_level(logging.WARNING):
        ids = index(tmp_path)["id"].tolist()
    assert ids == ["a/one", "a/to_b/two", "b/to_a/one", "b/two"]
    assert len(left_out(caplog)) == 2


def test_what_cannot_be_read_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "golf/a.mp4", "golf/locked.mp4", "wave/b.mp4", "locked/c.mp4")
    (tmp_path / "golf" / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "golf" / "round.mp4").symlink_to("round.mp4")
    os.mkfifo(tmp_path / "golf" / "pipe.mp4")
    scan, look = os.scandir, Path.open

    def refuse(path: Path) -> None:  # a superuser, as whom tests may run, may read everything
        if Path(path).stem == "locked":
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", lambda path: (refuse(path), scan(path))[1])
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: (refuse(path), look(path, *how, **more))[1]
    )
    with caplog.at_level(logging.WARNING):
        assert index(tmp_path)["id"].tolist() == ["golf/a", "wave/b"]
    assert sorted(left_out(caplog)) == [
        f"left out: {tmp_path}/golf/gone.mp4: No such file or directory",
        f"left out: {tmp_path}/golf/locked.mp4: Permission denied",
        f"left out: {tmp_path}/golf/pipe.mp4: not a file",
        f"left out: {tmp_path}/golf/round.mp4: Too many levels of symbolic links",
        f"left out: {tmp_path}/locked: Permission denied",
    ]


def test_separator_in_a_category(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a;b: a category's name must not contain ';'"):
        index(fill(tmp_path, "a;b/one.mp4"))


def test_no_folder_and_no_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        index(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no clips \(looked for files ending in \.mp4, \.avi"):
        index(fill(tmp_path, "golf/readme.txt"))


def splits(manifest: pd.DataFrame) -> dict[str, str]:
    return dict(zip(manifest["id"], manifest["split"], strict=True))


def test_splits_have_their_shares_on_average(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{c}/{n}.mp4" for c in "ab" for n in range(300)))
    held = Counter(index(tmp_path)["split"])
    for split, share in {"train": 0.5, "database": 0.33, "query": 0.17}.items():
        assert abs(held[split] - 600 * share) < 50, split
    own = Counter(index(tmp_path, shares={"all": 0.8, "test": 0.2})["split"])
    assert own.keys() == {"all", "test"} and abs(own["all"] - 480) < 50


def test_a_clip_s_split_depends_on_its_content_alone(tmp_path: Path) -> None:
    """Adding clips, removing them or giving one another name moves none of the others."""
    paths = [f"a/{number}.mp4" for number in range(40)]
    before = splits(index(fill(tmp_path, *paths)))
    assert set(before.values()) == {"train", "database", "query"}
    fill(tmp_path, *(f"{c}/new{n}.mp4" for c in "ab" for n in range(20)))
    after = splits(index(tmp_path))
    assert len(after) == 80 and {name: after[name] for name in before} == before
    for path in paths[:10]:
        (tmp_path / path).unlink()
    (tmp_path / paths[20]).rename(tmp_path / "a/another name.avi")
    less = splits(index(tmp_path))
    assert less["a/another name"] == before["a/20"]
    assert all(less[name] == before[name] for name in before if name in less)


def test_one_file_under_several_names_is_in_one_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, *(f"a/{number}.mp4" for number in range(20)))
    for number in range(20):
        for category in ("b", "c"):
            copy = tmp_path / category / f"{number} (1).mp4"
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes((tmp_path / f"a/{number}.mp4").read_bytes())
    with caplog.at_level(logging.WARNING):
        manifest = index(tmp_path)
    held = splits(manifest)
    for number in range(20):
        assert len({held[name] for name in held if re.fullmatch(rf"./{number}( .*)?", name)}) == 1
    (note,) = manifest.attrs["notes"]
    assert note == caplog.records[-1].getMessage()
    assert note.startswith("60 clips are the same file, so they are in one split: a/0 = b/0 (1), ")


def test_a_pattern_names_the_source(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [f"{c}/film{f}_clip{n}.mp4" for c in "ab" for f in range(20) for n in range(3)]
    fill(tmp_path, *paths, "a/other.mp4")
    with caplog.at_level(logging.WARNING):
        manifest = index(tmp_path, source_pattern=r"([^/]*)_clip\d+")
    held = splits(manifest)
    films = [{held[name] for name in held if f"film{f}_" in name} for f in range(20)]
    assert all(len(film) == 1 for film in films) and len(set.union(*films)) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "1 clips in which source.source_pattern finds no source: a/other.mp4"
    ]
    alone = splits(index(tmp_path, source_pattern=r"(.*)_clip\d+"))  # the category is part of it
    assert any(alone[f"a/film{f}_clip0"] != alone[f"b/film{f}_clip0"] for f in range(20))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "not a regular expression"),
        ("clip", "expected one group, .* but it has 0"),
        ("(a)(b)", "expected one group, .* but it has 2"),
    ],
)
def test_bad_source_pattern(pattern: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"source\.source_pattern: .*{message}"):
        parse(FolderConfig, {"root": "clips", "source_pattern": pattern}, "source")


def test_a_split_file_may_name_sources_only(tmp_path: Path) -> None:
    paths = [f"a/{number}.mp4" for number in range(30)]
    fill(tmp_path, *paths)
    lines = [f"{path},film{number // 3}" for number, path in enumerate(paths)]
    (tmp_path / "sources.csv").write_text("path,source\n" + "\n".join(lines) + "\n")
    manifest = index(tmp_path, split_file="sources.csv")
    held = splits(manifest)
    films = [{held[f"a/{3 * film + n}"] for n in range(3)} for film in range(10)]
    assert all(len(film) == 1 for film in films) and len(set.union(*films)) > 1
    assert manifest.attrs["drawn"] and not manifest.attrs["notes"]


def test_what_a_split_file_tears_apart_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.mp4", "a/2.mp4", "a/3.mp4", "b/1.mp4")
    (tmp_path / "b/1.mp4").write_bytes(b"a/1.mp4")
    (tmp_path / "splits.csv").write_text(
        "path,source,split\na/1.mp4,,train\nb/1.mp4,,query\na/2.mp4,x,train\na/3.mp4,x,query\n"
    )
    manifest = index(tmp_path, split_file="splits.csv")
    assert manifest["split"].tolist() == ["train", "train", "query", "query"]
    assert not manifest.attrs["drawn"]
    assert manifest.attrs["notes"] == [
        "2 clips are the same file, but in several splits: a/1 = b/1.",
        "1 sources have clips in several splits: x.",
    ]


def test_near_copies_are_in_one_split(
    tmp_path: Path, write_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each picture there are three clips, in other sizes and codecs, and all lie together."""
    monkeypatch.chdir(tmp_path)
    root, random = tmp_path / "root", np.random.default_rng(0)
    for number in range(12):
        coarse = random.integers(40, 255, (6, 6, 3), dtype=np.uint8)
        for name, scale, codec in (("a", 8, "mpeg4"), ("b", 16, "mpeg4"), ("c", 8, "mpeg2video")):
            picture = coarse.repeat(scale, 0).repeat(scale, 1)
            frames = np.stack([picture] * 5)
            write_clip(root / f"{name}/{number}.avi", frames, codec=codec, fps=25)
    manifest = index(root)
    held = splits(manifest)
    for number in range(12):
        assert len({held[f"{name}/{number}"] for name in "abc"}) == 1
    assert len(set(held.values())) == 3
    (note,) = manifest.attrs["notes"]
    assert note.startswith("36 clips are near copies, so they are in one split: a/0 = b/0, ")


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 1.5, "query": -0.5}])
def test_bad_shares(shares: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: source\.shares"):
        parse(FolderConfig, {"root": "clips", "shares": shares}, "source")


def test_split_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, *LISTED)
    (tmp_path / "splits.csv").write_text(
        "path,category,source,split\n"
        "./wave/c.webm,wrong,z,query\ngolf/a.avi,golf,x,train\ngolf/b.mp4,golf,y,\n"
    )
    with caplog.at_level(logging.WARNING):
        manifest = index(tmp_path, split_file="splits.csv")
    assert manifest["split"].tolist() == ["train", "", "query"]
    assert manifest["labels"].tolist() == ["golf", "golf", "wave"]
    assert not caplog.records


def test_split_file_elsewhere_with_labels(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", *LISTED)
    table = tmp_path / "splits.csv"
    table.write_text(
        "split,labels,path\ntrain,NA;sport,golf/a.avi\ntrain,,golf/b.mp4\n01,wave,wave/c.webm\n"
    )
    manifest = index(root, split_file=str(table))
    assert manifest["labels"].tolist() == ["NA;sport", "", "wave"]
    assert manifest["split"].tolist() == ["train", "train", "01"]


def test_split_file_that_does_not_match_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, *LISTED, *(f"new/{n}.mp4" for n in range(5)))
    (tmp_path / "splits.csv").write_text(
        "path,split\ngolf/a.avi,train\ngolf/b.mp4,train\nwave/c.webm,query\ngone/x.mp4,query\n"
    )
    with caplog.at_level(logging.WARNING):
        manifest = index(tmp_path, split_file="splits.csv")
    assert manifest["id"].tolist() == ["golf/a", "golf/b", "wave/c"]
    assert manifest["split"].tolist() == ["train", "train", "query"]
    assert manifest["labels"].tolist() == ["golf", "golf", "wave"]
    unlisted, missing = (record.getMessage() for record in caplog.records)
    assert unlisted.startswith("5 clips not in the split file")
    assert unlisted.endswith(": new/0.mp4, new/1.mp4, new/2.mp4, ...")
    assert missing.startswith("1 clips in the split file but not on disk")
    assert missing.endswith(": gone/x.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such split file"),
        ("a folder", "cannot be read: Is a directory"),
        ("", "not a CSV file"),
        ("path,set\ngolf/a.avi,train\n", "no column 'split', and no 'source' to draw"),
        ("clip,split\ngolf/a.avi,train\n", "no column 'path'"),
        ("path,split\ngolf/a.avi,train\n./golf/a.avi,query\n", "'golf/a.avi' is listed more than"),
        ("path,split\nother/a.avi,train\n", "lists none of the clips"),
    ],
)
def test_bad_split_file(tmp_path: Path, text: str | None, message: str) -> None:
    fill(tmp_path, *LISTED)
    if text == "a folder":
        (tmp_path / "splits.csv").mkdir()
    elif text is not None:
        (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        index(tmp_path, split_file="splits.csv")
    assert "splits.csv" in str(caught.value) and "\n" not in str(caught.value)

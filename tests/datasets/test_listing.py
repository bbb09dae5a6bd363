"""What is noticed of a folder of clips."""

import os
from pathlib import Path

import pytest

from chain.datasets.listing import stamp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of clips, in which are two files."""
    for name in ("golf/a.mp4", "wave/b.mp4"):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / name).write_text("clip")
    return tmp_path / "clips"


def add(root: Path) -> None:
    (root / "golf/c.mp4").write_text("clip")


def remove(root: Path) -> None:
    (root / "golf/a.mp4").unlink()


def rename(root: Path) -> None:
    (root / "golf/a.mp4").rename(root / "wave/a.mp4")


def lengthen(root: Path) -> None:
    status = (root / "golf/a.mp4").stat()
    (root / "golf/a.mp4").write_text("clips")
    os.utime(root / "golf/a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(root: Path) -> None:
    os.utime(root / "golf/a.mp4", ns=(0, 1))


def break_off(root: Path) -> None:
    (root / "wave/d.mp4").symlink_to("nowhere")


@pytest.mark.parametrize("change", [add, remove, rename, lengthen, touch, break_off])
def test_changes_are_seen(root: Path, change: object) -> None:
    before = stamp(root)
    assert before["files"] == 2 and stamp(root) == before
    change(root)
    assert stamp(root) != before


def test_hidden_files_do_not_count(root: Path) -> None:
    before = stamp(root)
    (root / ".DS_Store").write_text("x")
    (root / ".cache").mkdir()
    (root / ".cache" / "e.mp4").write_text("x")
    assert stamp(root) == before


def test_the_same_folder_elsewhere(root: Path) -> None:
    before = stamp(root)
    elsewhere = root.rename(root.with_name("elsewhere"))
    assert stamp(elsewhere) == before


def test_links(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "f.mp4").write_text("clip")
    (root / "linked").symlink_to(other)
    (root / "golf" / "up").symlink_to(root)  # which would lead round in circles
    before = stamp(root)
    assert before["files"] == 3
    (other / "g.mp4").write_text("clip")
    assert stamp(root)["files"] == 4


def test_a_split_file_elsewhere(root: Path, tmp_path: Path) -> None:
    others = [tmp_path / "splits.csv"]
    before = stamp(root, others)
    (tmp_path / "splits.csv").write_text("path,split\n")
    assert stamp(root, others) != before


def test_no_folder_of_clips(tmp_path: Path) -> None:
    assert stamp(tmp_path / "nowhere")["files"] == 0

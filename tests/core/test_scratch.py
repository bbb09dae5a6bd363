import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.core.errors import InputError
from chain.core.scratch import read_progress, scratch_folder


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def folder_of(parameters: dict, inputs: list[Path], stage: str = "decode") -> Path:
    with scratch_folder(stage, parameters, inputs) as folder:
        assert folder.is_dir()
    return folder


def test_name_and_removal_on_success() -> None:
    with scratch_folder("decode", {"size": 128}, []) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("half")
    assert not folder.exists()
    assert folder.parent == Path(".scratch")
    stage, key = folder.name.split("-")
    assert stage == "decode" and len(key) == 16 and int(key, 16) >= 0


def test_kept_on_error_and_found_again() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        scratch_folder("decode", {"size": 128}, []) as first,
    ):
        (first / "half").write_text("done so far")
        raise KeyboardInterrupt
    with scratch_folder("decode", {"size": 128}, []) as second:
        assert (second / "half").read_text() == "done so far"
    assert not second.exists()
    with scratch_folder("decode", {"size": 128}, []) as third:
        assert not list(third.iterdir())


def test_killed_while_it_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a folder that was no longer needed is not taken for work in progress."""

    def half(folder: Path, ignore_errors: bool = False) -> None:
        for file in folder.glob("first"):
            file.unlink()
        if not ignore_errors:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", half)
        with pytest.raises(KeyboardInterrupt), scratch_folder("decode", {}, []) as folder:
            (folder / "first").touch()
            (folder / "second").touch()
    with scratch_folder("decode", {}, []) as again:
        assert again == folder and not list(again.iterdir())
    assert not list(folder.parent.iterdir())


def test_body_may_move_it_away() -> None:
    with scratch_folder("prepare", {}, []) as folder:
        (folder / "clip").write_text("whole")
        folder.rename("clips")
    assert Path("clips/clip").read_text() == "whole"


def test_key_depends_on_everything_that_matters(tmp_path: Path) -> None:
    file = tmp_path / "manifest.csv"
    file.write_text("id")
    os.utime(file, ns=(0, 1_000))
    base = folder_of({"size": 128, "deep": {"a": 1}}, [file])
    assert folder_of({"deep": {"a": 1}, "size": 128}, [file]) == base  # not the order of keys
    others = [
        folder_of({"size": 64, "deep": {"a": 1}}, [file]),
        folder_of({"size": 128, "deep": {"a": 2}}, [file]),
        folder_of({"size": 128, "deep": {"a": 1}}, []),
        folder_of({"size": 128, "deep": {"a": 1}}, [file], stage="other"),
    ]
    os.utime(file, ns=(0, 1_001))
    others.append(folder_of({"size": 128, "deep": {"a": 1}}, [file]))
    file.write_text("id,path")
    os.utime(file, ns=(0, 1_000))
    others.append(folder_of({"size": 128, "deep": {"a": 1}}, [file]))
    assert len({base, *others}) == 1 + len(others)


HOLD = """
import sys, time
from chain.core.scratch import read_progress, scratch_folder
with scratch_folder("decode", {"size": int(sys.argv[1])}, []) as folder:
    (folder / "half").write_text("of another process")
    print("at work", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_process(size: int) -> Iterator[subprocess.Popen[str]]:
    """Another process at work in a scratch folder; it is killed at the end."""
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(size)],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "at work\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_one_at_a_time_until_the_other_is_dead() -> None:
    with another_process(1) as other:
        with (
            pytest.raises(InputError, match=r"^\.scratch/decode-\w+: another process is at work"),
            scratch_folder("decode", {"size": 1}, []),
        ):
            pass
        folder_of({"size": 2}, [])  # with other parameters it may work, and leaves the other alone
        other.kill()
        other.wait()
        with scratch_folder("decode", {"size": 1}, []) as folder:
            assert (folder / "half").read_text() == "of another process"


def test_what_dead_processes_left_is_removed_once_the_stage_succeeds() -> None:
    for size in (1, 2):
        with another_process(size):
            pass
    Path(".scratch/decode-0123456789abcdef.done").mkdir()
    Path(".scratch/decode-other-0123456789abcdef").mkdir()
    with pytest.raises(ValueError), scratch_folder("decode", {"size": 3}, []):
        raise ValueError
    assert len(list(Path(".scratch").iterdir())) == 5  # not if it fails
    with another_process(4):
        folder_of({"size": 3}, [])
        left = {path.name.rpartition("-")[0] for path in Path(".scratch").iterdir()}
        assert left == {"decode", "decode-other"}
        assert len(list(Path(".scratch").iterdir())) == 2


def test_missing_input() -> None:
    with (
        pytest.raises(InputError, match=r"^nowhere\.csv: no such file$"),
        scratch_folder("decode", {}, [Path("nowhere.csv")]),
    ):
        pass


def test_progress() -> None:
    marker = Path("clips_done")
    assert read_progress(marker) == 0
    marker.write_text("12")
    assert read_progress(marker) == 12
    for damaged in ("", "x", "1 2"):
        marker.write_text(damaged)
        with pytest.raises(InputError, match=r"^clips_done: not a number, .*delete its folder"):
            read_progress(marker)

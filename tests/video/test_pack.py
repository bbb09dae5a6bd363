import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.manifest import COLUMNS, file_sha256, read_index
from chain.video import pack
from chain.video.decode import read_clip
from chain.video.pack import DecodeConfig, PackReport, pack_frames

CONFIG = DecodeConfig(frames=4, size=16, max_bad=0.5)
CLIPS = 12

# Slow enough to be killed midway; every clip is committed on its own.
SLOW_RUN = """
import sys, time
from pathlib import Path
from chain.datasets.manifest import read_manifest
from chain.video import pack
root, out, scratch = map(Path, sys.argv[1:])
read_clip = pack.read_clip
pack.read_clip = lambda *arguments: (time.sleep(0.05), read_clip(*arguments))[1]
pack.COMMIT_EVERY = 1
config = pack.DecodeConfig(frames=4, size=16, max_bad=0.5)
pack.pack_frames(read_manifest(root / "manifest.csv"), root, out, config, 1, scratch)
"""


@pytest.fixture
def root(tmp_path: Path, grey_clip: Callable[..., Path]) -> Path:
    """CLIPS clips of different lengths and grey levels."""
    for number in range(CLIPS):
        levels = [20 + 10 * number + step for step in range(2 + number)]
        grey_clip(tmp_path / "clips" / f"c{number % 2}" / f"{number:03d}.avi", levels)
    return tmp_path / "clips"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def manifest_of(root: Path) -> pd.DataFrame:
    paths = sorted(path.relative_to(root) for path in root.rglob("*.avi"))
    rows = [
        (str(path.with_suffix("")), str(path), 1, "0" * 64, path.parent.name, "01")
        for path in paths
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []

    def counted(path: Path, *arguments: int) -> object:
        read.append(path)
        return read_clip(path, *arguments)

    monkeypatch.setattr(pack, "read_clip", counted)
    return read


def test_what_is_written(root: Path, tmp_path: Path, scratch: Path) -> None:
    manifest = manifest_of(root)
    report = pack_frames(manifest, root, tmp_path / "deep" / "out", CONFIG, 2, scratch)
    assert (report.good, report.bad) == (CLIPS, 0)
    assert str(report) == f"{CLIPS} clips in {tmp_path / 'deep' / 'out'}"
    out = tmp_path / "deep" / "out"
    assert sorted(content_of(out)) == ["frames.npy", "index.csv", "report.csv"]

    frames = np.load(out / "frames.npy", mmap_mode="r")
    clips = [read_clip(root / path, 4, 16) for path in manifest["path"]]
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, np.stack([clip.images for clip in clips]))
    assert len(np.unique(frames[:, 0, 0, 0, 0])) == CLIPS  # rows can be told apart

    index = read_index(out / "index.csv")
    assert list(index) == ["id", "labels", "split", "decoded", "duration"]
    for column in ("id", "labels", "split"):
        assert index[column].tolist() == manifest[column].tolist()
    assert index["decoded"].tolist() == [clip.decoded for clip in clips]
    np.testing.assert_allclose(index["duration"], [clip.duration for clip in clips], rtol=1e-5)
    assert (out / "report.csv").read_text() == "id,path,reason\n"


def test_same_bytes_for_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    written = []
    for workers in (1, 4):
        (tmp_path / f"scratch{workers}").mkdir()
        out = tmp_path / f"out{workers}"
        pack_frames(manifest_of(root), root, out, CONFIG, workers, tmp_path / f"scratch{workers}")
        written.append(content_of(out))
    assert written[0] == written[1]


def test_bad_clips_are_left_out(
    root: Path, tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = manifest_of(root)
    (root / manifest["path"][3]).write_bytes(b"")
    (root / manifest["path"][7]).unlink()
    with caplog.at_level(logging.WARNING):
        report = pack_frames(manifest, root, tmp_path / "out", CONFIG, 2, scratch)
    assert (report.good, report.bad) == (CLIPS - 2, 2)
    assert str(report).endswith("2 left out (report.csv says why)")

    good = manifest.drop(index=[3, 7])
    index = read_index(tmp_path / "out" / "index.csv")
    assert index["id"].tolist() == good["id"].tolist()
    frames = np.load(tmp_path / "out" / "frames.npy")
    expected = np.stack([read_clip(root / path, 4, 16).images for path in good["path"]])
    np.testing.assert_array_equal(frames, expected)

    listed = pd.read_csv(tmp_path / "out" / "report.csv")
    assert listed["id"].tolist() == manifest["id"][[3, 7]].tolist()
    assert listed["path"].tolist() == manifest["path"][[3, 7]].tolist()
    assert listed["reason"][0].startswith("cannot be opened: Invalid data")
    assert listed["reason"][1] == "cannot be opened: No such file or directory"
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        f"left out: {root / path}: {reason}"
        for path, reason in zip(listed["path"], listed["reason"], strict=True)
    ]


def test_damaged_clips_are_kept_and_listed(
    root: Path, tmp_path: Path, scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = manifest_of(root)
    (root / manifest["path"][3]).write_bytes(b"")
    damaged = root / manifest["path"][11]
    with av.open(str(damaged)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0)]
    content = damaged.read_bytes()
    assert content.count(packets[5]) == 1
    damaged.write_bytes(content.replace(packets[5], bytes(len(packets[5]))))
    assert read_clip(damaged, 4, 16).damaged
    with caplog.at_level(logging.WARNING):
        report = pack_frames(manifest, root, tmp_path / "out", CONFIG, 2, scratch)
    assert (report.good, report.bad, report.damaged) == (CLIPS - 1, 1, 1)
    assert str(report).endswith(", 1 left out, 1 damaged (report.csv says why)")
    listed = pd.read_csv(tmp_path / "out" / "report.csv")
    assert listed["id"].tolist() == manifest["id"][[3, 11]].tolist()
    assert listed["reason"][1] == "damaged, kept with the frames that decode"
    assert caplog.records[-1].getMessage() == f"{listed['reason'][1]}: {damaged}"
    assert len(read_index(tmp_path / "out" / "index.csv")) == CLIPS - 1


def test_damage_is_remembered_after_an_error(
    root: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of a damaged clip outlives the run that decoded it."""
    manifest = manifest_of(root)

    def first_is_damaged(path: Path, *arguments: int) -> object:
        if path == root / manifest["path"][8]:
            raise OSError("the disk is gone")
        return replace(read_clip(path, *arguments), damaged=path == root / manifest["path"][0])

    monkeypatch.setattr(pack, "COMMIT_EVERY", 3)
    monkeypatch.setattr(pack, "read_clip", first_is_damaged)
    with pytest.raises(OSError, match="the disk is gone"):
        pack_frames(manifest, root, tmp_path / "out", CONFIG, 1, scratch)
    monkeypatch.setattr(pack, "read_clip", read_clip)
    assert pack_frames(manifest, root, tmp_path / "out", CONFIG, 1, scratch).damaged == 1
    assert pd.read_csv(tmp_path / "out" / "report.csv")["id"].tolist() == [manifest["id"][0]]


def test_too_many_bad_clips(root: Path, tmp_path: Path, scratch: Path) -> None:
    manifest = manifest_of(root)
    for path in manifest["path"][2:5]:
        (root / path).write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("as it was")
    strict = CONFIG.model_copy(update={"max_bad": 0.2})
    message = (
        r"3 of 12 clips \(25\.0%\) .*decode\.max_bad allows 20\.0%; "
        rf"the first is {root}/{manifest['path'][2]}: cannot be opened"
    )
    with pytest.raises(InputError, match=message):
        pack_frames(manifest, root, tmp_path / "out", strict, 2, scratch)
    assert content_of(tmp_path / "out") == {"old": b"as it was"}
    exact = CONFIG.model_copy(update={"max_bad": 0.25})
    assert pack_frames(manifest, root, tmp_path / "out", exact, 2, scratch).bad == 3
    assert "old" not in content_of(tmp_path / "out")


def test_no_clip_left(root: Path, tmp_path: Path, scratch: Path) -> None:
    everything = CONFIG.model_copy(update={"max_bad": 1.0})
    with pytest.raises(InputError, match=r"^no clip can be decoded; the first is nowhere/c0/000"):
        pack_frames(manifest_of(root), Path("nowhere"), tmp_path / "out", everything, 2, scratch)
    assert not (tmp_path / "out").exists()


def test_empty_manifest(tmp_path: Path, scratch: Path) -> None:
    empty = pd.DataFrame(columns=COLUMNS)
    with pytest.raises(InputError, match="no clips"):
        pack_frames(empty, tmp_path, tmp_path / "out", CONFIG, 2, scratch)


def test_goes_on_after_an_error(
    root: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(root)
    (root / manifest["path"][1]).write_bytes(b"")
    (tmp_path / "fresh").mkdir()
    pack_frames(manifest, root, tmp_path / "expected", CONFIG, 1, tmp_path / "fresh")

    def fail_late(path: Path, *arguments: int) -> object:
        if path == root / manifest["path"][8]:
            raise OSError("the disk is gone")
        return read_clip(path, *arguments)

    monkeypatch.setattr(pack, "COMMIT_EVERY", 3)
    monkeypatch.setattr(pack, "read_clip", fail_late)
    with pytest.raises(OSError, match="the disk is gone"):
        pack_frames(manifest, root, tmp_path / "out", CONFIG, 1, scratch)
    assert not (tmp_path / "out").exists()
    read = count_reads(monkeypatch)
    pack_frames(manifest, root, tmp_path / "out", CONFIG, 1, scratch)
    # Clips 0, 2, 3 and 4, 5, 6 were committed; the bad clip 1 is tried again.
    assert read == [root / manifest["path"][row] for row in (1, 7, 8, 9, 10, 11)]
    assert content_of(tmp_path / "out") == content_of(tmp_path / "expected")


def test_goes_on_after_a_kill(
    root: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(root)
    manifest.to_csv(root / "manifest.csv", index=False)
    (tmp_path / "fresh").mkdir()
    pack_frames(manifest, root, tmp_path / "expected", CONFIG, 1, tmp_path / "fresh")

    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(root), str(tmp_path / "out"), str(scratch)],
        stderr=subprocess.DEVNULL,
    )
    done = scratch / "notes.npy"
    while not done.exists() or (np.load(done)["decoded"] > 0).sum() < 3:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()

    committed = int((np.load(done)["decoded"] > 0).sum())
    assert 3 <= committed < CLIPS
    read = count_reads(monkeypatch)
    pack_frames(manifest, root, tmp_path / "out", CONFIG, 2, scratch)
    assert len(read) == CLIPS - committed
    assert content_of(tmp_path / "out") == content_of(tmp_path / "expected")


def test_killed_while_scratch_was_being_made(root: Path, tmp_path: Path, scratch: Path) -> None:
    (scratch / "frames.npy").write_bytes(b"half a header")
    (scratch / ".notes.1.partial.npy").write_bytes(b"half")
    assert pack_frames(manifest_of(root), root, tmp_path / "out", CONFIG, 2, scratch).good == CLIPS


def test_full_disk(
    root: Path, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    needed = 2 * CLIPS * 4 * 16 * 16 * 3
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda path: usage(0, 0, needed - 1))
    with pytest.raises(InputError, match=r"packing takes 0\.0 GB of disk"):
        pack_frames(manifest_of(root), root, tmp_path / "out", CONFIG, 2, scratch)
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda path: usage(0, 0, needed))
    pack_frames(manifest_of(root), root, tmp_path / "out", CONFIG, 2, scratch)


@pytest.mark.parametrize(
    ("key", "value"), [("frames", 0), ("size", 8), ("max_bad", 1.1), ("fps", 3)]
)
def test_bad_parameters(key: str, value: float) -> None:
    parameters = {"frames": 16, "size": 128, "max_bad": 0.05} | {key: value}
    with pytest.raises(InputError, match=rf"params\.yaml: decode\.{key}: "):
        parse(DecodeConfig, parameters, "decode")


@pytest.fixture
def apart(root: Path) -> pd.DataFrame:
    """The manifest with a hash for each clip's content, as `prepare` writes it."""
    manifest = manifest_of(root)
    return manifest.assign(sha256=[file_sha256(root / path) for path in manifest["path"]])


def packed(manifest: pd.DataFrame, root: Path, out: Path, name: str | None) -> PackReport:
    scratch = out.with_name(f"{out.name}_scratch")
    scratch.mkdir()
    return pack_frames(manifest, root, out, CONFIG, 2, scratch, keep_as=name)


def test_clips_that_did_not_change_are_not_decoded_again(
    root: Path, tmp_path: Path, apart: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips are added, removed, renamed and changed; the bytes are those of a run from nothing."""
    monkeypatch.chdir(tmp_path)
    old = apart.iloc[:8]
    read = count_reads(monkeypatch)
    assert packed(old, root, tmp_path / "first", "tiny").reused == 0
    assert len(read) == 8
    kept = Path(".kept/tiny/frames.npy")
    assert kept.samefile(tmp_path / "first" / "frames.npy")  # no space on disk
    shutil.rmtree(tmp_path / "first")  # as DVC does before the stage runs again

    read.clear()
    new = apart.iloc[2:].copy()
    new.loc[3, "id"] = "renamed"
    new.loc[4, "sha256"] = "f" * 64  # its content is another one
    report = packed(new, root, tmp_path / "second", "tiny")
    assert sorted(read) == sorted(root / path for path in [*apart["path"][8:], apart["path"][4]])
    assert report.reused == 5 and f"{CLIPS - 2} clips in" in str(report)
    assert ", 5 of them as decoded before" in str(report)
    packed(new, root, tmp_path / "fresh", None)
    assert content_of(tmp_path / "second") == content_of(tmp_path / "fresh")


def test_bad_and_damaged_clips_among_kept_ones(
    root: Path, tmp_path: Path, apart: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (root / apart["path"][3]).write_bytes(b"")

    def one_is_damaged(path: Path, *arguments: int) -> object:
        return replace(read_clip(path, *arguments), damaged=path == root / apart["path"][0])

    monkeypatch.setattr(pack, "read_clip", one_is_damaged)
    packed(apart, root, tmp_path / "first", "tiny")
    read = count_reads(monkeypatch)
    report = packed(apart, root, tmp_path / "second", "tiny")
    assert read == [root / apart["path"][3]]  # what could not be decoded is tried again
    assert (report.good, report.bad, report.damaged, report.reused) == (CLIPS - 1, 1, 1, CLIPS - 1)
    assert content_of(tmp_path / "second") == content_of(tmp_path / "first")


def test_a_killed_run_goes_on_with_kept_clips(
    root: Path, tmp_path: Path, apart: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packed(apart.iloc[:6], root, tmp_path / "first", "tiny")
    scratch = tmp_path / "again"
    scratch.mkdir()

    def fail(path: Path, *arguments: int) -> object:
        raise OSError("the disk is gone")

    monkeypatch.setattr(pack, "read_clip", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        pack_frames(apart, root, tmp_path / "out", CONFIG, 1, scratch, keep_as="tiny")
    shutil.rmtree(".kept")
    read = count_reads(monkeypatch)
    pack_frames(apart, root, tmp_path / "out", CONFIG, 1, scratch, keep_as="tiny")
    assert read == [root / path for path in apart["path"][6:]]
    packed(apart, root, tmp_path / "fresh", None)
    assert content_of(tmp_path / "out") == content_of(tmp_path / "fresh")


@pytest.mark.parametrize("change", [{"frames": 5}, {"size": 24}])
def test_frames_of_other_parameters_are_not_taken_over(
    root: Path, tmp_path: Path, apart: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, change: dict
) -> None:
    monkeypatch.chdir(tmp_path)
    packed(apart, root, tmp_path / "first", "tiny")
    monkeypatch.setattr(sys.modules[__name__], "CONFIG", CONFIG.model_copy(update=change))
    read = count_reads(monkeypatch)
    assert packed(apart, root, tmp_path / "second", "tiny").reused == 0
    assert len(read) == CLIPS

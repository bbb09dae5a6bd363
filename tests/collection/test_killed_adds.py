"""Adding that is killed, that waits for another, and that meets a full or read-only disk."""

import itertools
import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from chain.collection import Collection, Segmenting
from chain.collection.lock import writing
from chain.core.errors import InputError

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["chain.hasher.hasher", "faiss"])  # LanceDB is not to be forked


def contents(folder: Path) -> dict[str, object]:
    """All that a collection holds, as plain values that can be compared."""
    collection = Collection.open(folder)
    codes = collection.codes()
    ids = codes.ids[codes.owner].tolist()
    rows = list(
        zip(ids, codes.start.tolist(), codes.end.tolist(), codes.codes.tolist(), strict=True)
    )
    assert len(rows) == len({row[:3] for row in rows})  # nothing is doubled
    frames = collection.frames(codes.ids.tolist())
    return {
        "videos": collection.videos().values.tolist(),
        "codes": rows,
        "frames": {id: (times.tolist(), found.tolist()) for id, (times, found) in frames.items()},
        "strips": [collection.strip(id) for id in sorted(frames)],
        "broken": collection.broken().values.tolist(),
    }


def add(folder: Path, clips: Path, commit: int) -> None:
    """What a process does that is killed: it commits after every `commit` videos."""
    import torch

    from chain.collection import adding

    torch.set_num_threads(1)
    adding.VIDEOS_A_COMMIT = commit
    Collection.open(folder).add([clips])


@pytest.fixture
def folder_of_clips(clip):
    for number in range(8):
        path = clip(f"{number}.mp4", *range(number, number + 1 + 2 * (number % 2)))
    path.with_name("broken.mp4").write_bytes(b"nothing")
    return path.parent


def new(folder: Path, hasher: Path) -> Path:
    Collection.create(folder, hasher, Segmenting(1.2, 0.6))
    return folder


def add_and_halt(folder: Path, clips: Path, appends: int, halted: Event) -> None:
    """Add one video a commit, and stand still after some appends: to segments, to videos, …"""
    from chain.collection.tables import Tables

    append, left = Tables.append, itertools.count(appends, -1)

    def halting(*arguments):
        if next(left) == 0:
            halted.set()
            time.sleep(600)
        append(*arguments)

    Tables.append = halting  # type: ignore[method-assign]
    add(folder, clips, 1)


def halted_add(folder: Path, clips: Path, appends: int) -> BaseProcess:
    halted = CONTEXT.Event()
    process = CONTEXT.Process(target=add_and_halt, args=(folder, clips, appends, halted))
    process.start()
    assert halted.wait(120)
    return process


@pytest.mark.slow
def test_killed_adds_end_in_the_same_contents(folder_of_clips, hasher, tmp_path):
    """Killed before the first write, between the two writes of a video, and after videos."""
    peaceful = new(tmp_path / "peaceful", hasher)
    add(peaceful, folder_of_clips, 32)
    killed = new(tmp_path / "killed", hasher)
    for appends, videos in ((0, 0), (1, 0), (4, 2)):
        process = halted_add(killed, folder_of_clips, appends)
        process.kill()
        process.join()
        assert (killed / "lock").stat().st_size
        assert len(contents(killed)["videos"]) == videos  # a reader is never disturbed
    Collection.open(killed).add([folder_of_clips])
    assert contents(killed) == contents(peaceful)
    assert not (killed / "lock").stat().st_size


def test_leftovers_are_invisible_and_removed(collection, clip, tmp_path):
    """As a kill between the two writes leaves them: segments whose video has no row."""
    collection.add([clip("a.mp4", 0)])
    before = contents(tmp_path / "collection")
    table = collection._tables.segments
    row = {"id": "f" * 32, "start": 0.0, "end": 1.2, "whole": True, "code": [0, 1, 2, 3]}
    collection._tables.append(table, [row])
    (tmp_path / "collection/lock").write_text("a process is writing, or broke off\n")
    assert contents(tmp_path / "collection") == before
    assert table.count_rows() == 2
    collection.add([clip("a.mp4", 0).parent])
    assert table.count_rows() == 1
    assert contents(tmp_path / "collection") == before


@pytest.mark.slow
def test_two_adds_at_once(folder_of_clips, hasher, tmp_path):
    peaceful = new(tmp_path / "peaceful", hasher)
    add(peaceful, folder_of_clips, 32)
    both = new(tmp_path / "both", hasher)
    processes = [CONTEXT.Process(target=add, args=(both, folder_of_clips, 1)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert contents(both) == contents(peaceful)


def test_who_waits_says_so(collection, tmp_path, caplog):
    import threading

    with writing(tmp_path / "collection/lock"):
        waiting = threading.Thread(target=collection.remove, args=([tmp_path],))
        waiting.start()
        deadline = time.monotonic() + 20
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
        assert waiting.is_alive()
    waiting.join(20)
    assert not waiting.is_alive()
    message = f"{tmp_path}/collection: waiting for another process that writes"
    assert caplog.messages == [message]


@pytest.mark.slow
def test_ctrl_c_leaves_the_collection_intact(folder_of_clips, hasher, tmp_path):
    folder = new(tmp_path / "stopped", hasher)
    process = halted_add(folder, folder_of_clips, 3)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 1
    assert len(contents(folder)["videos"]) == 1
    Collection.open(folder).add([folder_of_clips])
    assert len(Collection.open(folder).videos()) == 8


def fill_the_disk(folder, clips, room, answers):
    import resource

    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    collection = Collection.open(folder)
    collection.coder  # noqa: B018
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        collection.add([clips])
    except InputError as error:
        answers.put(str(error))
    else:
        answers.put("")


@pytest.mark.slow
def test_a_full_disk(folder_of_clips, hasher, tmp_path):
    """Only the line: a limit on files cuts them off, where a full disk refuses the write."""
    folder = new(tmp_path / "full", hasher)
    Collection.open(folder).add([folder_of_clips / "0.mp4"])
    answers = CONTEXT.Queue()
    process = CONTEXT.Process(target=fill_the_disk, args=(folder, folder_of_clips, 2000, answers))
    process.start()
    message = answers.get(timeout=120)
    process.join()
    assert message == f"{folder}/tables: the disk is full"


def test_a_damaged_collection(collection, clip, tmp_path):
    folder = tmp_path / "collection"
    collection.add([clip("a.mp4", 0)])
    about = (folder / "collection.json").read_text()
    for text, message in (
        (about.replace('"format": 2', '"format": 1'), "its format is 1, this version reads 2"),
        ("{", "damaged, it is no JSON"),
        (about.replace('"bits": 32', '"bits": "many"'), "collection.bits"),
    ):
        (folder / "collection.json").write_text(text)
        fails(message, lambda: Collection.open(folder))
    (folder / "collection.json").write_text(about)
    for data in (folder / "tables/segments.lance/data").iterdir():
        data.write_bytes(b"nothing")
    fails("tables: damaged, or not readable", lambda: Collection.open(folder).codes())
    (folder / "tables/videos.lance").rename(folder / "tables/other.lance")
    fails("tables: damaged, or not readable", lambda: Collection.open(folder))


def test_a_collection_whose_hasher_was_exchanged(collection, clip, tmp_path):
    import shutil

    from tiny_hasher import write_hasher

    collection.add([clip("a.mp4", 0)])
    shutil.rmtree(tmp_path / "collection/hasher")
    write_hasher(tmp_path / "collection/hasher", seed=2)
    collection = Collection.open(tmp_path / "collection")
    path = clip("c.mp4", 2)
    fails("another hasher", lambda: collection.search(clip("b.mp4", 1)))
    fails("another hasher", lambda: collection.add([path]))


def test_hostile_names(collection, clip):
    path = clip('a\'; DROP TABLE videos; -- "%s" <b>.mp4', 0)
    for name in (b"\xff\xfe.mp4", b"line\nbreak.mp4"):
        os.link(path, os.path.join(os.fsencode(path.parent), name))
    report = collection.add(
        [path, *(path.parent / os.fsdecode(name) for name in (b"\xff\xfe.mp4", b"line\nbreak.mp4"))]
    )
    assert (report.new, [reason for _, reason in report.broken]) == (
        1,
        ["its name is not UTF-8, or has line breaks or other control characters"] * 2,
    )
    assert collection.videos()["path"].tolist() == [str(path)]
    assert collection.search(path)[0].path == str(path)
    assert collection.remove([path]) == 1


def fails(message, action):
    with pytest.raises(InputError) as raised:
        action()
    assert message in str(raised.value) and "\n" not in str(raised.value)

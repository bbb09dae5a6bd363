"""What the server answers, asked over a real socket."""

import errno
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
from pretend_collection import PretendCollection, id_of, matches_of, table_of
from running_server import Running, Serve, group, pair

from chain.page.server import Limits
from chain.page.uploads import PREFIX, remove_abandoned

HOSTILE = '<img src=x onerror="window.broken=1">.mp4'


def left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


@pytest.fixture
def served(serve: Serve, clip: Path) -> Running:
    table = table_of([clip, "/gone/a.mp4", f"/gone/{HOSTILE}", "/gone/b.avi"], [2.0, 8, 9, 100])
    collection = PretendCollection(clip.parent, table)
    collection.matches = matches_of(table, 4)
    return serve(collection)


def test_the_collection_is_described(served: Running) -> None:
    about = served.ask("/api/collection").json
    assert (about["name"], about["videos"], about["bits"]) == ("clips", 4, 64)
    assert about["seconds"] == 119


def test_videos_are_listed_a_page_at_a_time(served: Running) -> None:
    found = served.ask("/api/videos", words="GONE", offset=1, limit=1).json
    assert found["total"] == 3
    assert found["videos"] == [
        {"id": id_of(2), "name": "a.mp4", "folder": "/gone", "size": 1000, "duration": 8.0}
    ]


@pytest.mark.parametrize("wrong", ["-1", "x", "201", "1e2", "", "9" * 5000, "١"])
def test_a_limit_that_is_no_number_is_refused(served: Running, wrong: str) -> None:
    answer = served.ask("/api/videos", limit=wrong)
    assert answer.status == 400
    assert answer.json == {"error": "limit: expected a whole number up to 200"}


def test_a_video_of_the_collection_is_searched_with_without_finding_itself(served: Running) -> None:
    matches = served.ask(f"/api/videos/{id_of(2)}/nearest", k=2).json["matches"]
    assert [match["id"] for match in matches] == [id_of(1), id_of(3)]
    assert served.collection.queries == [id_of(2)]
    assert matches[1]["name"] == HOSTILE
    assert matches[1] | {"start": 2.25, "end": 4.5, "distance": 5.5, "chance": 0.01} == matches[1]


def test_an_upload_is_searched_with_and_deleted(served: Running, clip: Path) -> None:
    before = left_behind()
    content = clip.read_bytes()
    answer = served.ask("/api/nearest", "POST", content, name="mine.webm", k=3)
    assert (answer.status, len(answer.json["matches"])) == (200, 3)
    assert served.collection.uploads == [content]
    (query,) = served.collection.queries
    assert isinstance(query, Path)
    assert query.suffix == ".webm"
    assert not query.exists()
    assert left_behind() == before


@pytest.mark.parametrize(
    "name", ["../../evil.mp4", "/etc/passwd", "a" * 5000, "x.mp4/..", "\0.mp4"]
)
def test_the_name_of_an_upload_is_no_path(served: Running, clip: Path, name: str) -> None:
    assert served.ask("/api/nearest", "POST", clip.read_bytes(), name=name).status == 200
    (query,) = served.collection.queries
    assert isinstance(query, Path)
    assert query.parent.parent == Path(tempfile.gettempdir())
    assert query.name in ("video", "video.mp4")


def test_a_broken_upload_is_told_by_its_own_name_and_deleted(served: Running) -> None:
    before = left_behind()
    answer = served.ask("/api/nearest", "POST", b"no video at all" * 99, name="holiday.mp4")
    assert (answer.status, answer.json) == (400, {"error": "holiday.mp4: cannot be opened"})
    assert left_behind() == before


def test_an_empty_upload_is_refused(served: Running) -> None:
    answer = served.ask("/api/nearest", "POST", b"", name="a.mp4")
    assert (answer.status, answer.json) == (400, {"error": "the file is empty"})
    assert served.collection.queries == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_is_refused(serve: Serve, tmp_path: Path, chunked: bool) -> None:
    collection = PretendCollection(tmp_path, table_of([], []))
    served = serve(collection, limits=Limits(upload_bytes=3_000_000))
    before = left_behind()
    body = iter([b"x" * 1_000_000] * 4) if chunked else b"x" * 4_000_000
    answer = served.ask("/api/nearest", "POST", body, name="a.mp4")  # type: ignore[arg-type]
    assert (answer.status, answer.json) == (413, {"error": "the file is larger than 3 MB"})
    assert collection.queries == []
    assert left_behind() == before


def test_a_slow_upload_is_given_up(serve: Serve, tmp_path: Path) -> None:
    collection = PretendCollection(tmp_path, table_of([], []))
    served = serve(collection, limits=Limits(upload_seconds=0.2))
    before = left_behind()
    with unfinished_upload(served) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    assert left_behind() == before


def test_an_upload_that_breaks_off_is_deleted(served: Running) -> None:
    before = left_behind()
    with unfinished_upload(served):
        wait(lambda: left_behind() != before)
    wait(lambda: left_behind() == before)
    assert served.collection.queries == []


def unfinished_upload(served: Running) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=10)
    host = f"127.0.0.1:{served.port}"
    head = f"POST /api/nearest HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    connection.sendall(f"{head}Content-Length: 1000\r\n\r\nbegin".encode())
    return connection


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_searches_run_one_at_a_time(serve: Serve, tmp_path: Path) -> None:
    class Slow(PretendCollection):
        running = most = 0

        def search(self, query: Path | str, k: int) -> list:  # type: ignore[type-arg]
            Slow.running += 1
            Slow.most = max(Slow.most, Slow.running)
            time.sleep(0.1)
            Slow.running -= 1
            return []

    served = serve(Slow(tmp_path, table_of(["/a.mp4"], [1.0])))
    path = f"/api/videos/{id_of(1)}/nearest"
    threads = [threading.Thread(target=served.ask, args=(path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Slow.most == 1


def test_a_search_that_takes_too_long_is_told(serve: Serve, tmp_path: Path) -> None:
    class Stuck(PretendCollection):
        def search(self, query: Path | str, k: int) -> list:  # type: ignore[type-arg]
            time.sleep(1)
            return []

    served = serve(Stuck(tmp_path, table_of([], [])), limits=Limits(search_seconds=0.1))
    before = left_behind()
    answer = served.ask("/api/nearest", "POST", b"x", name="a.mp4")
    assert (answer.status, answer.json) == (408, {"error": "the search takes too long"})
    assert left_behind() == before


def test_a_full_disk_is_told_in_one_line(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/somewhere")

    monkeypatch.setattr("chain.page.uploads.receive", receive)
    before = left_behind()
    answer = served.ask("/api/nearest", "POST", b"x", name="a.mp4")
    assert (answer.status, answer.json) == (500, {"error": "No space left on device"})
    assert left_behind() == before


def test_what_a_killed_server_left_is_deleted() -> None:
    temporary = Path(tempfile.gettempdir())
    old, new, other = (temporary / name for name in (f"{PREFIX}a", f"{PREFIX}b", "other"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "video.mp4").write_bytes(b"x")
    for folder in (old, other):
        os.utime(folder, (0, 0))
    remove_abandoned()
    assert sorted(temporary.iterdir()) == sorted([new, other])


def test_files_are_served_by_ranges(served: Running, clip: Path) -> None:
    content = clip.read_bytes()
    whole = served.ask(f"/video/{id_of(1)}")
    assert (whole.status, whole.body) == (200, content)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/webm"
    part = served.ask(f"/video/{id_of(1)}", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    beyond = served.ask(f"/video/{id_of(1)}", headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status == 416


@pytest.mark.parametrize(
    "path",
    [
        "/video/",
        "/video/..",
        "/video/../../etc/passwd",
        "/video/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/video//etc/passwd",
        f"/video/{quote('/etc/passwd', safe='')}",
        f"/video/{id_of(99)}",
        f"/video/{id_of(1)}%00",
        "/strip/x'%20OR%20'1'='1",
        "/api/videos/..%2f",
        "/static/",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/server.py",
        "/.git/config",
    ],
)
def test_nothing_else_is_served(served: Running, path: str) -> None:
    answer = served.ask(path)
    assert answer.status == 404
    assert b"import" not in answer.body


def test_a_file_that_is_no_longer_the_one_that_was_added_is_not_served(
    served: Running, clip: Path
) -> None:
    assert served.ask(f"/video/{id_of(2)}").status == 404
    secret = clip.with_name("secret")
    secret.write_text("secret")
    clip.unlink()
    clip.symlink_to(secret)
    answer = served.ask(f"/video/{id_of(1)}")
    assert answer.status == 404
    assert "was moved, changed or deleted" in answer.json["error"]
    clip.unlink()
    clip.mkdir()
    assert served.ask(f"/video/{id_of(1)}").status == 404


def test_another_file_of_the_same_content_stands_in(serve: Serve, clip: Path) -> None:
    table = table_of(["/a.webm", clip], [2.0, 2.0]).assign(id="f", size=clip.stat().st_size)
    served = serve(PretendCollection(clip.parent, table))
    assert served.ask("/video/f").body == clip.read_bytes()


def test_what_is_no_video_by_its_name_is_never_a_page(serve: Serve, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>")
    served = serve(PretendCollection(tmp_path, table_of([page], [1.0])))
    answer = served.ask(f"/video/{id_of(1)}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_strips_are_kept_by_the_browser(served: Running) -> None:
    answer = served.ask(f"/strip/{id_of(1)}")
    assert answer.body == served.collection.strip(id_of(1))
    assert answer.headers["content-type"] == "image/jpeg"
    assert "max-age" in answer.headers["cache-control"]
    assert served.ask("/api/collection").headers["cache-control"] == "no-store"


def test_groups_have_their_files_and_verdicts(served: Running) -> None:
    a, b, c = id_of(1), id_of(2), id_of(3)
    served.groups[:] = [group([a, b, c], pair(a, b, 0.001), pair(c, b, turn="mirrored"))]
    served.collection.judge(b, c, "not a copy")
    (one,) = served.ask("/api/copies", false_alarms="0.5", mirrored="true").json["groups"]
    assert served.asked == [{"false_alarms": 0.5, "mirrored": True, "rotated": False}]
    assert [[file["id"] for file in files] for files in one["videos"]] == [[a], [b], [c]]
    times = {"start_a": 0.5, "end_a": 1.5, "start_b": 0.0, "end_b": 1.0}
    assert one["pairs"] == [
        {"a": a, "b": b, **times, "chance": 0.001, "turn": "", "verdict": None},
        {"a": c, "b": b, **times, "chance": 0.01, "turn": "mirrored", "verdict": "not a copy"},
    ]


def test_what_came_or_went_meanwhile_is_left_out_of_groups(served: Running) -> None:
    a, b, new = id_of(1), id_of(2), id_of(77)
    served.groups[:] = [group([a, b, new], pair(a, new), pair(a, b)), group([new])]
    (one,) = served.ask("/api/copies").json["groups"]
    assert [[file["id"] for file in files] for files in one["videos"]] == [[a], [b]]
    assert [(pair["a"], pair["b"]) for pair in one["pairs"]] == [(a, b)]


def test_copies_are_found_again_only_if_something_else_is_asked(served: Running) -> None:
    for rate in ("0.5", "0.5", "1", "0.5"):
        served.ask("/api/copies", false_alarms=rate)
    assert [asked["false_alarms"] for asked in served.asked] == [0.5, 1, 0.5]
    served.collection.table = served.collection.table.head(2)
    wait(lambda: served.ask("/api/collection").json["videos"] == 2)
    served.ask("/api/copies", false_alarms="0.5")
    assert len(served.asked) == 4


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "x", "", "1e9"])
def test_a_rate_that_makes_no_sense_is_refused(served: Running, wrong: str) -> None:
    answer = served.ask("/api/copies", false_alarms=wrong)
    assert answer.status == 400
    assert answer.json["error"].startswith("false_alarms: expected a number")


def test_a_judgement_is_remembered(served: Running) -> None:
    pair = {"a": id_of(2), "b": id_of(1)}
    assert served.ask("/api/judgements", "POST", verdict="copy", **pair).status == 200
    assert served.collection.verdicts == {(id_of(2), id_of(1)): "copy"} or (
        served.collection.verdicts == {(id_of(1), id_of(2)): "copy"}
    )


@pytest.mark.parametrize(
    ("a", "b", "verdict", "status"),
    [
        (id_of(1), id_of(2), "perhaps", 400),
        (id_of(1), id_of(1), "copy", 400),
        (id_of(1), id_of(99), "copy", 404),
        (id_of(1), "x' OR '1'='1", "copy", 404),
        ("", "", "", 400),
    ],
)
def test_a_wrong_judgement_is_refused(
    served: Running, a: str, b: str, verdict: str, status: int
) -> None:
    answer = served.ask("/api/judgements", "POST", a=a, b=b, verdict=verdict)
    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert served.collection.verdicts == {}


def test_an_empty_collection_is_served(serve: Serve, tmp_path: Path) -> None:
    empty = pd.DataFrame({"path": [], "id": [], "size": [], "duration": []})
    served = serve(PretendCollection(tmp_path, empty))
    assert served.ask("/api/videos").json == {"total": 0, "videos": []}
    assert served.ask("/api/copies").json == {"groups": []}


def test_numbers_that_json_lacks_are_left_out(serve: Serve, tmp_path: Path) -> None:
    table = table_of(["/a.mp4", "/b.mp4"], [1.0, 1.0])
    (match,) = matches_of(table, 1)
    collection = PretendCollection(tmp_path, table)
    collection.matches = [type(match)(**vars(match) | {"chance": float("nan")})]
    (found,) = serve(collection).ask(f"/api/videos/{id_of(2)}/nearest").json["matches"]
    assert found["chance"] is None

"""Downloads, from a host on this machine that can break off, stall, and refuse to go on."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parameter_files import EXPERIMENT, write_project
from test_archives import make_rar, make_zip, tree

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.manifest import read_manifest
from chain.downloads import fetch as download
from chain.downloads.fetch import DownloadConfig, fetch, in_order, obtain
from stages.prepare import prepare

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = 150_000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Host:
    """An HTTP host of `files` by path, and what it was asked for: (path, Range)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/a.bin": CONTENT}
        self.ranges = True
        self.dates = "Mon, 01 Jan 2024 00:00:00 GMT"
        self.breaks_after: int | None = None
        self.released = threading.Event()  # until then, a broken transfer hangs
        self.asked: list[tuple[str, str | None]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.asked.append((request.path, asked))
        if request.path not in self.files:
            return request.send_error(404)
        content, start = self.files[request.path], 0
        total = len(content)
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                return request.send_error(416)
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(total - start))
        request.send_header("Last-Modified", self.dates)
        request.end_headers()
        request.wfile.write(content[start : self.breaks_after])
        if self.breaks_after:
            request.wfile.flush()
            self.released.wait(20)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    thread = threading.Thread(target=host.server.serve_forever, args=(0.01,))
    thread.start()
    yield host
    host.released.set()
    host.server.shutdown()
    thread.join()
    host.server.server_close()


def break_off(host: Host, path: Path) -> None:
    """A transfer of /a.bin that ends halfway."""
    host.breaks_after = HALF
    host.released.set()
    with pytest.raises(InputError, match="broke off after 150,000 of 300,000 bytes") as caught:
        fetch(f"{host.url}/a.bin", None, path)
    assert str(caught.value).startswith(f"{host.url}/a.bin: ") and "\n" not in str(caught.value)
    assert [len(content) for content in tree(path.parent).values()] == [HALF]
    host.breaks_after = None
    host.asked.clear()


def no_network(*_: object, **__: object) -> None:
    raise AssertionError("the network was used")


# --------------------------------------------------------------------------------------------------
# One file
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_fetch(tmp_path: Path, host: Host, known: bool, caplog: pytest.LogCaptureFixture) -> None:
    path, url = tmp_path / "new" / "b.bin", f"{host.url}/a.bin"
    with caplog.at_level(logging.INFO):
        found = fetch(url, sha256(CONTENT) if known else None, path)
    assert found == sha256(CONTENT)
    assert tree(tmp_path) == {"new/b.bin": CONTENT}
    line = f"{url}: nothing to check it by; put its sha256 in the profile: {found}"
    assert [record.getMessage() for record in caplog.records] == ([] if known else [line])


@pytest.mark.parametrize("size", [0, 1])
def test_tiny_file(tmp_path: Path, host: Host, size: int) -> None:
    host.files["/a.bin"] = CONTENT[:size]
    assert fetch(f"{host.url}/a.bin", None, tmp_path / "a") == sha256(CONTENT[:size])
    assert tree(tmp_path) == {"a": CONTENT[:size]}


def test_goes_on_where_it_broke_off(tmp_path: Path, host: Host) -> None:
    break_off(host, tmp_path / "a.bin")
    assert fetch(f"{host.url}/a.bin", sha256(CONTENT), tmp_path / "a.bin") == sha256(CONTENT)
    assert tree(tmp_path) == {"a.bin": CONTENT}
    assert host.asked == [("/a.bin", f"bytes={HALF - 1}-")]


def test_starts_again_where_the_host_has_no_ranges(tmp_path: Path, host: Host) -> None:
    host.ranges = False
    break_off(host, tmp_path / "a.bin")
    fetch(f"{host.url}/a.bin", None, tmp_path / "a.bin")
    assert tree(tmp_path) == {"a.bin": CONTENT}
    assert host.asked[-1] == ("/a.bin", None)


@pytest.mark.parametrize("change", ["date", "size", "shorter", "address"])
def test_starts_again_when_the_file_has_changed(tmp_path: Path, host: Host, change: str) -> None:
    break_off(host, tmp_path / "a.bin")
    new = CONTENT[::-1] + b"more" * (change == "size")
    new = new[:1000] if change == "shorter" else new
    path = "/b.bin" if change == "address" else "/a.bin"
    host.files[path] = new
    if change == "date":
        host.dates = "Tue, 02 Jan 2024 00:00:00 GMT"
    assert fetch(f"{host.url}{path}", None, tmp_path / "a.bin") == sha256(new)
    assert tree(tmp_path) == {"a.bin": new}
    assert host.asked == [(path, f"bytes={HALF - 1}-"), (path, None)]


def test_complete_part_is_not_fetched_again(tmp_path: Path, host: Host) -> None:
    """As left by a run that was killed before the file took its place."""
    download._receive(f"{host.url}/a.bin", tmp_path / "a.bin")
    assert [*tree(tmp_path)] != ["a.bin"]
    fetch(f"{host.url}/a.bin", sha256(CONTENT), tmp_path / "a.bin")
    assert tree(tmp_path) == {"a.bin": CONTENT}
    assert host.asked[1:] == [("/a.bin", f"bytes={len(CONTENT) - 1}-")]


def test_killed_halfway(tmp_path: Path, host: Host) -> None:
    host.breaks_after = HALF
    code = "import sys; from chain.downloads.fetch import *; fetch(sys.argv[1], None, Path('a'))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"{host.url}/a.bin"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None and not any(tree(tmp_path).values()):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    host.breaks_after = None
    (left,) = tree(tmp_path).values()
    assert 0 < len(left) <= HALF
    assert fetch(f"{host.url}/a.bin", sha256(CONTENT), tmp_path / "a") == sha256(CONTENT)
    assert tree(tmp_path) == {"a": CONTENT}
    assert host.asked[1:] == [("/a.bin", f"bytes={len(left) - 1}-")]


@pytest.mark.parametrize("resumed", [True, False])
def test_other_hash_leaves_nothing(tmp_path: Path, host: Host, resumed: bool) -> None:
    if resumed:
        break_off(host, tmp_path / "a.bin")
    with pytest.raises(InputError) as caught:
        fetch(f"{host.url}/a.bin", "0" * 64, tmp_path / "a.bin")
    assert str(caught.value) == (
        f"{host.url}/a.bin: its sha256 is {sha256(CONTENT)}, expected {'0' * 64}"
    )
    assert tree(tmp_path) == {}


def test_file_that_is_there(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path, url = tmp_path / "a.bin", f"{host.url}/a.bin"
    path.write_bytes(b"other")
    fetch(url, sha256(CONTENT), path)
    assert path.read_bytes() == CONTENT
    monkeypatch.setattr(download, "urlopen", no_network)
    assert fetch(url, sha256(CONTENT), path) == fetch(url, None, path) == sha256(CONTENT)


def test_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(CONTENT)
    url = (tmp_path / "from").as_uri()
    assert fetch(url, sha256(CONTENT), tmp_path / "to") == sha256(CONTENT)
    assert tree(tmp_path) == {"from": CONTENT, "to": CONTENT}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("HOST/b.bin", "HTTP Error 404: Not Found"),
        ("http://127.0.0.1:9/a.bin", "Connection refused"),
        ("file:///no/such/file", "No such file"),
        ("ftq://a/b", "unknown url type"),
        ("http://[1/b", "Invalid IPv6"),
    ],
)
def test_can_not_be_fetched(tmp_path: Path, host: Host, url: str, reason: str) -> None:
    url = url.replace("HOST", host.url)
    with pytest.raises(InputError, match=f"can't be downloaded: .*{reason}") as caught:
        fetch(url, None, tmp_path / "a.bin")
    assert str(caught.value).startswith(f"{url}: ") and "\n" not in str(caught.value)
    assert tree(tmp_path) == {}


def test_failure_keeps_the_part(tmp_path: Path, host: Host) -> None:
    break_off(host, tmp_path / "a.bin")
    content = host.files.pop("/a.bin")
    with pytest.raises(InputError, match="404"):
        fetch(f"{host.url}/a.bin", None, tmp_path / "a.bin")
    host.files["/a.bin"] = content
    fetch(f"{host.url}/a.bin", None, tmp_path / "a.bin")
    assert host.asked[-1] == ("/a.bin", f"bytes={HALF - 1}-")


# --------------------------------------------------------------------------------------------------
# The files of a data set
# --------------------------------------------------------------------------------------------------

ZIP = make_zip({"UCF-101/YoYo/1.avi": b"1", "UCF-101/YoYo/2.avi": b"2"})
CLIPS = {"YoYo/1.avi": b"1", "YoYo/2.avi": b"2"}


def config(url: str, folder: str = "UCF-101", sha256: str | None = None) -> DownloadConfig:
    return parse(DownloadConfig, {"url": url, "folder": folder, "sha256": sha256}, "x")


def shown(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(root).items() if not name.startswith(".")}


def test_archive_becomes_a_folder_once(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files["/get/UCF%20101.zip"] = ZIP
    wanted = config(f"{host.url}/get/UCF%20101.zip?mirror=2#x")
    host.files["/get/UCF%20101.zip?mirror=2"] = ZIP
    record = obtain(wanted, tmp_path)
    assert record == {"url": wanted.url, "sha256": sha256(ZIP), "bytes": len(ZIP)}
    assert {f"UCF-101/{name}": data for name, data in CLIPS.items()} == shown(tmp_path)
    assert len(os.listdir(tmp_path)) == 2  # and the note

    monkeypatch.setattr(download, "urlopen", no_network)
    assert obtain(wanted, tmp_path) == record
    assert obtain(config(wanted.url, sha256=sha256(ZIP)), tmp_path) == record


def test_archive_may_become_the_root(tmp_path: Path, host: Host) -> None:
    host.files["/a.zip"] = ZIP
    assert obtain(config(f"{host.url}/a.zip", "."), tmp_path / "root") is not None
    assert tree(tmp_path / "root") == CLIPS


def test_plain_files_go_into_their_folder(tmp_path: Path, host: Host) -> None:
    host.files |= {"/train.csv": b"t", "/val.csv": b"v"}
    for name, folder in (("train", "."), ("val", "lists/new")):
        obtain(config(f"{host.url}/{name}.csv", folder), tmp_path)
        assert obtain(config(f"{host.url}/{name}.csv", folder), tmp_path) is not None
    assert (tmp_path / "train.csv").read_bytes() == b"t"
    assert (tmp_path / "lists" / "new" / "val.csv").read_bytes() == b"v"
    assert len(host.asked) == 2


def test_what_somebody_put_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(download, "urlopen", no_network)
    for name in ("UCF-101/own.avi", "train.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"own")
    with caplog.at_level(logging.INFO):
        assert obtain(config("http://x/UCF101.zip"), tmp_path) is None
        assert obtain(config("http://x/train.csv", "."), tmp_path) is None
    assert tree(tmp_path) == {"UCF-101/own.avi": b"own", "train.csv": b"own"}
    assert caplog.messages == [
        f"{tmp_path / name}: already there, so not downloaded" for name in ("UCF-101", "train.csv")
    ]


def test_changed_parameters_fetch_anew(tmp_path: Path, host: Host) -> None:
    new = make_zip({"new.avi": b"new"})
    host.files |= {"/1.zip": ZIP, "/2.zip": new}
    (tmp_path / "UCF-101").mkdir()
    obtain(config(f"{host.url}/1.zip"), tmp_path)
    with pytest.raises(InputError, match="expected 00"):
        obtain(config(f"{host.url}/1.zip", sha256="0" * 64), tmp_path)
    assert tree(tmp_path / "UCF-101") == CLIPS
    obtain(config(f"{host.url}/2.zip", sha256=sha256(new)), tmp_path)
    assert tree(tmp_path / "UCF-101") == {"new.avi": b"new"}
    host.files["/2.zip"] = ZIP
    obtain(config(f"{host.url}/2.zip", sha256=sha256(ZIP)), tmp_path)
    assert tree(tmp_path / "UCF-101") == CLIPS
    assert len(os.listdir(tmp_path)) == 2


def test_a_folder_with_files_of_somebody_is_not_replaced(tmp_path: Path, host: Host) -> None:
    host.files |= {"/1.zip": ZIP, "/2.zip": make_zip({"new.avi": b"new"})}
    obtain(config(f"{host.url}/1.zip"), tmp_path)
    (tmp_path / "UCF-101/own.avi").write_bytes(b"own")
    with pytest.raises(InputError, match=r"UCF-101: holds files that were not in .*1\.zip"):
        obtain(config(f"{host.url}/2.zip"), tmp_path)
    assert tree(tmp_path / "UCF-101") == CLIPS | {"own.avi": b"own"}
    assert obtain(config(f"{host.url}/1.zip"), tmp_path) is not None


@pytest.mark.parametrize("folder", ["x", "./x/", "x/y", "."])
def test_archives_do_not_become_one_another(folder: str) -> None:
    configs = [config("http://host/a.zip", "x"), config("http://host/b.zip", folder)]
    for pair in (configs, configs[::-1]):
        with pytest.raises(InputError, match="give each a folder of its own"):
            in_order(pair)


def test_files_go_into_the_folders_of_archives_after_them() -> None:
    names = [("1.csv", "."), ("a.zip", "x"), ("2.csv", "x"), ("b.zip", "y")]
    configs = [config(f"http://host/{name}", folder) for name, folder in names]
    assert in_order(configs) == [configs[1], configs[3], configs[0], configs[2]]


@pytest.mark.parametrize("moment", ["unpack", "write_json"])
def test_killed_after_the_transfer(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    host.files["/a.zip"] = ZIP
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(download, moment, killed)
        obtain(config(f"{host.url}/a.zip"), tmp_path)
    assert shown(tmp_path) == {}
    obtain(config(f"{host.url}/a.zip"), tmp_path)
    assert {f"UCF-101/{name}": data for name, data in CLIPS.items()} == shown(tmp_path)
    assert len(host.asked) == 1 and len(os.listdir(tmp_path)) == 2


def test_damaged_archive(tmp_path: Path, host: Host) -> None:
    host.files["/a.zip"] = ZIP[:-9]
    with pytest.raises(InputError, match=r"a\.zip: can't be unpacked, perhaps damaged") as caught:
        obtain(config(f"{host.url}/a.zip"), tmp_path)
    (left,) = tmp_path.iterdir()
    assert str(caught.value).endswith(f" (to fetch it again, delete {left})")
    left.unlink()
    host.files["/a.zip"] = ZIP
    obtain(config(f"{host.url}/a.zip"), tmp_path)
    assert tree(tmp_path / "UCF-101") == CLIPS


def test_tool_is_missed_before_the_transfer(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    host.files["/UCF101.rar"] = make_rar({"a": b"a"})
    with pytest.raises(InputError, match=r"^UCF101\.rar: to unpack RAR, one of unar, 7z"):
        obtain(config(f"{host.url}/UCF101.rar"), tmp_path)
    assert not host.asked and tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "ftp://x/a.zip"}, "url: expected the https://"),
        ({"url": "a.zip"}, "url: expected the https://"),
        ({"url": "https://x/"}, "url: expected the https://"),
        ({"folder": "../a"}, "folder: expected a folder below the root"),
        ({"folder": "/a"}, "folder: expected a folder below the root"),
        ({"sha256": "abc"}, "sha256: "),
        ({"sha256": "A" * 64}, "sha256: "),
        ({"md5": "x"}, "md5: unknown parameter"),
    ],
)
def test_bad_parameters(change: dict[str, str], message: str) -> None:
    good = {"url": "https://x/a.zip", "sha256": None, "folder": "a"}
    with pytest.raises(InputError, match=rf"^params/x\.yaml: source\.files\.a\.{message}"):
        parse(DownloadConfig, good | change, "source.files.a", "params/x.yaml")


# --------------------------------------------------------------------------------------------------
# The stage
# --------------------------------------------------------------------------------------------------


def stage(source: dict[str, Any]) -> Any:
    """The record of what `prepare` fetched, run in the current folder."""
    source = {"kind": "folder", "root": "x"} | source
    write_project({"runtime": EXPERIMENT["runtime"]}, {"x": {"source": source, "roles": {}}})
    prepare("x")
    return json.loads(Path("artifacts/clips/x/downloads.json").read_text())


def test_prepare_fetches_what_it_indexes(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAIN_DATA", raising=False)
    clips = [f"{category}/{n}.avi" for category in ("golf", "wave") for n in range(4)]
    archive = make_zip({clip: clip.encode() for clip in clips})
    split = [f"{clip},{('train', 'train', 'database', 'query')[int(clip[-5])]}" for clip in clips]
    lists_file = "\n".join(["path,split", *split]).encode()
    host.files |= {"/a.zip": archive, "/split.csv": lists_file}
    videos = {"url": f"{host.url}/a.zip", "sha256": None, "folder": "."}
    lists = {"url": f"{host.url}/split.csv", "sha256": sha256(lists_file), "folder": "lists"}
    source = {"split_file": "lists/split.csv", "files": {"videos": videos, "lists": lists}}
    with pytest.raises(InputError, match="data/x"):
        stage(source | {"download": False})
    assert not host.asked and not Path("data").exists()

    on = source | {"download": True}
    record = stage(on)
    assert record == [
        {"url": videos["url"], "sha256": sha256(archive), "bytes": len(archive)},
        {"url": lists["url"], "sha256": sha256(lists_file), "bytes": len(lists_file)},
    ]
    manifest = read_manifest(Path("artifacts/clips/x/manifest.csv"))
    assert manifest["path"].tolist() == clips
    assert manifest["split"].tolist() == ["train", "train", "database", "query"] * 2
    before = Path("artifacts/clips/x/manifest.csv").read_bytes()
    monkeypatch.setattr(download, "urlopen", no_network)
    assert stage(on) == record
    assert Path("artifacts/clips/x/manifest.csv").read_bytes() == before
    assert stage(source | {"download": False}) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "files: no address"), ({"videos": {"url": "x"}}, "files.videos.url: ")],
)
def test_prepare_names_the_entry_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"^params/x\.yaml: source\.{message}"):
        stage({"download": True, "files": files})

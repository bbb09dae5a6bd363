"""The page of a real collection, started by the command."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_server import Running, write_video
from tiny_hasher import texture, write_hasher
from typer.testing import CliRunner

from chain.cli import app
from chain.collection import Collection, Segmenting

ROOT = Path(__file__).parents[2]
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of three clips of 1.2 seconds."""
    root = tmp_path_factory.mktemp("real")
    collection = Collection.create(
        root / "collection", write_hasher(root / "hasher"), Segmenting(1.2, 0.6)
    )
    for seed in range(3):
        write_video(root / "clips" / f"{seed}.mp4", texture(seed), "mpeg4")
    collection.add([root / "clips"])
    return root


@contextmanager
def started(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Running]]:
    """The command, and what it serves."""
    serve = [sys.executable, "-m", "chain", "serve"]
    with subprocess.Popen(
        [*serve, "-c", folder / "collection", "--port", "0"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline().strip()
            assert line.startswith("open http://127.0.0.1:")
            yield process, Running(int(line.rstrip("/").rpartition(":")[2]))
        finally:
            process.kill()


def test_a_copy_of_a_clip_finds_that_clip_and_ctrl_c_ends_the_server(folder: Path) -> None:
    with started(folder) as (process, page):
        clip = folder / "clips" / "1.mp4"
        matches = page.ask("/api/nearest", "POST", clip.read_bytes(), name="x.mp4").json["matches"]
        assert (matches[0]["name"], matches[0]["distance"], len(matches)) == ("1.mp4", 0, 3)
        id = matches[0]["id"]
        others = page.ask(f"/api/videos/{id}/nearest").json["matches"]
        assert [match["id"] for match in others] == [match["id"] for match in matches[1:]]
        assert page.ask(f"/video/{id}").body == clip.read_bytes()
        assert page.ask(f"/strip/{id}").body.startswith(b"\xff\xd8\xff")
        verdict = {"a": id, "b": matches[1]["id"], "verdict": "copy"}
        assert page.ask("/api/judgements", "POST", **verdict).status == 200
        assert len(Collection.open(folder / "collection").judgements()) == 1
        assert "groups" in page.ask("/api/copies").json
        broken = page.ask("/api/nearest", "POST", PLAYLIST, name="a.m3u8")
        assert (broken.status, list(broken.json)) == (400, ["error"])
        assert broken.json["error"].startswith("a.m3u8: cannot be opened: it is an HLS playlist")

        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr
        assert process.stderr.read() == "stopped; what was written stays\n"


@pytest.mark.parametrize("missing", [False, True])
def test_what_keeps_it_from_starting_is_one_line(folder: Path, missing: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        name = folder / ("none" if missing else "collection")
        ended = CliRunner().invoke(app, ["serve", "-c", str(name), "--port", str(port)])
    line = f"error: {name}" if missing else f"error: 127.0.0.1:{port}: can't listen there: the port"
    assert ended.exit_code == 1
    assert ended.output.startswith(line)
    assert ended.output.count("\n") == 1

"""Servers and clips for the tests of the page."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running_server import Serve, moving_square, running, write_video


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads of this test alone lie there."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(collection, groups, host, token, limits)` runs a server until the test ends."""
    with ExitStack() as stack:
        yield lambda *given, **options: stack.enter_context(running(*given, **options))


@pytest.fixture(scope="session")
def encoded_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in VP8, which every browser plays."""
    path = tmp_path_factory.mktemp("encoded") / "square.webm"
    return write_video(path, moving_square(), "libvpx")


@pytest.fixture
def clip(encoded_clip: Path, tmp_path: Path) -> Path:
    """A copy of that clip, which a test may change."""
    (tmp_path / "clips").mkdir()
    return Path(shutil.copy(encoded_clip, tmp_path / "clips"))

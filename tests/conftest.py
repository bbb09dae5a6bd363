"""Fixtures that several test folders share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

WriteClip = Callable[..., Path]
SHARE_A_PIPELINE = ("tests/stages/test_dependencies.py", "tests/stages/test_repro.py")

torch.set_num_threads(1)  # for tensors this small, several threads only wait for each other


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no process waits for another at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/stages/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`pytest -n` keeps a file's tests in one process, and those that share the small pipeline."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "pipeline" if file in SHARE_A_PIPELINE else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


def _write_clip(path: Path, frames: NDArray[np.uint8], codec: str = "mpeg4", fps: int = 10) -> Path:
    """Encode frames (T, H, W, 3) as a clip in the container that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def write_clip() -> WriteClip:
    """`write_clip(path, frames, codec="mpeg4", fps=10)` makes a small real clip."""
    return _write_clip


@pytest.fixture
def grey_clip() -> WriteClip:
    """`grey_clip(path, levels, **options)` makes a clip whose t-th frame is all of grey level t."""

    def write(path: Path, levels: list[int], **options: object) -> Path:
        frames = np.empty((len(levels), 32, 48, 3), np.uint8)
        frames[:] = np.array(levels, np.uint8)[:, None, None, None]
        return _write_clip(path, frames, **options)

    return write

"""Fixtures that several test folders share."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

WriteClip = Callable[..., Path]

torch.set_num_threads(1)  # for tensors this small, several threads only wait for each other


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process of `pytest -n`, and all that share the small pipeline."""
    for item in items:
        shared = "project" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("project" if shared else item.path.name))


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

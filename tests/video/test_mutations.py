"""Clips with random bytes changed: each gives frames or one reason, and soon."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chain.video import seek
from chain.video.container import VideoError
from chain.video.decode import read_clip

CODECS = {
    "mp4": "libx264",
    "mkv": "libx265",
    "ts": "libx264",
    "avi": "mpeg4",
    "mpg": "mpeg2video",
    "webm": "libvpx",
    "wmv": "wmv2",
}
MUTATIONS = 12


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to a dozen places, most of them near the start, are overwritten, removed or repeated."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 13)):
        place = int(rng.integers(min(len(data), rng.choice([100, 1000, 10**9]))))
        length = int(rng.integers(1, 50))
        match rng.integers(4):
            case 0:
                data[place] = rng.integers(256)
            case 1:
                data[place : place + length] = rng.bytes(length)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length]
    return bytes(data)


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("in_part", [False, True])
def test_mutated_clips(
    tmp_path: Path,
    write_clip: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    in_part: bool,
) -> None:
    rng = np.random.default_rng(len(suffix) + in_part)
    tile = rng.integers(0, 255, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(tile, 3 * index, 1) for index in range(30)])
    path = write_clip(tmp_path / f"clip.{suffix}", frames, codec=CODECS[suffix], fps=25)
    content = path.read_bytes()
    assert read_clip(path, 4, 32).decoded == 30
    if in_part:
        monkeypatch.setattr(seek, "SHORT", 0)
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(content, rng))
        started = time.monotonic()
        try:
            clip = read_clip(path, 4, 32)
        except VideoError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert clip.images.shape == (4, 32, 32, 3) and clip.decoded > 0
            assert np.isfinite([*clip.times, clip.duration]).all()
        assert time.monotonic() - started < 10

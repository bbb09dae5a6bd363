"""Files with holes and files that break off are told from sound ones, in each kind of container."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from chain.video import whole
from chain.video.container import VideoError
from chain.video.decode import read_clip
from chain.video.whole import is_whole

FRAMES = 24
KINDS = {
    "mp4": "mpeg4",
    "mov": "mjpeg",
    "mkv": "libx264",
    "webm": "libvpx-vp9",
    "ts": "mpeg2video",
    "mpg": "mpeg1video",
    "avi": "mjpeg",
    "wmv": "wmv2",
    "flv": "flv",
    "3gp": "h263",
    "ogv": "libvpx",
}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
OPTIONS = [
    *((suffix, {}) for suffix in KINDS),
    ("mp4", {"movflags": "faststart"}),  # its table of frames comes first
    ("mov", FRAGMENTS),
    ("mkv", {"live": "1"}),  # of open size
    ("mkv", {"cluster_size_limit": "2000"}),
]


def pictures() -> NDArray[np.uint8]:
    """Noise (FRAMES, 144, 176, 3), so that there are many bytes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (FRAMES, 18, 22, 3), np.uint8).repeat(8, 1).repeat(8, 2)


def write(path: Path, options: dict[str, str]) -> bytes:
    codec = KINDS[path.suffix[1:]]
    with av.open(str(path), "w", container_options=options) as file:
        fast = {"deadline": "realtime", "cpu-used": "8"} if "libvpx" in codec else {}
        stream = file.add_stream(codec, rate=25, options=fast)
        stream.height, stream.width = 144, 176
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in pictures():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path.read_bytes()


def damaged(content: bytes) -> Iterator[bytes]:
    """Two files that break off, and three with holes: bytes of 0, noise, nothing."""
    size = len(content)
    yield content[: size // 3 + 1]
    yield content[: size * 9 // 10 + 1]
    start, stop = size // 2, size * 6 // 10
    for hole in (bytes(stop - start), np.random.default_rng(0).bytes(stop - start), b""):
        yield content[:start] + hole + content[stop:]


@pytest.mark.parametrize(("suffix", "options"), OPTIONS, ids=str)
def test_sound_and_damaged_files(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = tmp_path / f"clip.{suffix}"
    content = write(path, options)
    clip = read_clip(path, 4, 32)
    assert clip.decoded == FRAMES and not clip.damaged
    for bad in damaged(content):
        path.write_bytes(bad)
        try:
            clip = read_clip(path, 4, 32)
        except VideoError:  # the table of an MP4 was lost
            assert suffix in ("mp4", "mov", "3gp")
        else:
            assert clip.damaged and 0 < clip.decoded <= FRAMES


def test_ends_that_need_not_be_there(tmp_path: Path) -> None:
    path = tmp_path / "clip.flv"
    content = write(path, {})
    for left_out, whole_file in ((0, True), (1, False), (4, True), (5, False)):
        path.write_bytes(content[: len(content) - left_out])
        assert is_whole(path, "flv", time.monotonic() + 5) == whole_file
    path = tmp_path / "clip.avi"
    content = write(path, {})
    for more, whole_file in ((b"JUNK\x01\0\0\0x", True), (b"JUNK\x03\0\0\0x", False)):
        path.write_bytes(content + more)
        assert is_whole(path, "avi", time.monotonic() + 5) == whole_file


def test_av1_whose_decoder_says_nothing(tmp_path: Path, write_clip: Callable[..., Path]) -> None:
    path = write_clip(tmp_path / "clip.mp4", pictures()[:, :64, :96], codec="libsvtav1")
    assert not read_clip(path, 4, 32).damaged
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle * 11 // 10] = bytes(middle * 11 // 10 - middle)
    path.write_bytes(content)
    clip = read_clip(path, 4, 32)
    assert clip.damaged and clip.decoded < FRAMES


@pytest.mark.parametrize("container", whole.WALKS)
def test_any_bytes_are_walked_to_an_end(tmp_path: Path, container: str) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "clip"
    contents = [b"", b"\0", b"\xff" * 40, b"\x1a\x45\xdf\xa3\x80", b"\xec\x80" * 30, b"moof" * 9]
    contents += [rng.bytes(size) for size in range(60)]
    for content in contents:
        path.write_bytes(content)
        assert is_whole(path, container, time.monotonic() + 5) in (True, False)


def test_a_walk_ends_at_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(b"\xec\x80" * 1000)  # empty elements
    assert is_whole(path, "matroska,webm", time.monotonic() + 5)
    with pytest.raises(VideoError, match="longer"):
        is_whole(path, "matroska,webm", time.monotonic() - 1)
    assert is_whole(path, "gif", time.monotonic() - 1)  # has no walk

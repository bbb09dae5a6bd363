import struct
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from chain.video import seek
from chain.video.decode import read_clip
from chain.video.square import to_square

MATRICES = [
    (sign * a, other * b, other * c, sign * d)
    for a, b, c, d in [(1, 0, 0, 1), (0, 1, 1, 0), (-1, 0, 0, 1), (0, -1, 1, 0)]
    for sign, other in [(1, 1), (-1, -1)]
]
"""The eight ways to turn and mirror a picture, as (a, b, c, d) of `display_matrix`."""


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Soft blobs, alike in no two quarters, whose pixels each have a soft neighbourhood."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + y / 17), np.cos(x / 23 - y / 7), np.sin(x / 31) + y / height - 0.5]
    return np.stack([127 + 80 * wave for wave in waves], axis=2).clip(0, 255).astype(np.uint8)


def flag(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into the header of an MP4's only track."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    a, b, c, d = (one << 16 for one in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def shown(image: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Independent twin: every pixel is moved to where the matrix takes it."""
    a, b, c, d = matrix
    places = {
        (a * x + c * y, b * x + d * y): image[y, x]
        for y in range(image.shape[0])
        for x in range(image.shape[1])
    }
    left, top = min(x for x, _ in places), min(y for _, y in places)
    width, height = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    upright = np.empty((height - top, width - left, 3), np.uint8)
    for (x, y), pixel in places.items():
        upright[y - top, x - left] = pixel
    return upright


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_a_turned_clip_is_its_upright_transcode(
    tmp_path: Path, write_clip: Callable[..., Path], matrix: tuple[int, int, int, int]
) -> None:
    image = picture(64, 90)
    image[:] = image[:, :, :1]  # without colours, whose coarser grid would be shifted
    frames, upright = np.stack([image] * 3), np.stack([shown(image, matrix)] * 3)
    turned = flag(write_clip(tmp_path / "turned.mp4", frames, codec="libx264"), matrix)
    transcode = write_clip(tmp_path / "upright.mp4", upright, codec="libx264")
    for size in (32, 64):
        expected = read_clip(transcode, 2, size).images
        assert apart(read_clip(turned, 2, size).images, expected) < 0.5
        if matrix != (1, 0, 0, 1):
            flat = read_clip(flag(turned, (1, 0, 0, 1)), 2, size).images
            flag(turned, matrix)
            assert apart(flat, expected) > 8


def write_aspect(path: Path, image: NDArray[np.uint8], aspect: Fraction) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"crf": "5"})
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(4, 3)], ids=str)
def test_pixels_that_are_not_square(tmp_path: Path, suffix: str, aspect: Fraction) -> None:
    """The same picture, stored with fewer pixels across and with all of them."""
    whole = picture(96, 192)
    down, across = aspect.denominator, aspect.numerator
    path = write_aspect(tmp_path / f"clip.{suffix}", whole[::down, ::across], aspect)
    if aspect == Fraction(4, 3):
        frame = av.VideoFrame.from_ndarray(whole, format="rgb24")
        stored = frame.reformat(width=144, height=96, interpolation="BICUBIC")
        path = write_aspect(path, stored.to_ndarray(format="rgb24"), aspect)
    plain = write_aspect(tmp_path / "plain.mp4", whole, Fraction(1))
    expected = read_clip(plain, 2, 48).images
    assert apart(read_clip(path, 2, 48).images, expected) < 6
    squeezed = write_aspect(tmp_path / "squeezed.mp4", whole[::down, ::across], Fraction(1))
    assert apart(read_clip(squeezed, 2, 48).images, expected) > 12


def moment(time: float) -> NDArray[np.uint8]:
    """A soft pattern of 128 x 160 pixels that moves to the right, half a period in 0.08 s."""
    x = np.arange(160) - 100 * time
    row = 127 + 100 * np.sign(np.sin(x * np.pi / 8)) * np.abs(np.sin(x * np.pi / 8)) ** 0.3
    return np.broadcast_to(row[None, :, None], (128, 160, 3)).astype(np.uint8)


def write_interlaced(path: Path, count: int, flagged: bool = True) -> Path:
    """25 frames per second, whose even lines are 0.02 s later than their odd ones."""
    options = {"flags": "+ildct+ilme"} if flagged else {}
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        stream.bit_rate = 8_000_000
        for index in range(count):
            image = moment(index / 25).copy()
            image[::2] = moment(index / 25 + 0.02)[::2]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


def combs(images: NDArray[np.uint8]) -> float:
    """How much lines differ from the mean of the lines above and below them."""
    lines = images.astype(float)
    return float(np.abs(lines[:, 1:-1] - (lines[:, :-2] + lines[:, 2:]) / 2).mean())


@pytest.mark.parametrize("size", [128, 64])
def test_interlaced_frames_have_no_combs(tmp_path: Path, size: int) -> None:
    path = write_interlaced(tmp_path / "clip.mpg", 12)
    with av.open(str(path)) as file:
        assert all(frame.interlaced_frame for frame in file.decode(video=0))
    woven = read_clip(write_interlaced(tmp_path / "woven.mpg", 12, flagged=False), 12, 128).images
    clip = read_clip(path, 12, size)
    assert clip.decoded == 12
    assert combs(woven) > 20
    assert combs(clip.images) < 4
    for index in (0, 5, 11):
        frame = av.VideoFrame.from_ndarray(moment(index / 25), format="rgb24")
        expected = to_square(size, None)(None, frame, None)
        assert apart(clip.images[index], expected) < 8


def test_still_lines_are_kept_in_interlaced_frames(tmp_path: Path) -> None:
    """Where nothing moves, both fields count: a single field would lose every second line."""
    image = np.full((128, 160, 3), 60, np.uint8)
    image[::4] = image[1::4] = 180
    path = tmp_path / "clip.mpg"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme"})
        stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        stream.bit_rate = 8_000_000
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    assert apart(read_clip(path, 1, 128).images[0], image[:, 16:144]) < 6


def test_long_interlaced_clips_are_decoded_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of packets may lack the neighbours that deinterlacing needs."""
    path = tmp_path / "clip.mkv"
    options = {"x264-params": "interlaced=1", "preset": "ultrafast"}
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        stream.gop_size = 5
        for index in range(40):
            image = moment(index / 25).copy()
            image[::2] = moment(index / 25 + 0.02)[::2]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    expected = read_clip(path, 2, 64)
    monkeypatch.setattr(seek, "SHORT", 0)
    np.testing.assert_array_equal(read_clip(path, 2, 64).images, expected.images)


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv411p", "rgb24", "gray"])
@pytest.mark.parametrize(("height", "width"), [(2000, 1), (1, 2000), (3001, 7), (16, 16000)])
def test_a_strip_costs_no_more_than_its_middle(layout: str, height: int, width: int) -> None:
    """The middle is light, and all that is more than four short sides long is dark."""
    image = np.zeros((height, width, 3), np.uint8)
    short = min(height, width)
    top, left = max(height // 2 - 3 * short, 0), max(width // 2 - 3 * short, 0)
    image[top : top + 6 * short, left : left + 6 * short] = 200
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout)
    started = time.monotonic()
    square = to_square(256, None)(None, frame, None)
    assert time.monotonic() - started < 2
    assert square.shape == (256, 256, 3)
    assert abs(square.astype(int) - 200).max() < 6


def test_strips_by_their_pixels_aspect() -> None:
    """Pixels a hundred times as wide as high make a strip of a square, and a square of a strip."""
    image = np.tile(np.arange(0, 200, 2, dtype=np.uint8)[:, None, None], (1, 100, 3))
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    square = to_square(32, Fraction(100))(None, frame, None)
    assert square.shape == (32, 32, 3)
    assert np.ptp(square[:, :, 0], axis=0).min() > 150  # all lines are there
    square = to_square(32, Fraction(1, 100))(None, frame, None)
    assert square.shape == (32, 32, 3) and np.ptp(square) < 8  # the middle lines alone

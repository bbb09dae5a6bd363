import errno
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition

from chain.video import decode
from chain.video.container import Media, VideoError
from chain.video.decode import midpoints, read_clip
from chain.video.square import SCALING, to_square

LEVELS = list(range(20, 220, 5))  # 40 frames, far enough apart to survive compression


def levels_of(images: np.ndarray) -> list[int]:
    """Which of LEVELS each image (T, H, W, 3) shows."""
    means = images.reshape(len(images), -1).mean(axis=1)
    return [round((mean - LEVELS[0]) / 5) for mean in means]


def decode_plainly(path: Path) -> np.ndarray:
    """Independent twin: every frame that decodes, (T, H, W, 3)."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                frames += packet.decode() if packet.size else []
            except av.FFmpegError:
                continue
        frames += stream.codec_context.decode(None)
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    passes: list[None] = []
    plain = decode._take

    def counted(*arguments: object) -> object:
        passes.append(None)
        return plain(*arguments)

    monkeypatch.setattr(decode, "_take", counted)
    return passes


def damage(path: Path, start: float, stop: float) -> None:
    """Overwrite some bytes in a part of the file, given as fractions of its length."""
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(int(start * len(content)), int(stop * len(content)), 25):
        content[place : place + 30] = rng.bytes(30)
    path.write_bytes(content)


@pytest.fixture
def moving_clip(write_clip: Callable[..., Path]) -> Callable[..., Path]:
    """A clip with some detail, so that damage shows."""

    def write(path: Path, frames: int = 120, **options: object) -> Path:
        rng = np.random.default_rng(0)
        tile = rng.integers(0, 255, (8, 12, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
        return write_clip(
            path, np.stack([np.roll(tile, 3 * t, 1) for t in range(frames)]), **options
        )

    return write


@pytest.mark.parametrize("count", [1, 2, 7, 16, 40, 41])
@pytest.mark.parametrize("segments", [1, 3, 16, 25])
def test_midpoints(count: int, segments: int) -> None:
    exact = [Fraction(2 * k + 1, 2) * Fraction(count, segments) for k in range(segments)]
    assert midpoints(count, segments) == [floor(point) for point in exact]


def test_midpoints_by_hand() -> None:
    assert midpoints(8, 4) == [1, 3, 5, 7]
    assert midpoints(9, 3) == [1, 4, 7]
    assert midpoints(2, 4) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("avi", "mpeg4"),
        ("mp4", "libx264"),
        ("mpg", "mpeg2video"),
        ("mkv", "ffv1"),
        ("webm", "libvpx"),
    ],
)
def test_exact_frames(
    tmp_path: Path, grey_clip: Callable[..., Path], suffix: str, codec: str
) -> None:
    fps = 25 if suffix == "mpg" else 10
    path = grey_clip(tmp_path / f"clip.{suffix}", LEVELS, codec=codec, fps=fps)
    for frames in (1, 7, 16, 40):
        clip = read_clip(path, frames, 16)
        expected = midpoints(40, frames)
        assert clip.images.shape == (frames, 16, 16, 3) and clip.images.dtype == np.uint8
        assert levels_of(clip.images) == expected
        assert clip.decoded == 40
        assert clip.times.dtype == np.float32
        np.testing.assert_allclose(clip.times, np.array(expected) / fps, atol=1e-3)
        assert clip.duration == pytest.approx(40 / fps, abs=1e-3)


def test_fewer_frames_than_asked_for(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    path = grey_clip(tmp_path / "clip.avi", LEVELS[:3])
    clip = read_clip(path, 7, 16)
    assert levels_of(clip.images) == [0, 0, 1, 1, 1, 2, 2]
    assert clip.decoded == 3
    np.testing.assert_allclose(clip.times, [0, 0, 0.1, 0.1, 0.1, 0.2, 0.2], atol=1e-6)


def test_a_single_frame(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    clip = read_clip(grey_clip(tmp_path / "clip.avi", [120]), 4, 16)
    assert clip.decoded == 1 and clip.duration == 0 and clip.times.tolist() == [0] * 4


def test_a_header_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number, level in enumerate(LEVELS[:20]):
            image = np.full((32, 48, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = 2 * number  # AVI fills every second place with an empty packet
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 30
    clip = read_clip(path, 5, 16)
    assert clip.decoded == 20
    assert levels_of(clip.images) == [2, 6, 10, 14, 18]


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("avi", "mpeg4")])
def test_damaged_data_against_a_plain_decoding(
    tmp_path: Path, moving_clip: Callable[..., Path], suffix: str, codec: str
) -> None:
    path = moving_clip(tmp_path / f"clip.{suffix}", codec=codec)
    damage(path, 0.2, 0.5)
    every = decode_plainly(path)
    clip = read_clip(path, 9, 64)
    assert clip.decoded == len(every) < 120
    cropped = every[:, :, 16:80]  # 64 x 96 pixels: no scaling, only the crop
    wanted = cropped[midpoints(len(every), 9)].astype(int)
    assert np.abs(clip.images - wanted).mean(axis=(1, 2, 3)).max() < 3
    np.testing.assert_array_equal(read_clip(path, 9, 64).images, clip.images)


def test_one_decoding_unless_data_is_damaged(
    tmp_path: Path, moving_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = moving_clip(tmp_path / "clip.mp4", codec="libx264")
    passes = count_passes(monkeypatch)
    read_clip(path, 9, 32)
    assert len(passes) == 1
    damage(path, 0.2, 0.5)
    read_clip(path, 9, 32)
    assert len(passes) == 1 + 2


def test_only_the_kept_frames_are_converted(
    tmp_path: Path, moving_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []

    def counting(*arguments: object) -> Callable[..., np.ndarray]:
        convert = to_square(*arguments)
        return lambda *frames: converted.append(frames) or convert(*frames)

    monkeypatch.setattr(decode, "to_square", counting)
    read_clip(moving_clip(tmp_path / "clip.avi"), 6, 32)
    assert len(converted) == 6


def test_a_file_that_breaks_off(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    path = grey_clip(tmp_path / "clip.avi", LEVELS)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + (len(content) - 8000) // 2])
    clip = read_clip(path, 3, 16)
    assert 3 <= clip.decoded < 40
    assert levels_of(clip.images) == midpoints(clip.decoded, 3)


class BreaksOff:
    """Stands in for a container whose second packet cannot be read."""

    def __init__(self, error: av.FFmpegError) -> None:
        self.error = error

    def demux(self, stream: None) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(size=1, is_corrupt=False)
        raise self.error


@pytest.mark.parametrize(
    "error", [av.InvalidDataError(1, "Invalid data"), av.OSError(errno.EIO, "Input/output error")]
)
def test_an_error_between_packets_ends_a_clip_which_is_then_damaged(error: av.FFmpegError) -> None:
    media = Media(BreaksOff(error), None, time.monotonic() + 60)
    assert len(list(media.packets())) == 1
    assert media.damaged


def test_an_error_after_the_deadline_is_no_end_of_a_clip() -> None:
    error = av.ExitError(1, "Immediate exit requested")
    with pytest.raises(VideoError, match=r"^takes longer"):
        list(Media(BreaksOff(error), None, time.monotonic() - 1).packets())


def test_damage_is_reported(tmp_path: Path, moving_clip: Callable[..., Path]) -> None:
    path = moving_clip(tmp_path / "clip.mkv", codec="libx264")
    assert not read_clip(path, 3, 32).damaged
    damage(path, 0.3, 0.6)
    clip = read_clip(path, 3, 32)
    assert clip.damaged and clip.decoded < 120


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
@pytest.mark.parametrize("late", [False, True])
def test_joined_recordings_are_as_long_as_their_parts(
    tmp_path: Path, grey_clip: Callable[..., Path], suffix: str, late: bool
) -> None:
    """The clock of the second goes back, or leaps by minutes."""
    codec = {"ts": "libx264", "mpg": "mpeg2video"}[suffix]
    first = grey_clip(tmp_path / f"first.{suffix}", LEVELS, codec=codec, fps=25)
    second = tmp_path / f"second.{suffix}"
    with av.open(str(first)) as source, av.open(str(second), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                shift = 300 * 90_000 if late else 0
                packet.pts += shift
                packet.dts = packet.dts + shift if packet.dts is not None else packet.pts
                packet.stream = stream
                target.mux(packet)
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    alone, clip = read_clip(first, 4, 16), read_clip(joined, 8, 16)
    assert clip.decoded == 2 * alone.decoded == 80
    assert alone.duration == pytest.approx(40 / 25, abs=0.05)
    assert clip.duration == pytest.approx(80 / 25, abs=0.1)
    assert (np.diff(clip.times) > 0).all()
    assert levels_of(clip.images) == 2 * levels_of(alone.images)


def test_without_leaps_by_hand() -> None:
    assert decode._without_leaps([5.0, 5.5, 6.0, 6.5]).tolist() == [0, 0.5, 1, 1.5]
    assert decode._without_leaps([5.0, 5.5, 1.0, 1.5, 90.0]).tolist() == [0, 0.5, 1, 1.5, 2]
    assert decode._without_leaps([7.0]).tolist() == [0]
    assert decode._without_leaps([7.0, 2.0]).tolist() == [0, 0]


def test_pauses_in_other_formats_are_kept(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    """A screen recording may show one frame for a minute."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for pts in (0, 1, 600, 601):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    np.testing.assert_allclose(read_clip(path, 4, 16).times, [0, 0.1, 60, 60.1], atol=2e-3)


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_centre_square(
    tmp_path: Path, write_clip: Callable[..., Path], shape: tuple[int, int], size: int
) -> None:
    """A white square between black ones."""
    image = np.zeros((32, 96, 3), np.uint8)
    image[:, 32:64] = 255
    frames = np.stack([image if shape == (32, 96) else image.transpose(1, 0, 2)] * 3)
    clip = read_clip(write_clip(tmp_path / "clip.mkv", frames, codec="ffv1"), 2, size)
    assert clip.images.shape == (2, size, size, 3)
    edge = size // 16  # interpolation reaches across the edge
    assert clip.images[:, edge:-edge, edge:-edge].min() > 250


def test_short_side_of_odd_sizes(tmp_path: Path, write_clip: Callable[..., Path]) -> None:
    frames = np.zeros((2, 50, 66, 3), np.uint8)
    path = write_clip(tmp_path / "clip.avi", frames)
    for size in (17, 31, 50, 101):
        assert read_clip(path, 1, size).images.shape == (1, size, size, 3)


def test_channel_order(tmp_path: Path, write_clip: Callable[..., Path]) -> None:
    frames = np.empty((3, 32, 32, 3), np.uint8)
    frames[:] = [200, 100, 30]
    path = write_clip(tmp_path / "clip.avi", frames)
    images = read_clip(path, 2, 16).images
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), [200, 100, 30], atol=6)


@pytest.mark.parametrize("layout", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p10le", "rgb565le"])
@pytest.mark.parametrize(("height", "width", "size"), [(60, 80, 32), (33, 47, 64), (48, 48, 48)])
def test_scaling_in_planes_changes_nothing(layout: str, height: int, width: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout)
    across = round(width * size / height)
    packed = frame.reformat(across, size, format="rgb24", interpolation=SCALING, threads=1)
    left = (across - size) // 2
    expected = packed.to_ndarray()[:, left : left + size]
    np.testing.assert_array_equal(to_square(size, None)(None, frame, None), expected)


@pytest.mark.parametrize("name", ["c:lip.avi", "http:clip.avi", "%03d.avi", "a b'\".avi", "-.avi"])
def test_any_file_name(tmp_path: Path, grey_clip: Callable[..., Path], name: str) -> None:
    grey_clip(tmp_path / "plain.avi", LEVELS[:5]).rename(tmp_path / name)
    assert read_clip(tmp_path / name, 2, 16).decoded == 5


def test_relative_name_that_looks_like_a_protocol(
    tmp_path: Path, grey_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    grey_clip(tmp_path / "plain.avi", LEVELS[:5]).rename(tmp_path / "http:clip.avi")
    monkeypatch.chdir(tmp_path)
    assert read_clip(Path("http:clip.avi"), 2, 16).decoded == 5


def write_sound(path: Path, picture: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac" if path.suffix == ".mp4" else "mp3", rate=44100)
        if picture:
            cover = container.add_stream("png", rate=1)
            cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
            cover.disposition = Disposition.attached_pic
            image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(cover.encode(image))
        for _ in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
            frame.sample_rate = 44100
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def test_sound_alone(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"^no video stream$"):
        read_clip(write_sound(tmp_path / "clip.mp4"), 4, 16)


def test_sound_with_a_cover_picture(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "clip.mp4", picture=True)
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(VideoError, match=r"^no video stream$"):
        read_clip(path, 4, 16)


@pytest.mark.parametrize(
    "content",
    [b"", b"no video at all\n" * 100, np.random.default_rng(0).bytes(20_000)],
    ids=["empty", "text", "noise"],
)
@pytest.mark.parametrize("suffix", ["mp4", "avi", "mpg"])
def test_not_a_video(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"cannot be opened: |no video stream|no frame decodes"):
        read_clip(path, 4, 16)


def test_truncated_mp4(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    path = grey_clip(tmp_path / "clip.mp4", LEVELS, codec="libx264")
    path.write_bytes(path.read_bytes()[:2000])  # its index comes last
    with pytest.raises(VideoError, match=r"^cannot be opened: Invalid data"):
        read_clip(path, 4, 16)


def test_no_frames(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    path = grey_clip(tmp_path / "clip.avi", LEVELS)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 4])
    with pytest.raises(VideoError, match=r"^no frame decodes$"):
        read_clip(path, 4, 16)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"^cannot be opened: No such file or directory$"):
        read_clip(tmp_path / "nowhere.mp4", 4, 16)
    with pytest.raises(VideoError, match=r"^cannot be opened: "):
        read_clip(tmp_path, 4, 16)
    with pytest.raises(VideoError, match=r"^cannot be opened: File name too long$"):
        read_clip(tmp_path / ("a" * 300), 4, 16)

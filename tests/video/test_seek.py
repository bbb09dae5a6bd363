from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from chain.video import decode, seek
from chain.video.decode import Clip, read_clip
from chain.video.seek import Entry, Run, plan_runs

H264, MPEG4, VP9 = "libx264", "mpeg4", "libvpx-vp9"
GOP, COUNT = 10, 80
FAST = {H264: {"preset": "veryfast"}, VP9: {"deadline": "realtime", "cpu-used": "8"}}


def write(
    path: Path,
    codec: str,
    count: int = COUNT,
    gop: int = GOP,
    b_frames: int = 0,
    times: Callable[[int], int] = lambda index: 40 * index,
    **options: str,
) -> Path:
    """A moving pattern of 64 x 96 pixels; times in milliseconds."""
    tile = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8)
    tile = tile.repeat(8, 0).repeat(8, 1)
    base = Fraction(1, 1000) if path.suffix != ".avi" else Fraction(1, 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=FAST.get(codec, {}) | options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = tile.shape[:2]
        stream.pix_fmt, stream.gop_size, stream.bit_rate = "yuv420p", gop, 1_000_000
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = base
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.roll(tile, 3 * index, 1), format="rgb24")
            frame.pts, frame.time_base = round(times(index) / 1000 / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def same(one: Clip, other: Clip) -> bool:
    return (
        np.array_equal(one.images, other.images)
        and np.array_equal(one.times, other.times)
        and (one.decoded, one.duration) == (other.decoded, other.duration)
    )


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clip]:
    """read_clip as it decodes a clip through."""

    def read(path: Path, frames: int, size: int = 64) -> Clip:
        with monkeypatch.context() as patch:
            patch.setattr(seek, "SHORT", 10**9)
            return read_clip(path, frames, size)

    return read


@pytest.fixture
def sparse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Clip, list[bool]]]:
    """read_clip as it reads a long clip, and whether decoding runs was tried and did."""

    def read(
        path: Path, frames: int, size: int = 64, held: bool = False
    ) -> tuple[Clip, list[bool]]:
        tried = []
        plain: Callable[..., object] = decode._take_runs

        def noted(*arguments: object) -> object:
            taken = plain(*arguments)
            tried.append(taken is not None)
            return taken

        with monkeypatch.context() as patch:
            patch.setattr(seek, "SHORT", 0)
            patch.setattr(decode, "HELD", 2**25 if held else 0)
            patch.setattr(decode, "_take_runs", noted)
            return read_clip(path, frames, size), tried

    return read


def entries_of(
    pts: Iterable[int | None], keys: Iterable[int], size: int = 1000, usable: bool = True
) -> list[Entry]:
    keys = set(keys)
    return [Entry(time, place - 2, size, place in keys, usable) for place, time in enumerate(pts)]


@pytest.fixture
def _any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "SHORT", 0)


@pytest.mark.usefixtures("_any_length")
def test_plan_by_hand() -> None:
    # I P B B, twice, then an open GOP (B before its I), then a closed one
    pts = [0, 3, 1, 2, 4, 7, 5, 6, 9, 8, 10, 11, 12, 13, 14]
    entries = entries_of(pts, [0, 4, 8, 12])
    assert plan_runs(entries, [6], "h264", True) == (
        [Run(0, 1, -2, [0]), Run(4, 8, 2, [4, 5, 6, 7])],
        sorted(pts),
    )
    plan = plan_runs(entries, [1, 8, 13], "h264", True)
    assert plan and [run[:2] for run in plan.runs] == [(0, 3), (4, 10), (12, 14)]
    assert plan.runs[1].pts == [4, 5, 6, 7, 8, 9]
    assert plan_runs(entries, [2, 11, 14], "h264", True) is None  # nearly all of it


@pytest.mark.usefixtures("_any_length")
def test_plan_with_a_keyframe_amid_others() -> None:
    """The third packet's frame is the third, but the second's comes after it."""
    entries = entries_of([0, 3, 2, 1, 4, 5, 6, 7], [0, 2, 4])
    plan = plan_runs(entries, [2], "h264", True)
    assert plan and plan.runs == [Run(0, 3, -2, [0, 2, 3])]


@pytest.mark.usefixtures("_any_length")
@pytest.mark.parametrize("seed", range(20))
def test_plan_against_a_search(seed: int) -> None:
    """Each wanted frame's run is the shortest from a keyframe that parts the clip in two."""
    rng = np.random.default_rng(seed)
    pts = np.argsort(np.argsort(np.arange(60) + rng.integers(0, 4, 60) * (rng.random(60) < 0.5)))
    pts[pts.argmin()], pts[0] = pts[0], 0
    entries = entries_of((10 * pts).tolist(), [0, *rng.integers(1, 60, 12).tolist()])
    wanted = rng.integers(0, 60, 3).tolist()
    plan = plan_runs(entries, wanted, "vp9", True)
    needed = {0}
    for index in wanted:
        place = pts.tolist().index(index)
        start = max(
            key
            for key in range(place + 1)
            if entries[key].keyframe and sorted(pts[:key]) == list(range(key)) and pts[key] == key
        )
        needed |= set(range(start, place + 1))
    if len(needed) > seek.WORTH * 60:
        assert plan is None
    else:
        assert plan and sorted(needed) == [
            place for run in plan.runs for place in range(run.start, run.stop)
        ]


@pytest.mark.usefixtures("_any_length")
def test_what_is_decoded_through() -> None:
    order = list(range(40))
    keys = range(0, 40, 4)
    good = entries_of(order, keys)
    assert plan_runs(good, [20], "h264", False)
    assert plan_runs(good, [20], "vp8", False) is None  # its packets may hold no frame
    assert plan_runs(good, [20], "h264", True) is None  # decoding order in place of times
    assert plan_runs([], [0], "h264", False) is None
    assert plan_runs(good[1:], [20], "h264", False) is None  # no keyframe at the start
    for changed in (
        {"pts": None},
        {"pts": 3},
        {"dts": 3},
        {"usable": False},
    ):
        entries = [*good[:30], good[30]._replace(**changed), *good[31:]]
        assert plan_runs(entries, [20], "h264", False) is None
    tiny = [*good[:30], good[30]._replace(size=8), *good[31:]]
    assert plan_runs(tiny, [20], "mpeg4", False) is None
    assert plan_runs(tiny, [20], "vp9", False)
    assert plan_runs([entry._replace(dts=None) for entry in good], [20], "h264", False)


def test_short_clips_are_decoded_through() -> None:
    for count in (seek.SHORT, seek.SHORT + 1):
        entries = entries_of(range(count), range(0, count, 10))
        assert bool(plan_runs(entries, [count // 2], "h264", False)) == (count > seek.SHORT)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", H264, {}),
        ("b.mp4", H264, {"b_frames": 3}),
        ("b.mkv", H264, {"b_frames": 3}),  # no dts at the start
        ("b.ts", H264, {"b_frames": 3}),  # no index
        ("plain.avi", MPEG4, {}),
        ("b.avi", MPEG4, {"b_frames": 2, "flags": "+cgop", "sc_threshold": "1000000000"}),
        ("b.mp4", MPEG4, {"b_frames": 2, "flags": "+cgop", "sc_threshold": "1000000000"}),
        ("plain.webm", VP9, {}),
        ("plain.mp4", VP9, {}),
        ("hidden.webm", VP9, {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "12"}),
    ],
)
def test_the_same_either_way(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    name: str,
    codec: str,
    options: dict[str, Any],
) -> None:
    path = write(tmp_path / name, codec, **options)
    for frames in (1, 3, 5):
        expected = through(path, frames)
        for held in (False, True):
            clip, tried = sparse(path, frames, held=held)
            assert tried == [True]
            assert same(clip, expected)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", [H264, VP9])
def test_uneven_times(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    suffix: str,
    codec: str,
) -> None:
    path = write(
        tmp_path / f"clip.{suffix}", codec, times=lambda index: 40 * index + index**2 * 7 % 31
    )
    clip, tried = sparse(path, 4)
    assert tried == [True] and same(clip, through(path, 4))
    assert len(set(np.diff(clip.times).round(4))) > 1


@pytest.mark.parametrize("codec", [H264, MPEG4])
def test_open_gops(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    codec: str,
) -> None:
    options: dict[str, Any] = (
        {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"} if codec == H264 else {}
    )
    path = write(tmp_path / "clip.mp4", codec, b_frames=2, **options)
    for frames in (1, 2, 6):
        assert same(sparse(path, frames)[0], through(path, frames))


def test_one_keyframe(
    tmp_path: Path, through: Callable[..., Clip], sparse: Callable[..., tuple[Clip, list[bool]]]
) -> None:
    path = write(tmp_path / "clip.mp4", H264, gop=1000)
    clip, tried = sparse(path, 8)
    assert not tried and same(clip, through(path, 8))
    clip, tried = sparse(path, 1)  # up to the middle
    assert tried == [True] and same(clip, through(path, 1))


def test_keyframes_that_are_none(
    tmp_path: Path, through: Callable[..., Clip], sparse: Callable[..., tuple[Clip, list[bool]]]
) -> None:
    plain, path = write(tmp_path / "plain.mp4", MPEG4, gop=1000), tmp_path / "clip.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for place, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.is_keyframe, packet.stream = place % GOP == 0, stream
                target.mux(packet)
    clip, tried = sparse(path, 3)
    assert tried == [False] and same(clip, through(path, 3))


@pytest.mark.parametrize(("name", "b_frames"), [("clip.avi", 3), ("clip.h264", 0)])
def test_no_times_of_presentation(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    name: str,
    b_frames: int,
) -> None:
    path = write(tmp_path / name, H264, b_frames=b_frames)
    for frames in (1, 4):
        clip, tried = sparse(path, frames)
        assert not tried and same(clip, through(path, frames))


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", H264), ("avi", MPEG4), ("webm", VP9)])
def test_damage_in_what_is_read(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    suffix: str,
    codec: str,
) -> None:
    path = write(tmp_path / f"clip.{suffix}", codec)
    destroy(path, COUNT // 2 - 3)  # in the GOP of the only wanted frame, number 40
    destroy(path, COUNT // 2)
    clip, tried = sparse(path, 1)
    assert tried == [False]
    assert same(clip, through(path, 1))


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", H264), ("avi", MPEG4)])
def test_concealed_damage(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    suffix: str,
    codec: str,
) -> None:
    """The decoder fills the lower half of a keyframe from the frame before, which a run lacks."""
    path = write(tmp_path / f"clip.{suffix}", codec)
    destroy(path, COUNT // 2, half=True)
    expected = through(path, 1)
    assert expected.decoded == COUNT
    clip, tried = sparse(path, 1)
    assert tried == [False] and same(clip, expected)


def test_damage_that_is_skipped_goes_unseen(
    tmp_path: Path, through: Callable[..., Clip], sparse: Callable[..., tuple[Clip, list[bool]]]
) -> None:
    path = write(tmp_path / "clip.webm", VP9)
    intact = through(path, 1)
    destroy(path, 15)
    clip, tried = sparse(path, 1)
    assert tried == [True] and same(clip, intact)
    assert through(path, 1).decoded < clip.decoded == COUNT


def destroy(path: Path, place: int, half: bool = False) -> None:
    """Overwrite a packet's data, or its second half."""
    with av.open(str(path)) as container:
        data = [bytes(packet) for packet in container.demux(video=0)][place]
    content = path.read_bytes()
    assert content.count(data) == 1
    intact = data[: len(data) // 2 if half else 0]
    noise = np.random.default_rng(0).bytes(len(data) - len(intact))
    path.write_bytes(content.replace(data, intact + noise))


def test_seeking_that_misses(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tmp_path / "clip.mp4", H264)
    expected = through(path, 2)
    plain = decode._seek
    later = lambda scan, run: plain(scan, run._replace(time=run.time + 10**6))  # noqa: E731
    monkeypatch.setattr(decode, "_seek", later)
    clip, tried = sparse(path, 2)
    assert tried == [False] and same(clip, expected)


def test_a_seek_that_fails(
    tmp_path: Path,
    through: Callable[..., Clip],
    sparse: Callable[..., tuple[Clip, list[bool]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise av.FFmpegError(1, "Operation not permitted")

    path = write(tmp_path / "clip.mp4", H264)
    expected = through(path, 2)
    monkeypatch.setattr(decode, "_seek", fail)
    clip, tried = sparse(path, 2)
    assert tried == [False] and same(clip, expected)


def test_few_frames_of_a_long_clip_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: Callable[..., Clip]
) -> None:
    path = write(tmp_path / "clip.avi", MPEG4, count=seek.SHORT + 20)
    expected = through(path, 3)
    plain = decode._frames_of
    decoded = 0

    def counted(*arguments: Any) -> Iterator[av.VideoFrame]:
        nonlocal decoded
        for frame in plain(*arguments):
            decoded += 1
            yield frame

    monkeypatch.setattr(decode, "_frames_of", counted)
    assert same(read_clip(path, 3, 64), expected)
    assert 3 <= decoded <= 1 + 3 * GOP

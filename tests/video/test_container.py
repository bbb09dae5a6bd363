import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition

from chain.video import container
from chain.video.container import VideoError, deadline, opened
from chain.video.decode import read_clip


def write_tracks(path: Path, *tracks: tuple[int, Disposition]) -> Path:
    """A file with several video streams, each of one grey level and with its disposition."""
    with av.open(str(path), "w") as file:
        streams = []
        for _, disposition in tracks:
            stream = file.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        for _ in range(6):
            for (level, _), stream in zip(tracks, streams, strict=True):
                image = np.full((32, 48, 3), level, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            file.mux(stream.encode())
    return path


NONE, DEFAULT, COMMENT = Disposition(0), Disposition.default, Disposition.comment
THUMBNAILS = Disposition.default | Disposition.timed_thumbnails


@pytest.mark.parametrize(
    ("first", "second", "third", "taken"),
    [
        (COMMENT, DEFAULT, NONE, 1),
        (DEFAULT, DEFAULT, NONE, 0),
        (COMMENT, COMMENT, COMMENT, 0),
    ],
)
def test_the_stream_that_is_taken(
    tmp_path: Path, first: Disposition, second: Disposition, third: Disposition, taken: int
) -> None:
    levels = [40, 120, 200]
    tracks = zip(levels, (first, second, third), strict=True)
    path = write_tracks(tmp_path / "clip.mkv", *tracks)
    clip = read_clip(path, 3, 16)
    assert clip.images.mean() == pytest.approx(levels[taken], abs=3)
    assert clip.decoded == 6


@pytest.mark.parametrize(
    ("dispositions", "taken"),
    [
        ([Disposition.attached_pic | DEFAULT, NONE], 1),
        ([NONE, THUMBNAILS, DEFAULT], 2),
        ([Disposition.dependent, COMMENT, NONE], 1),
        ([DEFAULT, DEFAULT], 0),
        ([NONE, NONE], 0),
    ],
)
def test_streams_that_do_not_count(dispositions: list[Disposition], taken: int) -> None:
    streams = [SimpleNamespace(codec_context=True, disposition=one) for one in dispositions]
    file = SimpleNamespace(streams=SimpleNamespace(video=streams))
    assert container._main_stream(file) is streams[taken]
    streams[taken].codec_context = None  # FFmpeg has no decoder for it
    others = [one for one in streams if one is not streams[taken]]
    if all(one.disposition not in (NONE, COMMENT, DEFAULT) for one in others):
        with pytest.raises(VideoError, match=r"^no video stream$"):
            container._main_stream(file)
    else:
        assert container._main_stream(file) in others


SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=none
c=IN IP4 127.0.0.1
t=0 0
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
"""
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:4.0,\nseg0.ts\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HLS, "an HLS playlist"),
        (HLS + "#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("ffconcat version 1.0\nfile 'seg0.ts'\n", "a concat script"),
        ("ffconcat version 1.0\nfile 'clip.mp4'\n", "a concat script"),
        (SDP, "an SDP description"),
        (DASH, "an XML document, such as a DASH manifest"),
    ],
    ids=["live", "hls", "concat", "concat of itself", "sdp", "dash"],
)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.m3u8", "clip.ts"])
def test_texts_that_name_other_files(
    tmp_path: Path, grey_clip: Callable[..., Path], text: str, kind: str, name: str
) -> None:
    grey_clip(tmp_path / "seg0.ts", [20, 60, 100], codec="libx264")
    (tmp_path / name).write_text(text)
    with pytest.raises(VideoError, match=rf"^cannot be opened: (it is {kind}|Invalid data .*)$"):
        read_clip(tmp_path / name, 2, 16)


def test_a_text_that_ffmpeg_would_follow(tmp_path: Path, grey_clip: Callable[..., Path]) -> None:
    grey_clip(tmp_path / "other.avi", [20, 60, 100])
    path = tmp_path / "clip.mp4"
    path.write_text("ffconcat version 1.0\nfile other.avi\n")
    with av.open(str(path)) as followed:
        assert len(list(followed.decode(video=0))) == 3
    with pytest.raises(VideoError, match=r"^cannot be opened: it is a concat script$"):
        read_clip(path, 2, 16)


def test_formats_without_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
    path.rename(tmp_path / "clip.mp4")
    message = r"^cannot be opened: it is no format that holds video$"
    with pytest.raises(VideoError, match=message):
        read_clip(tmp_path / "clip.mp4", 2, 16)


def test_formats_are_those_of_ffmpeg() -> None:
    known = {name for names in av.formats_available for name in names.split(",")}
    assert set(container.FORMATS) <= known


def test_a_file_that_takes_too_long(
    tmp_path: Path, grey_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grey_clip(tmp_path / "clip.avi", [20] * 30)
    with opened(path, time.monotonic() + 60) as media:
        packets = list(media.packets())
        media.deadline = time.monotonic() - 1
        with pytest.raises(VideoError, match=r"^takes longer to decode than"):
            list(media.frames(packets))
    with opened(path, time.monotonic() - 1) as media, pytest.raises(VideoError, match="longer"):
        list(media.packets())
    monkeypatch.setattr(container, "PATIENCE", -1.0)
    with pytest.raises(VideoError, match="longer"):
        read_clip(path, 3, 16)


def test_larger_files_may_take_longer(tmp_path: Path) -> None:
    for size, seconds in ((0, 120), (1_000_000, 180)):
        (tmp_path / "clip.avi").write_bytes(b"0" * size)
        left = deadline(tmp_path / "clip.avi") - time.monotonic()
        assert left == pytest.approx(seconds, abs=1)
    assert deadline(tmp_path / "nowhere.avi") - time.monotonic() == pytest.approx(120, abs=1)


def test_frames_that_are_too_large(
    tmp_path: Path, write_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "clip.avi", np.zeros((3, 240, 320, 3), np.uint8))
    monkeypatch.setattr(container, "LARGEST", 240 * 320)
    assert read_clip(path, 3, 16).decoded == 3
    monkeypatch.setattr(container, "LARGEST", 240 * 320 - 1)
    with pytest.raises(VideoError, match=r"^frames of 320 x 240 pixels are too large$"):
        read_clip(path, 3, 16)
    monkeypatch.setattr(container, "LARGEST", 240 * 320 // 2 - 1)  # FFmpeg itself refuses them
    with pytest.raises(VideoError, match=r"^no frame decodes$"):
        read_clip(path, 3, 16)


def write_hevc(path: Path, count: int) -> Path:
    """A moving pattern of 64 x 96 pixels with a keyframe at the start only."""
    tile = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8)
    tile = tile.repeat(8, 0).repeat(8, 1)
    options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.gop_size = 1000
        for index in range(count):
            image = np.roll(tile, 3 * index, 1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_damaged_hevc_keeps_what_decodes_after_the_damage(tmp_path: Path) -> None:
    path = write_hevc(tmp_path / "clip.mp4", 60)
    intact = read_clip(path, 60, 32)
    assert intact.decoded == 60 and not intact.damaged
    with av.open(str(path)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0)]
    content = path.read_bytes()
    for data in packets[30:32]:
        assert content.count(data) == 1
        content = content.replace(data, bytes(len(data)))
    path.write_bytes(content)
    decoded = read_clip(path, 1, 32).decoded
    assert 50 <= decoded < 60
    clip = read_clip(path, decoded, 32)
    assert clip.damaged
    np.testing.assert_array_equal(clip.images[:25], intact.images[:25])

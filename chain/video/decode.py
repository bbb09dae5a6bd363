"""Reading frames out of video files; the only module that knows the decoder (PyAV)."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.video.seek import Entry, Plan, Run, plan_runs

SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
USUAL_RATE = 25.0  # frames per second, for times where a file states neither times nor a rate
HELD = 2**25  # bytes of the largest file whose packets stay in memory until they are decoded

Packet: TypeAlias = "av.Packet[VideoStream]"
Convert = Callable[[av.VideoFrame], NDArray[np.uint8]]
Taken = tuple[dict[int, NDArray[np.uint8]], list[float]]
"""The converted frames by index, and the times in seconds of all frames."""


class _Scan(NamedTuple):
    """What is known of a stream after all its packets were read once."""

    container: InputContainer
    stream: VideoStream
    entries: list[Entry]
    held: list[Packet]
    """All packets, or none if the file is larger than HELD."""


class VideoError(InputError):
    """A clip cannot be used; the message gives the reason without the path."""


@dataclass(frozen=True, eq=False)
class Clip:
    """D frames of a video, at the midpoints of D equal segments of all its frames that decode."""

    images: NDArray[np.uint8]
    """The frames, (D, S, S, 3) RGB."""
    times: NDArray[np.float32]
    """The frames' times (D,), in seconds since the video's first frame."""
    decoded: int
    """The number of frames that decode, whatever the file's header says."""
    duration: float
    """The video's length in seconds; its last frame is taken to last as long as the mean one."""


def read_clip(path: Path, frames: int, size: int) -> Clip:
    """Decode `frames` frames of the video at `path`, as squares of `size` pixels.

    * The short side is resized to `size`, and the central square is kept. Rotation flags and pixel
      aspect ratios are ignored.
    * A clip with too few frames repeats the nearest ones.
    * A clip with damaged data keeps the frames that still decode.
    * Memory grows with the clip's length by a few hundred bytes a frame.

    A long clip is decoded in part where that is enough for the wanted frames: see `plan_runs`.

    * The result is the same, bit for bit, if each packet that is left out holds one sound frame.
    * Damage in those packets goes unseen unless the container marks it. If n of their frames would
      not decode, `decoded` is too large by n, and the frames taken may be up to n frames off.
    * If the packets that are decoded show any fault, the whole clip is decoded.

    Raises VideoError if the file cannot be opened, if it holds no video, or if nothing decodes.
    """
    # Which frames to keep depends on how many decode, and that is known only at the end. Nearly
    # always each packet gives one frame, and counting packets is cheap. If the count turns out
    # wrong, the clip is decoded again.
    convert = _to_square(size)
    with _opened(path) as (container, stream):
        scan = _scan(container, stream)
        expected = len(scan.entries)
        indices = midpoints(expected, frames)
        taken = None
        decoder = stream.codec_context
        if plan := plan_runs(scan.entries, indices, decoder.name, decoder.has_b_frames):
            taken = _take_runs(scan, plan, indices, convert)
        elif scan.held:
            taken = _take(stream, scan.held, indices, convert)
    kept, times = taken or _take_anew(path, indices, convert)
    if len(times) != expected:
        indices = midpoints(len(times), frames)
        kept, times = _take_anew(path, indices, convert)
    if not times:
        raise VideoError("no frame decodes")
    seconds = np.subtract(times, times[0])
    return Clip(
        images=np.stack([kept[index] for index in indices]),
        times=seconds[indices].astype(np.float32),
        decoded=len(times),
        duration=float(seconds[-1]) * len(times) / max(len(times) - 1, 1),
    )


def midpoints(count: int, segments: int) -> list[int]:
    """The middle index of each of `segments` equal parts of range(count); a small count repeats."""
    return [(2 * segment + 1) * count // (2 * segments) for segment in range(segments)]


def _scan(container: InputContainer, stream: VideoStream) -> _Scan:
    scan = _Scan(container, stream, [], [])
    for packet in _packets(container, stream):
        usable = not (packet.is_corrupt or packet.is_discard)
        entry = Entry(packet.pts, packet.dts, packet.size, packet.is_keyframe, usable)
        scan.entries.append(entry)
        if container.size <= HELD:
            scan.held.append(packet)
    return scan


def _take(
    stream: VideoStream, packets: Iterable[Packet], indices: Collection[int], convert: Convert
) -> Taken:
    """The frames at `indices` of all that decode."""
    wanted = set(indices)
    kept, times = {}, []
    rate = float(stream.average_rate or USUAL_RATE)
    for index, frame in enumerate(_frames(stream, packets)):
        if index in wanted:
            kept[index] = convert(frame)
        if frame.pts is None or stream.time_base is None:
            times.append(index / rate)
        else:  # not frame.time, which is NaN for the frames that the decoder held back to the end
            times.append(_seconds(frame.pts, stream.time_base))
    return kept, times


def _take_anew(path: Path, indices: Collection[int], convert: Convert) -> Taken:
    with _opened(path) as (container, stream):
        return _take(stream, _packets(container, stream), indices, convert)


def _take_runs(scan: _Scan, plan: Plan, indices: Collection[int], convert: Convert) -> Taken | None:
    """The same as `_take`, or None if anything that is decoded is not as planned."""
    if scan.stream.time_base is None:
        return None
    wanted = {plan.pts[index]: index for index in indices}
    kept = {}
    for run in plan.runs:
        shown: list[int | None] = []
        try:
            for frame in _frames_of(scan, run):
                if frame.is_corrupt or not (shown or frame.pict_type == PictureType.I):
                    return None
                shown.append(frame.pts)
                if frame.pts in wanted:
                    kept[wanted[frame.pts]] = convert(frame)
        except av.FFmpegError:
            return None
        if shown != run.pts:
            return None
    return kept, [_seconds(pts, scan.stream.time_base) for pts in plan.pts]


def _seconds(pts: int, base: Fraction) -> float:
    return pts * base.numerator / base.denominator  # equals float(pts * base), but is faster


def _frames_of(scan: _Scan, run: Run) -> Iterator[av.VideoFrame]:
    """The frames of a run, in the order of presentation. Damaged data raises FFmpegError."""
    decoder = scan.stream.codec_context
    for packet in scan.held[run.start : run.stop] or _seek(scan, run):
        yield from decoder.decode(packet)
    yield from decoder.decode(None)
    decoder.flush_buffers()


def _seek(scan: _Scan, run: Run) -> Iterator[Packet]:
    """Read the packets of a run from the file; if they are not found, it gives others or none."""
    scan.container.seek(run.time, stream=scan.stream)  # to the last keyframe before that time
    packets = _packets(scan.container, scan.stream)
    return islice(dropwhile(lambda packet: packet.pts != run.pts[0], packets), run.stop - run.start)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its first video stream that is not a cover picture."""
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except av.FFmpegError as error:
        raise VideoError(f"cannot be opened: {error.strerror}") from None
    with container:
        for stream in container.streams.video:
            if stream.codec_context and not stream.disposition & Disposition.attached_pic:
                break
        else:
            raise VideoError("no video stream")
        # With several threads, damaged data gives different frames from run to run. Clips are
        # decoded in parallel instead.
        stream.codec_context.thread_count = 1
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise VideoError(f"cannot be decoded: {error.strerror}") from None


def _frames(stream: VideoStream, packets: Iterable[Packet]) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, in the order of presentation."""
    for packet in packets:
        with suppress(av.FFmpegError):  # a damaged packet costs its own frames only
            yield from stream.codec_context.decode(packet)
    with suppress(av.FFmpegError):
        yield from stream.codec_context.decode(None)  # frames that the decoder held back


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The stream's packets up to where the file breaks off, without the empty ones that AVI has."""
    with suppress(av.InvalidDataError):  # not a disk's errors, which would shorten a sound clip
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def _to_square(size: int) -> Convert:
    scaler = VideoReformatter()  # keeps its tables from one frame to the next

    def convert(frame: av.VideoFrame) -> NDArray[np.uint8]:
        scale = size / min(frame.width, frame.height)
        width, height = round(frame.width * scale), round(frame.height * scale)
        # From YUV, the scaler gives the same RGB three times as fast in planes. From RGB of 16
        # bits, the values would differ.
        layout = "gbrp" if frame.format.name.startswith("yuv") else "rgb24"
        scaled = scaler.reformat(
            frame, width, height, format=layout, interpolation=SCALING, threads=1
        )
        left, top = (width - size) // 2, (height - size) // 2
        pixels = scaled.to_ndarray().astype(np.uint8, copy=False)
        return pixels[top : top + size, left : left + size]

    return convert

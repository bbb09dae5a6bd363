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
HELD = 2**25  # bytes; the packets of a larger file are read again to decode them

Packet: TypeAlias = "av.Packet[VideoStream]"
Convert = Callable[[av.VideoFrame], NDArray[np.uint8]]
Taken = tuple[dict[int, NDArray[np.uint8]], list[float]]
"""The converted frames by index, and the times in seconds of all frames."""


class _Scan(NamedTuple):
    """A stream whose packets have all been read once."""

    container: InputContainer
    stream: VideoStream
    entries: list[Entry]
    held: list[Packet]
    """All packets, or none of them if the file exceeds HELD."""


class VideoError(InputError):
    """A clip that cannot be used; the message is the reason alone, without the path."""


@dataclass(frozen=True, eq=False)
class Clip:
    """D frames of a video, at the midpoints of D equal segments of all that decode."""

    images: NDArray[np.uint8]
    """(D, S, S, 3) RGB."""
    times: NDArray[np.float32]
    """(D,) seconds since the first frame."""
    decoded: int
    """How many frames decode, whatever the file's header says."""
    duration: float
    """Seconds, each frame lasting their mean interval."""


def read_clip(path: Path, frames: int, size: int) -> Clip:
    """Decode `path` to `frames` squares of `size` pixels: short side resized, centre kept.

    A clip with fewer frames repeats the nearest; one with damaged data keeps the frames that still
    decode. Memory grows with the clip's length by a few hundred bytes a frame. Rotation flags and
    pixel aspect ratios are ignored. Raises VideoError if the file cannot be opened, holds no video,
    or nothing decodes.

    Of a long clip only what the wanted frames need is decoded where that is less: see `plan_runs`.
    The result is the same, bit for bit, provided that every packet left out would have given its
    one frame. Damage there goes unseen unless the container marks it: `decoded` then counts frames
    that would not decode, and midpoints may be as many frames off. If anything is amiss in what is
    decoded, the whole clip is.
    """
    # Which frames to keep depends on how many decode, which is known only at the end. Nearly always
    # it is one a packet, and counting packets is cheap; otherwise the clip is decoded again.
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
    """The middle index of each of `segments` equal parts of range(count), repeated if too few."""
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
        else:  # frame.time is NaN for the frames that the decoder held back to the end
            times.append(_seconds(frame.pts, stream.time_base))
    return kept, times


def _take_anew(path: Path, indices: Collection[int], convert: Convert) -> Taken:
    with _opened(path) as (container, stream):
        return _take(stream, _packets(container, stream), indices, convert)


def _take_runs(scan: _Scan, plan: Plan, indices: Collection[int], convert: Convert) -> Taken | None:
    """What _take gives; None if anything that is decoded is not as planned."""
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
    return pts * base.numerator / base.denominator  # rounded once, as float(pts * base), but sooner


def _frames_of(scan: _Scan, run: Run) -> Iterator[av.VideoFrame]:
    """The frames of a run, in the order of presentation; damage raises FFmpegError."""
    decoder = scan.stream.codec_context
    for packet in scan.held[run.start : run.stop] or _seek(scan, run):
        yield from decoder.decode(packet)
    yield from decoder.decode(None)
    decoder.flush_buffers()


def _seek(scan: _Scan, run: Run) -> Iterator[Packet]:
    """The packets of a run out of the file; others or none if they are not found."""
    scan.container.seek(run.time, stream=scan.stream)  # to the last keyframe until then
    packets = _packets(scan.container, scan.stream)
    return islice(dropwhile(lambda packet: packet.pts != run.pts[0], packets), run.stop - run.start)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its first video stream, a cover picture aside."""
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
        # Several threads give different frames from run to run where data is damaged; clips are
        # what runs in parallel.
        stream.codec_context.thread_count = 1
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise VideoError(f"cannot be decoded: {error.strerror}") from None


def _frames(stream: VideoStream, packets: Iterable[Packet]) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, in the order of presentation."""
    for packet in packets:
        with suppress(av.FFmpegError):  # one damaged packet
            yield from stream.codec_context.decode(packet)
    with suppress(av.FFmpegError):
        yield from stream.codec_context.decode(None)  # the frames that the decoder still holds back


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The stream's packets, up to where the file breaks off; empty ones (AVI has them) left out."""
    with suppress(av.InvalidDataError):  # and not a disk's errors: they would shorten a sound clip
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def _to_square(size: int) -> Convert:
    scaler = VideoReformatter()  # keeps its tables from one frame to the next

    def convert(frame: av.VideoFrame) -> NDArray[np.uint8]:
        scale = size / min(frame.width, frame.height)
        width, height = round(frame.width * scale), round(frame.height * scale)
        # The scaler gives the same RGB in planes three times as fast; but not from RGB of 16 bits.
        layout = "gbrp" if frame.format.name.startswith("yuv") else "rgb24"
        scaled = scaler.reformat(
            frame, width, height, format=layout, interpolation=SCALING, threads=1
        )
        left, top = (width - size) // 2, (height - size) // 2
        pixels = scaled.to_ndarray().astype(np.uint8, copy=False)
        return pixels[top : top + size, left : left + size]

    return convert

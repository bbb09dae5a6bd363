"""Reading frames out of video files; the only module that knows the decoder (PyAV)."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from chain.errors import InputError

SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
USUAL_RATE = 25.0  # frames per second, for times where a file states neither times nor a rate


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
    decode. Memory does not grow with the clip's length. Rotation flags and pixel aspect ratios are
    ignored. Raises VideoError if the file cannot be opened, holds no video, or nothing decodes.
    """
    # Which frames to keep depends on how many decode, which is known only at the end. Nearly always
    # it is one a packet, and counting packets is cheap; otherwise the clip is decoded again.
    expected = _count_packets(path)
    indices = midpoints(expected, frames)
    kept, times = _take(path, indices, _to_square(size))
    if len(times) != expected:
        indices = midpoints(len(times), frames)
        kept, times = _take(path, indices, _to_square(size))
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


def _take(
    path: Path,
    indices: Collection[int],
    convert: Callable[[av.VideoFrame], NDArray[np.uint8]],
) -> tuple[dict[int, NDArray[np.uint8]], list[float]]:
    """The converted frames at `indices`, and the times in seconds of all frames that decode."""
    wanted = set(indices)
    kept, times = {}, []
    with _opened(path) as (container, stream):
        rate = float(stream.average_rate or USUAL_RATE)
        for index, frame in enumerate(_frames(container, stream)):
            if index in wanted:
                kept[index] = convert(frame)
            if frame.pts is None or stream.time_base is None:
                times.append(index / rate)
            else:  # frame.time is NaN for the frames that the decoder held back to the end
                times.append(float(frame.pts * stream.time_base))
    return kept, times


def _count_packets(path: Path) -> int:
    with _opened(path) as (container, stream):
        return sum(1 for _ in _packets(container, stream))


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
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise VideoError(f"cannot be decoded: {error.strerror}") from None


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Every frame that decodes, in the order of presentation."""
    # Several threads give different frames from run to run where data is damaged; clips are what
    # runs in parallel.
    decoder = stream.codec_context
    decoder.thread_count = 1
    for packet in _packets(container, stream):
        with suppress(av.FFmpegError):  # one damaged packet
            yield from decoder.decode(packet)
    with suppress(av.FFmpegError):
        yield from decoder.decode(None)  # the frames that the decoder still holds back


def _packets(container: InputContainer, stream: VideoStream) -> Iterator["av.Packet[VideoStream]"]:
    """The stream's packets, up to where the file breaks off; empty ones (AVI has them) left out."""
    with suppress(av.InvalidDataError):  # and not a disk's errors: they would shorten a sound clip
        for packet in container.demux(stream):
            if packet.size:
                yield packet


def _to_square(size: int) -> Callable[[av.VideoFrame], NDArray[np.uint8]]:
    scaler = VideoReformatter()  # keeps its tables from one frame to the next

    def convert(frame: av.VideoFrame) -> NDArray[np.uint8]:
        scale = size / min(frame.width, frame.height)
        width, height = round(frame.width * scale), round(frame.height * scale)
        scaled = scaler.reformat(
            frame, width, height, format="rgb24", interpolation=SCALING, threads=1
        )
        left, top = (width - size) // 2, (height - size) // 2
        pixels = scaled.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        return pixels[top : top + size, left : left + size]

    return convert

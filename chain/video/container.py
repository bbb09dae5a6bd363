"""Opening video files: which formats are read, which stream is taken, and how long it may last."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from chain.core.errors import InputError

# fmt: off
FORMATS = (
    "apng", "asf", "av1", "avi", "dhav", "dv", "flv", "gif", "gxf", "h263", "h264", "hevc", "ivf",
    "m4v", "matroska", "mjpeg", "mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nsv", "nut", "obu",
    "ogg", "rm", "vc1", "vvc", "wtv", "yuv4mpegpipe",
)
# fmt: on
"""FFmpeg's names of the formats that hold video themselves. The other formats are sound, pictures,
or texts that make FFmpeg open more files."""
TEXTS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a concat script",
    b"v=0": "an SDP description",
    b"<": "an XML document, such as a DASH manifest",
    b"[playlist]": "a playlist",
}
"""How texts begin that FFmpeg would follow to other files, and what they are."""
FRAME_EACH = {"av1"}
"""Codecs that have a frame in every packet, and a decoder that passes over damaged ones."""
LARGEST = 8192 * 4320  # pixels of a frame
PATIENCE = 120.0  # seconds for any file
PATIENCE_PER_BYTE = 60e-6  # seconds in addition, a minute for each megabyte

Packet: TypeAlias = "av.Packet[VideoStream]"


class VideoError(InputError):
    """A clip cannot be used; the message gives the reason without the path."""


@dataclass
class Media:
    """An open file, and the video stream in it that is read."""

    container: InputContainer
    stream: VideoStream
    deadline: float
    """The reading of `time.monotonic` after which the file is given up."""
    damaged: bool = False
    """Whether anything read so far was marked as damaged, or did not decode."""

    def packets(self) -> Iterator[Packet]:
        """The stream's packets up to where the file breaks off.

        Empty packets, which AVI has, are left out. Raises VideoError after the deadline.
        """
        try:
            for packet in self.container.demux(self.stream):
                check(self.deadline)
                if packet.size:
                    self.damaged |= packet.is_corrupt
                    yield packet
        except av.FFmpegError:
            check(self.deadline)  # FFmpeg gives up by itself where it waits for the disk
            self.damaged = True

    def frames(self, packets: Iterable[Packet]) -> Iterator[av.VideoFrame]:
        """Every frame that decodes, in the order of presentation; a damaged packet costs its own.

        Raises VideoError after the deadline.
        """
        decoder, missing = self.stream.codec_context, 0
        for packet in chain(packets, [None]):  # at last the frames that the decoder held back
            check(self.deadline)
            missing += packet is not None and not packet.is_discard
            try:
                decoded = decoder.decode(packet)
            except av.FFmpegError:
                self.damaged = True
                continue
            missing -= len(decoded)
            for frame in decoded:
                self.damaged |= frame.is_corrupt
                yield frame
        self.damaged |= missing > 0 and decoder.codec.canonical_name in FRAME_EACH


def deadline(path: Path) -> float:
    """When reading the file must have ended, as `time.monotonic` counts."""
    size = os.path.getsize(path) if os.path.isfile(path) else 0  # Path.is_file may raise OSError
    return time.monotonic() + PATIENCE + PATIENCE_PER_BYTE * size


def check(until: float) -> None:
    """Raise VideoError if the deadline `until` has passed."""
    if time.monotonic() > until:
        raise VideoError("takes longer to decode than a file of its size may")


@contextmanager
def opened(path: Path, until: float) -> Iterator[Media]:
    """Open a file to read its main video stream until the deadline `until`.

    * Only FORMATS are opened, whatever the file's name, and no other file is opened through it.
    * The stream that is marked as default is taken, or else the first. Cover pictures, thumbnails
      and streams that complete another one do not count.

    Raises VideoError if there is no such stream, if a frame has more than LARGEST pixels, or if
    FFmpeg fails.
    """
    bounds = {"max_pixels": str(2 * LARGEST)}  # FFmpeg counts the margins of its buffers
    try:
        container = av.open(
            f"file:{path}",
            metadata_errors="replace",
            container_options={"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"},
            options=bounds,
            timeout=max(until - time.monotonic(), 1.0),
        )
    except av.ArgumentError:
        raise VideoError(f"cannot be opened: it is {_kind(path)}") from None
    except av.FFmpegError as error:
        raise VideoError(f"cannot be opened: {error.strerror}") from None
    with container:
        stream = _main_stream(container)
        decoder = stream.codec_context
        if decoder.width * decoder.height > LARGEST:
            raise VideoError(f"frames of {decoder.width} x {decoder.height} pixels are too large")
        # With several threads, damaged data gives different frames from run to run. Clips are
        # decoded in parallel instead.
        decoder.thread_count = 1
        decoder.options = bounds
        if decoder.name == "hevc":  # its decoder would drop all frames after a lost one
            decoder.flags |= Flags.output_corrupt
        try:
            yield Media(container, stream, until)
        except av.FFmpegError as error:
            raise VideoError(f"cannot be decoded: {error.strerror}") from None


def _main_stream(container: InputContainer) -> VideoStream:
    aside = (
        Disposition.attached_pic
        | Disposition.timed_thumbnails
        | Disposition.dependent
        | Disposition.multilayer
    )
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & aside
    ]
    if not streams:
        raise VideoError("no video stream")
    return max(streams, key=lambda stream: bool(stream.disposition & Disposition.default))


def _kind(path: Path) -> str:
    """What a file is that FFmpeg may not open, for a message."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    found = (kind for head, kind in TEXTS.items() if start.startswith(head))
    return next(found, "no format that holds video")

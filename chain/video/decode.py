"""Reading frames out of video files."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from chain.video.container import Media, Packet, VideoError, check, deadline, opened
from chain.video.seek import Entry, Plan, Run, plan_runs
from chain.video.square import Convert, Neighbour, to_square
from chain.video.whole import is_whole

USUAL_RATE = 25.0  # frames per second, for times where a file states neither times nor a rate
HELD = 2**25  # bytes of the largest file whose packets stay in memory until they are decoded
BROADCAST = ("mpeg", "mpegts")  # formats whose files can be joined end to end
LEAP = 10.0  # seconds; in these formats, a longer step is where two recordings were joined

Taken = tuple[dict[int, NDArray[np.uint8]], list[float]]
"""The converted frames by index, and the times in seconds of all frames."""


class _Scan(NamedTuple):
    """What is known of a stream after all its packets were read once."""

    media: Media
    entries: list[Entry]
    held: list[Packet]
    """All packets, or none if the file is larger than HELD."""


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
    damaged: bool
    """Whether data is damaged, so that frames are lost or partly wrong."""


def read_clip(path: Path, frames: int, size: int) -> Clip:
    """Decode `frames` frames of the video at `path`, as squares of `size` pixels.

    * `to_square` says how a frame becomes a square, and `opened` which stream is taken.
    * A clip with too few frames repeats the nearest ones.
    * A clip with damaged data keeps the frames that still decode. So does one that breaks off.
    * Where MPEG recordings were joined end to end, times go on without a gap.
    * Memory grows with the clip's length by a few hundred bytes a frame. It is bounded otherwise.

    A long clip is decoded in part where that is enough for the wanted frames: see `plan_runs`.

    * The result is the same, bit for bit, if each packet that is left out holds one sound frame.
    * Damage in those packets goes unseen unless the container marks it. If n of their frames would
      not decode, `decoded` is too large by n, and the frames taken may be up to n frames off.
    * If the packets that are decoded show any fault, the whole clip is decoded.

    Raises VideoError in these cases:

    * The file cannot be opened, is of no format that holds video, or holds no video.
    * Nothing decodes.
    * It takes longer than `deadline` allows.
    """
    # Which frames to keep depends on how many decode, and that is known only at the end. Nearly
    # always each packet gives one frame, and counting packets is cheap. If the count turns out
    # wrong, the clip is decoded again.
    until, taken = deadline(path), None
    with opened(path, until) as media:
        convert = to_square(size, media.stream.sample_aspect_ratio)
        broadcast = media.container.format.name in BROADCAST
        scan = _scan(media)
        whole = is_whole(path, media.container.format.name, until)
        expected = len(scan.entries)
        indices = midpoints(expected, frames)
        decoder = media.stream.codec_context
        if plan := plan_runs(scan.entries, indices, decoder.name, decoder.has_b_frames):
            taken = _take_runs(scan, plan, indices, convert)
        elif scan.held:
            taken = _take(media, scan.held, indices, convert)
    damaged = media.damaged
    if not taken:
        taken, damaged = _take_anew(path, until, indices, convert)
    if len(taken[1]) != expected:
        indices = midpoints(len(taken[1]), frames)
        taken, damaged = _take_anew(path, until, indices, convert)
    kept, times = taken
    if not times:
        raise VideoError("no frame decodes")
    seconds = _without_leaps(times) if broadcast else np.subtract(times, times[0])
    return Clip(
        images=np.stack([kept[index] for index in indices]),
        times=seconds[indices].astype(np.float32),
        decoded=len(times),
        duration=float(seconds[-1]) * len(times) / max(len(times) - 1, 1),
        damaged=damaged or not whole,
    )


def midpoints(count: int, segments: int) -> list[int]:
    """The middle index of each of `segments` equal parts of range(count); a small count repeats."""
    return [(2 * segment + 1) * count // (2 * segments) for segment in range(segments)]


def _scan(media: Media) -> _Scan:
    scan = _Scan(media, [], [])
    for packet in media.packets():
        usable = not (packet.is_corrupt or packet.is_discard)
        entry = Entry(packet.pts, packet.dts, packet.size, packet.is_keyframe, usable)
        scan.entries.append(entry)
        if media.container.size <= HELD:
            scan.held.append(packet)
    return scan


def _take(
    media: Media, packets: Iterable[Packet], indices: Collection[int], convert: Convert
) -> Taken:
    """The frames at `indices` of all that decode."""
    wanted = set(indices)
    kept, times = {}, []
    base, rate = media.stream.time_base, float(media.stream.average_rate or USUAL_RATE)
    for index, (before, frame, after) in enumerate(_with_neighbours(media.frames(packets))):
        if index in wanted:
            kept[index] = convert(before, frame, after)
        if frame.pts is None or base is None:
            times.append(index / rate)
        else:  # not frame.time, which is NaN for the frames that the decoder held back to the end
            times.append(_seconds(frame.pts, base))
    return kept, times


def _take_anew(
    path: Path, until: float, indices: Collection[int], convert: Convert
) -> tuple[Taken, bool]:
    """The same as `_take` of the whole file, and whether any of it is damaged."""
    with opened(path, until) as media:
        return _take(media, media.packets(), indices, convert), media.damaged


def _with_neighbours(
    frames: Iterable[av.VideoFrame],
) -> Iterator[tuple[Neighbour, av.VideoFrame, Neighbour]]:
    before, frame = None, None
    for after in chain(frames, [None]):
        if frame:
            yield before, frame, after
        before, frame = frame, after


def _take_runs(scan: _Scan, plan: Plan, indices: Collection[int], convert: Convert) -> Taken | None:
    """The same as `_take`, or None if anything that is decoded is not as planned."""
    base = scan.media.stream.time_base
    if base is None:
        return None
    wanted = {plan.pts[index]: index for index in indices}
    kept = {}
    for run in plan.runs:
        shown: list[int | None] = []
        try:
            for frame in _frames_of(scan, run):
                if frame.is_corrupt or not (shown or frame.pict_type == PictureType.I):
                    return None
                if frame.interlaced_frame:  # its neighbours, which it needs, may be in no run
                    return None
                shown.append(frame.pts)
                if frame.pts in wanted:
                    kept[wanted[frame.pts]] = convert(None, frame, None)
        except av.FFmpegError:
            return None
        if shown != run.pts:
            return None
    return kept, [_seconds(pts, base) for pts in plan.pts]


def _seconds(pts: int, base: Fraction) -> float:
    return pts * base.numerator / base.denominator  # equals float(pts * base), but is faster


def _without_leaps(times: Sequence[float]) -> NDArray[np.float64]:
    """Seconds since the first frame; where times go back or leap, the usual step is taken."""
    steps = np.diff(times)
    leaps = (steps < 0) | (steps > LEAP)
    if not leaps.any():
        return np.subtract(times, times[0])
    steps[leaps] = 0 if leaps.all() else np.median(steps[~leaps])
    return np.concatenate([[0], steps.cumsum()])


def _frames_of(scan: _Scan, run: Run) -> Iterator[av.VideoFrame]:
    """The frames of a run, in the order of presentation. Damaged data raises FFmpegError."""
    decoder = scan.media.stream.codec_context
    for packet in scan.held[run.start : run.stop] or _seek(scan, run):
        check(scan.media.deadline)
        yield from decoder.decode(packet)
    yield from decoder.decode(None)
    decoder.flush_buffers()


def _seek(scan: _Scan, run: Run) -> Iterator[Packet]:
    """Read the packets of a run from the file; if they are not found, it gives others or none."""
    media = scan.media
    media.container.seek(run.time, stream=media.stream)  # to the last keyframe before that time
    found = dropwhile(lambda packet: packet.pts != run.pts[0], media.packets())
    return islice(found, run.stop - run.start)

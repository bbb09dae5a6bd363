"""From a video file to the frames that its codes are made of, a few at a time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from chain.collection.segmenting import Segmenting
from chain.core.errors import InputError
from chain.video.container import Media, VideoError, deadline, opened
from chain.video.decode import (
    BROADCAST,
    USUAL_RATE,
    _seconds,
    _with_neighbours,
    _without_leaps,
    midpoints,
    read_clip,
)
from chain.video.square import to_square
from chain.video.whole import is_whole


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames of a video: as many as the code of a whole video is made of, D."""

    places: NDArray[np.int64]
    """Which of the video's T frames they are (D,)."""
    images: NDArray[np.uint8]
    """(D, S, S, 3) RGB."""
    whole: bool
    """Whether they are those that the code of the whole video is made of."""


@dataclass(eq=False)
class Reading:
    """A video that is read: T evenly spaced frames, of which at most 2 D are in memory at a time.

    What the frames are is known at once. What else it tells is known when all have been read.
    """

    path: Path
    frames: int
    """D, how many frames a short video and a segment have."""
    size: int
    """S, the side of a frame in pixels."""
    segmenting: Segmenting
    times: NDArray[np.float32] = field(init=False)
    """The times of the frames (T,), in seconds."""
    duration: float = field(init=False)
    damaged: bool = field(init=False)
    """Whether data is damaged or missing, so that frames are lost or partly wrong."""

    def __iter__(self) -> Iterator[Batch]:
        """Decode the video once. Raises InputError, which names the file, if it can't be read."""
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file")
        try:
            until = deadline(self.path)
            density = self._density(until)
            if density == 1:
                yield self._short()
            else:
                yield from self._long(density, until)
        except VideoError as error:
            raise InputError(f"{self.path}: {error}") from None

    def _density(self, until: float) -> int:
        """How many times D frames to read, by the headers of the packets."""
        with opened(self.path, until) as media:
            times = [packet.pts for packet in media.packets()]
            stated = [pts for pts in times if pts is not None]
            if len(stated) == len(times) > 1 and media.stream.time_base:
                seconds = float((max(stated) - min(stated)) * media.stream.time_base)
            else:
                seconds = len(times) / float(media.stream.average_rate or USUAL_RATE)
            self._count = len(times)
        most = max(len(times) // self.frames, 1)
        return min(self.segmenting.density(seconds), most - 1 + most % 2)

    def _short(self) -> Batch:
        clip = read_clip(self.path, self.frames, self.size)
        self.times, self.duration, self.damaged = clip.times, clip.duration, clip.damaged
        return Batch(np.arange(self.frames), clip.images, whole=True)

    def _long(self, density: int, until: float) -> Iterator[Batch]:
        """Read D * density frames; the midmost of each `density` are those of the whole video."""
        count, total = self._count, self.frames * density
        indices = midpoints(count, total)
        midmost = midmost_of(self.frames, density)
        others = np.setdiff1d(np.arange(total), midmost).reshape(-1, self.frames)
        held, batch = dict[int, NDArray[np.uint8]](), 0
        with opened(self.path, until) as media:
            for place, image in _taken(media, indices, self.size, times := list[float]()):
                held[place] = image
                if batch < len(others) and place >= others[batch, -1]:
                    started = time.monotonic()
                    yield Batch(others[batch], _pop(held, others[batch]), whole=False)
                    media.deadline += time.monotonic() - started  # which is not decoding
                    batch += 1
            broadcast = media.container.format.name in BROADCAST
            sound = len(times) == count and not media.damaged
            self.damaged = not is_whole(self.path, media.container.format.name, media.deadline)
        seconds = _without_leaps(times) if broadcast else np.subtract(times, times[0])
        self.times = seconds[np.minimum(indices, len(times) - 1)].astype(np.float32)
        self.duration = float(seconds[-1]) * len(times) / max(len(times) - 1, 1)
        if sound:
            images = _pop(held, midmost)
        else:  # which frames they are depends on how many decode
            clip = read_clip(self.path, self.frames, self.size)
            images, self.damaged = clip.images, clip.damaged
        yield Batch(midmost, images, whole=True)


def midmost_of(frames: int, density: int) -> NDArray[np.int64]:
    """Which of D * density midpoints are the D midpoints; `density` is odd."""
    return np.arange(frames) * density + density // 2


def _taken(
    media: Media, indices: list[int], size: int, times: list[float]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The place and the image of each frame at `indices`, in order; all times go to `times`.

    Where a video ends early, its last frame stands for those that are missing.
    """
    convert = to_square(size, media.stream.sample_aspect_ratio)
    base, rate = media.stream.time_base, float(media.stream.average_rate or USUAL_RATE)
    place, image = 0, None
    for index, (before, frame, after) in enumerate(_with_neighbours(_frames(media))):
        pts = frame.pts
        times.append(index / rate if pts is None or base is None else _seconds(pts, base))
        while place < len(indices) and indices[place] == index:
            image = convert(before, frame, after)
            yield place, image
            place += 1
    if image is None:
        raise VideoError("no frame decodes")
    for missing in range(place, len(indices)):
        yield missing, image


def _frames(media: Media) -> Iterator[av.VideoFrame]:
    return media.frames(media.packets())


def _pop(held: dict[int, NDArray[np.uint8]], places: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack([held.pop(place) for place in places.tolist()])

"""Fingerprints of clips: near copies have nearly the same, whatever their size and encoding."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from scipy.fft import dctn

from chain.video.container import Media, VideoError, deadline, opened
from chain.video.square import display_matrix, turned

PLACES = (1 / 6, 1 / 2, 5 / 6)
"""Where in a clip its pictures are taken, as shares of its length."""
SIDE = 64  # pixels of the shrunk picture, whose aspect ratio is given up
DARK = 32  # grey levels; borders that are darker in all pictures are bars
FLAT = 3.0  # grey levels; a picture with a smaller standard deviation shows nothing
WAVES = 8  # frequencies in each direction; a picture's hash has their square in bits


def fingerprint(path: Path) -> NDArray[np.uint8]:
    """The fingerprint of a clip, (24,); it is 0 where the clip has none.

    * It holds a hash of 64 bits for each of three pictures, which are taken at PLACES. Black bars
      around them are cut off.
    * The first bit of a hash says that the picture is not flat. Each other bit says whether one of
      its 63 lowest frequencies is above their median (pHash, Zauner 2010). Of a flat picture, all
      bits are 0.
    * A clip has no fingerprint if it does not decode, or if more than one picture is flat.
    """
    none = np.zeros(len(PLACES) * WAVES**2 // 8, np.uint8)
    try:
        with opened(path, deadline(path)) as media:
            pictures = list(_pictures(media))
    except VideoError:
        return none
    if len(pictures) < len(PLACES):
        return none
    shown = np.stack(pictures).astype(np.float64)
    bright = shown.max(axis=0) > DARK
    if not bright.any():
        return none
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    shown = shown[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    shows = shown.std(axis=(1, 2)) >= FLAT
    if shows.sum() < len(PLACES) - 1:
        return none
    waves = np.zeros((len(PLACES), WAVES, WAVES))
    low = dctn(shown, axes=(1, 2), norm="ortho")[:, :WAVES, :WAVES]
    waves[:, : low.shape[1], : low.shape[2]] = low
    flat = waves.reshape(len(PLACES), -1)
    bits = flat > np.median(flat[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = True
    return np.packbits((bits & shows[:, None]).ravel())


def _pictures(media: Media) -> Iterator[NDArray[np.uint8]]:
    """The pictures at PLACES, in grey and shrunk; past the end, the last one."""
    stream = media.stream
    stream.codec_context.skip_frame = "NONREF"  # half the time; a picture comes a little later
    base = stream.time_base or Fraction(1, 1000)
    length = stream.duration or int((media.container.duration or 0) / av.time_base / base)
    frames: Iterator[av.VideoFrame] = iter(())
    frame: av.VideoFrame | None = None
    for place in PLACES:
        time = (stream.start_time or 0) + int(place * length)
        if frame is None or frame.pts is None or _keyframe(media, time) > frame.pts:
            media.container.seek(time, stream=stream)
            frames = media.frames(media.packets())
        for frame in frames:
            if frame.pts is not None and frame.pts >= time:
                break
        if frame is not None:
            grey = frame.reformat(SIDE, SIDE, format="gray8", interpolation=Interpolation.AREA)
            yield turned(grey.to_ndarray().astype(np.uint8, copy=False), display_matrix(frame))


def _keyframe(media: Media, time: int) -> int:
    """The time of the last keyframe up to `time`; `time` itself where the file has no index."""
    entries = media.stream.index_entries
    place = entries.search_timestamp(time)
    return entries[place].timestamp if place >= 0 else time

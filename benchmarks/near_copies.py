"""Near copies of clips, as people make them: the clips that `benchmarks.copies` looks for."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""All frames of a clip, (n, H, W, 3) RGB."""
Clip = tuple[Frames, float]
"""Frames, and how many there are a second."""
Edit = Callable[[Clip, int, Sequence[Frames]], Clip]
"""It turns a clip into its copy. Kinds of an edit take turns by the clip's number. The frames of
two other clips are given, which surround an embedded one."""
EVEN = 2  # H.264 with halved colours needs even sides


def read(path: Path) -> Clip:
    """All frames of a clip, and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(images), float(stream.average_rate or 25)


def write(path: Path, frames: Frames, rate: float, crf: int) -> Path:
    """Write frames as an H.264 file; a higher `crf` is a lower quality."""
    height, width = (side // EVEN * EVEN for side in frames.shape[1:3])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=Fraction(rate).limit_denominator(1000),
            options={"crf": str(crf), "preset": "veryfast"},
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in frames[:, :height, :width]:
            packed = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            container.mux(stream.encode(packed))
        container.mux(stream.encode())
    return path


def resized(frames: Frames, height: int, width: int) -> Frames:
    """The frames at another size, (n, height, width, 3)."""
    images = (av.VideoFrame.from_ndarray(np.ascontiguousarray(one), "rgb24") for one in frames)
    return np.stack([image.reformat(width, height).to_ndarray() for image in images])


def same(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    return clip


def scaled(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Half as high and as wide."""
    frames, rate = clip
    return resized(frames, frames.shape[1] // 2, frames.shape[2] // 2), rate


def cropped(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """A tenth is cut off each side; of every second clip, a fifth off the top and the left."""
    frames, rate = clip
    height, width = frames.shape[1:3]
    if number % 2:
        return frames[:, height // 5 :, width // 5 :], rate
    return frames[:, height // 10 : -(height // 10), width // 10 : -(width // 10)], rate


def with_logo(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """A bright box with dark stripes, a quarter as high and as wide, in one of the corners."""
    frames, rate = clip
    height, width = frames.shape[1:3]
    tall, wide = height // 4, width // 4
    top = (height // 20, height - tall - height // 20)[number % 2]
    left = (width // 20, width - wide - width // 20)[number // 2 % 2]
    marked = frames.copy()
    box = marked[:, top : top + tall, left : left + wide]
    box[:] = (250, 220, 40)
    box[:, tall // 5 :: max(2, tall // 4)] = (20, 20, 120)
    return marked, rate


def with_bars(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Black bars, a sixth of the picture each: above and below, or left and right."""
    frames, rate = clip
    height, width = frames.shape[1:3]
    up, side = ((height // 6, 0), (0, width // 6))[number % 2]
    return np.pad(frames, ((0, 0), (up, up), (side, side), (0, 0))), rate


def grey(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Without colour."""
    frames, rate = clip
    light = (frames @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return light[..., None].repeat(3, axis=3), rate


def at_speed(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """A quarter faster, or a fifth slower."""
    frames, rate = clip
    return frames, rate * (1.25, 0.8)[number % 2]


def trimmed(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """One third of its length: the first, the middle or the last one."""
    frames, rate = clip
    third = len(frames) // 3
    return frames[number % 3 * third :][:third], rate


def embedded(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Between two other clips."""
    frames, rate = clip
    before, after = (resized(one, *frames.shape[1:3]) for one in others)
    return np.concatenate([before, frames, after]), rate


def mirrored(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Left and right exchanged."""
    frames, rate = clip
    return frames[:, :, ::-1], rate


def rotated(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Turned by a quarter to the left, or to the right, or by a half."""
    frames, rate = clip
    return np.rot90(frames, (1, 3, 2)[number % 3], axes=(1, 2)), rate


def backwards(clip: Clip, number: int, others: Sequence[Frames]) -> Clip:
    """Played backwards, which is no copy: the same pictures, but another motion."""
    frames, rate = clip
    return frames[::-1], rate


EDITS: dict[str, tuple[Edit, int]] = {
    "re-encoded": (same, 38),
    "scaled": (scaled, 23),
    "cropped": (cropped, 23),
    "logo": (with_logo, 23),
    "bars": (with_bars, 23),
    "grey": (grey, 23),
    "speed": (at_speed, 23),
    "third": (trimmed, 23),
    "embedded": (embedded, 23),
    "mirrored": (mirrored, 23),
    "rotated": (rotated, 23),
    "backwards": (backwards, 23),
}
"""Each edit with the quality (`crf`) of its file."""


def make(clips: Sequence[Path], fillers: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Write a copy of each clip by each edit to `folder`; the files by edit, in the clips' order.

    Two of the `fillers` surround each embedded clip. A file that is there already stays.
    """
    made: dict[str, list[Path]] = {name: [] for name in EDITS}
    for number, clip in enumerate(clips):
        paths = {name: folder / f"{number:03d}-{name}.mp4" for name in EDITS}
        missing = [name for name, path in paths.items() if not path.exists()]
        if missing:
            source = read(clip)
            others = [read(path)[0] for path in fillers[2 * number : 2 * number + 2]]
        for name in missing:
            edit, crf = EDITS[name]
            copied, speed = edit(source, number, others)
            part = write(paths[name].with_suffix(".part.mp4"), copied, speed, crf)
            part.rename(paths[name])
        for name, path in paths.items():
            made[name].append(path)
    return made

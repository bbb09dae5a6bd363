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
Edit = Callable[[Frames, float, Sequence[Frames], int], tuple[Frames, float]]
"""It turns frames and their rate into those of the copy. The frames of other clips are given, for
what surrounds an embedded one, and the clip's number, by which kinds of an edit take turns."""
EVEN = 2  # H.264 with halved colours needs even sides


def read(path: Path) -> tuple[Frames, float]:
    """All frames of a clip, and how many there are a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(images), float(stream.average_rate or 25)


def write(path: Path, frames: Frames, rate: float, crf: int = 23) -> Path:
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


def same(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    return frames, rate


def scaled(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Half as high and as wide."""
    return resized(frames, frames.shape[1] // 2, frames.shape[2] // 2), rate


def cropped(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """A tenth is cut off each side; of every second clip, a fifth off the top and the left."""
    height, width = frames.shape[1:3]
    if number % 2:
        return frames[:, height // 5 :, width // 5 :], rate
    return frames[:, height // 10 : -(height // 10), width // 10 : -(width // 10)], rate


def with_logo(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """A bright box with dark stripes, a quarter as high and as wide, in one of the corners."""
    height, width = frames.shape[1:3]
    tall, wide = height // 4, width // 4
    top = (height // 20, height - tall - height // 20)[number % 2]
    left = (width // 20, width - wide - width // 20)[number // 2 % 2]
    marked = frames.copy()
    box = marked[:, top : top + tall, left : left + wide]
    box[:] = (250, 220, 40)
    box[:, tall // 5 :: max(2, tall // 4)] = (20, 20, 120)
    return marked, rate


def with_bars(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Black bars, a sixth of the picture each: above and below, or left and right."""
    height, width = frames.shape[1:3]
    up, side = ((height // 6, 0), (0, width // 6))[number % 2]
    return np.pad(frames, ((0, 0), (up, up), (side, side), (0, 0))), rate


def grey(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Without colour."""
    light = (frames @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return light[..., None].repeat(3, axis=3), rate


def at_speed(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """A quarter faster, or a fifth slower."""
    return frames, rate * (1.25, 0.8)[number % 2]


def trimmed(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """One third of its length: the first, the middle or the last one."""
    third = len(frames) // 3
    return frames[number % 3 * third :][:third], rate


def embedded(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Between two other clips."""
    before, after = (
        resized(one, *frames.shape[1:3]) for one in (others[2 * number], others[2 * number + 1])
    )
    return np.concatenate([before, frames, after]), rate


def mirrored(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Left and right exchanged."""
    return frames[:, :, ::-1], rate


def rotated(
    frames: Frames, rate: float, others: Sequence[Frames], number: int
) -> tuple[Frames, float]:
    """Turned by a quarter to the left, or to the right, or by a half."""
    return np.rot90(frames, (1, 3, 2)[number % 3], axes=(1, 2)), rate


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
}
"""Each edit with the quality (`crf`) of its file."""


def make(clips: Sequence[Path], fillers: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Write a copy of each clip by each edit to `folder`; the files by edit, in the clips' order.

    Two of the `fillers` surround each embedded clip.
    """
    others = [read(path)[0] for path in fillers]
    made: dict[str, list[Path]] = {name: [] for name in EDITS}
    for number, clip in enumerate(clips):
        frames, rate = read(clip)
        for name, (edit, crf) in EDITS.items():
            copied, speed = edit(frames, rate, others, number)
            path = folder / f"{number:03d}-{name}.mp4"
            made[name].append(write(path, copied, speed, crf))
    return made

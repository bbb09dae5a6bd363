"""What several benchmarks share: rivals that take turns, and clips to decode."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chain.figures.style import save
from chain.results.table import Table, write_tables
from stages.report import BENCHMARKS

Work = Callable[[], Any]
Way = tuple[Callable[..., Work], tuple[Any, ...]]
"""What prepares the work, and its arguments."""
LIBRARIES = ["av", "pandas", "pydantic", "sklearn.cluster", "torch", "torchvision"]

RATE, PART = 25, 10  # frames per second; seconds of a clip before it repeats
KEYFRAMES = 5 * RATE
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", ".mp4", {}),
    "mpeg4": ("mpeg4", ".avi", {}),
    "vp9": ("libvpx-vp9", ".webm", {"deadline": "realtime", "cpu-used": "6"}),
}
"""Encoder, container and options."""


@dataclass
class Measured:
    """What one way took, round by round."""

    seconds: list[float] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    peak: float = 0.0
    """MiB that its process held at most, above those of the libraries that all of them load
    (its own preparation included)."""

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    def times(self, ours: "Measured") -> float:
        """How many times as long as ours it takes: the median of the rounds' ratios."""
        return float(np.median(np.divide(self.seconds, ours.seconds)))


def alternate(ways: Mapping[str, Way], rounds: int) -> dict[str, Measured]:
    """Every way in a process of its own, one after the other in each of the rounds.

    Before the first round each works once unmeasured; every second round goes backwards.
    """
    os.environ["TQDM_DISABLE"] = "1"
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)  # else every process would load them itself
    measured = {name: Measured() for name in ways}
    with ExitStack() as stack:
        pools = {name: stack.enter_context(ProcessPoolExecutor(1, context)) for name in ways}
        ready = [pools[name].submit(_prepare, *way) for name, way in ways.items()]
        for waiting in ready:
            waiting.result()
        for turn in range(-1, rounds):
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                seconds, result, peak = pools[name].submit(_work).result()
                if turn >= 0:
                    measured[name].seconds.append(seconds)
                    measured[name].results.append(result)
                    measured[name].peak = peak
    return measured


_ready: tuple[Work, float]  # of this process: its work, and its MiB before


def _prepare(prepare: Callable[..., Work], arguments: tuple[Any, ...]) -> None:
    global _ready
    before = _mebibytes("VmRSS")
    _ready = prepare(*arguments), before


def _work() -> tuple[float, Any, float]:
    work, before = _ready
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result, _mebibytes("VmHWM") - before


def _mebibytes(line: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) / 1024


def write_clip(folder: Path, codec: str, seconds: int, width: int, height: int) -> Path:
    """A clip in `folder`, once made; half a megabit a second at 320 × 240, 25 frames per second.

    A texture that moves, with noise, so that neighbouring frames differ. Long clips repeat the
    packets of their first ten seconds, which takes no time to encode.
    """
    encoder, suffix, options = CODECS[codec]
    path = folder / f"{codec}_{seconds}_{width}{suffix}"
    if path.exists():
        return path
    period = min(seconds, PART) * RATE
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = KEYFRAMES
        stream.bit_rate = 500_000 * width * height // (320 * 240)
        packets: list[av.Packet[VideoStream]] = []
        for image in _moving(period, width, height):
            packets += stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))
        packets += stream.encode()
        parts = [(bytes(packet), packet) for packet in packets]
        for first in range(0, seconds * RATE, period):
            for data, packet in parts:
                copy = av.Packet(data)
                assert packet.pts is not None and packet.dts is not None
                copy.stream, copy.time_base = stream, packet.time_base
                copy.pts, copy.dts = packet.pts + first, packet.dts + first
                copy.duration, copy.is_keyframe = 1, packet.is_keyframe
                container.mux(copy)
    return path


def _moving(count: int, width: int, height: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    shape = (height + count, width + 2 * count)
    texture = np.zeros((*shape, 3))
    for block in (4, 16, 64):
        coarse = random.uniform(0, 80, (shape[0] // block + 1, shape[1] // block + 1, 3))
        texture += coarse.repeat(block, 0).repeat(block, 1)[: shape[0], : shape[1]]
    noise = random.normal(0, 3, (4, height, width, 3))
    images = (
        texture[index : index + height, 2 * index : 2 * index + width] + noise[index % 4]
        for index in range(count)
    )
    return [image.clip(0, 255).astype(np.uint8) for image in images]


def publish(dataset: str, name: str, table: Table, figure: Figure) -> None:
    """Print a table, and write it with its figure to `benchmarks/results/<dataset>`.

    The report of the next `dvc repro` shows both, if it has that data set.
    """
    folder = BENCHMARKS / dataset
    write_tables(folder / f"{name}.json", folder / f"{name}.md", [table])
    save(figure, folder / f"{name}.png")
    print(table.markdown())

"""Reading frames of a clip: chain.video against plain PyAV loops, OpenCV and torchcodec.

Every way turns the same clip into D frames of S × S pixels at the midpoints of D equal segments, on
one thread unless its name says 2; `pack 2` is `pack_frames` on two workers, with several clips to
pack and what it writes to disk. `frames/s` counts the clip's frames, wanted or not. `× ours` is how
many times as long as `read_clip` a way takes: below 1 we lose. `off` is the mean difference of its
pixels from ours, in grey levels: some for another resizing, tens where other frames were found.
MiB are above the libraries that all load.

* `usual`: every frame to an array, the wanted ones resized by torch (bilinear, antialiased). It is
  left out where it would take gigabytes.
* `PyAV`: the frames that the header's count makes wanted to arrays, resized by swscale (bilinear).
* `PyAV seek`: the same, but only from the last keyframe before each wanted frame on.
* `OpenCV`: `grab` every frame, `retrieve` the wanted ones, resize (area).
* `OpenCV seek`: the same, but set to the position of each wanted frame.
* `torchcodec`: counts packets as we do ("exact"), then seeks; FFmpeg's resizing. It finds PyAV's
  FFmpeg, so that both decode with the same code.

`read_clip` counts packets, then decodes a short clip through, and so knows exactly how many frames
there are and at what times: the header's count is wrong or missing in many files, a damaged packet
gives no frame, and the midpoints, the duration and a run's reproducibility rest on that number. Of
a long clip it decodes what the wanted frames need, and checks that each packet gives its frame.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from av.container import InputContainer
from numpy.typing import NDArray

from benchmarks.common import CODECS, PART, RATE, Measured, Way, Work, alternate, write_clip
from chain.video.decode import midpoints, read_clip
from chain.video.pack import DecodeConfig, pack_frames

Images = NDArray[np.uint8]
USUAL_LIMIT = 500  # frames
OURS, PACK = "read_clip", "pack 2"
ROUNDS = 3  # of the quick form


@dataclass(frozen=True)
class Case:
    """A clip, and what is wanted of it."""

    codec: str
    seconds: int
    width: int
    height: int
    frames: int
    size: int

    def __str__(self) -> str:
        return f"{self.codec} {self.seconds} s"

    @property
    def packed(self) -> int:
        """How many clips `pack 2` gets."""
        return 2 if self.seconds > PART else 8

    @property
    def scaled(self) -> tuple[int, int]:
        """Width and height before the square is cut out."""
        scale = self.size / min(self.width, self.height)
        return round(self.width * scale), round(self.height * scale)

    def square(self, image: Images) -> Images:
        """The centre of an image of the scaled size."""
        left, top = ((side - self.size) // 2 for side in self.scaled)
        return image[top : top + self.size, left : left + self.size]


CASES = [
    case
    for codec in CODECS
    for case in (Case(codec, 7, 320, 240, 16, 112), Case(codec, 300, 640, 360, 32, 224))
]
QUICK = [Case("h264", 4, 320, 240, 16, 112), Case("h264", 40, 320, 240, 16, 112)]


def ours(path: str, case: Case) -> Images:
    return read_clip(Path(path), case.frames, case.size).images


def usual(path: str, case: Case) -> Images:
    with av.open(path) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    wanted = np.stack([every[index] for index in midpoints(len(every), case.frames)])
    images = torch.from_numpy(wanted).permute(0, 3, 1, 2).float()
    scaled = F.interpolate(images, case.scaled[::-1], mode="bilinear", antialias=True)
    rounded = scaled.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return np.stack([case.square(image) for image in rounded])


def plain(path: str, case: Case, threads: int = 1) -> Images:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        wanted = set(midpoints(stated(container), case.frames))
        every = enumerate(container.decode(stream))
        return np.stack([to_square(frame, case) for index, frame in every if index in wanted])


def seek(path: str, case: Case) -> Images:
    images = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        assert stream.average_rate and stream.time_base
        for index in midpoints(stated(container), case.frames):
            at = round(index / (stream.average_rate * stream.time_base))
            container.seek(at, stream=stream)
            found = next(frame for frame in container.decode(stream) if (frame.pts or 0) >= at)
            images.append(to_square(found, case))
    return np.stack(images)


def stated(container: InputContainer) -> int:
    """Frames as the header has it, or as its duration and rate make them."""
    stream = container.streams.video[0]
    seconds = (container.duration or 0) / av.time_base
    return stream.frames or round(seconds * float(stream.average_rate or RATE))


def to_square(frame: av.VideoFrame, case: Case) -> Images:
    width, height = case.scaled
    image = frame.to_ndarray(format="rgb24", width=width, height=height, threads=1)
    return case.square(image.astype(np.uint8, copy=False))


def opencv(path: str, case: Case) -> Images:
    import cv2

    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted, images = set(midpoints(count, case.frames)), []
    for index in range(count):
        capture.grab()
        if index in wanted:
            _, image = capture.retrieve()
            scaled = cv2.resize(image, case.scaled, interpolation=cv2.INTER_AREA)
            images.append(case.square(scaled)[:, :, ::-1])
    return np.stack(images)


def opencv_seek(path: str, case: Case) -> Images:
    import cv2

    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    images = []
    for index in midpoints(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), case.frames):
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        _, image = capture.read()
        scaled = cv2.resize(image, case.scaled, interpolation=cv2.INTER_AREA)
        images.append(case.square(scaled)[:, :, ::-1])
    return np.stack(images)


def torchcodec(path: str, case: Case) -> Images:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import CenterCrop, Resize

    steps = [Resize(case.scaled[::-1]), CenterCrop((case.size, case.size))]
    decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=1, transforms=steps)
    assert decoder.metadata.num_frames
    wanted = midpoints(decoder.metadata.num_frames, case.frames)
    images: Images = decoder.get_frames_at(wanted).data.numpy()
    return images


WAYS: dict[str, Callable[[str, Case], Images]] = {
    OURS: ours,
    "usual": usual,
    "PyAV": plain,
    "PyAV 2": partial(plain, threads=2),
    "PyAV seek": seek,
    "OpenCV": opencv,
    "OpenCV seek": opencv_seek,
    "torchcodec": torchcodec,
}
MODULES = {"OpenCV": "cv2", "OpenCV seek": "cv2", "torchcodec": "torchcodec"}


def one_clip(way: str, path: Path, case: Case) -> Work:
    torch.set_num_threads(1)
    return lambda: WAYS[way](str(path), case)


def pack(path: Path, case: Case) -> Work:
    ids = [str(number) for number in range(case.packed)]
    manifest = pd.DataFrame({"id": ids, "path": path.name, "labels": "", "split": "train"})
    config = DecodeConfig(frames=case.frames, size=case.size, max_bad=0)

    def work() -> Images:
        with tempfile.TemporaryDirectory() as name:
            scratch, out = Path(name, "scratch"), Path(name, "out")
            scratch.mkdir()
            pack_frames(manifest, path.parent, out, config, 2, scratch)
            images: Images = np.load(out / "frames.npy")[0]
            return images

    return work


def compare(case: Case, folder: Path, rounds: int, names: Iterable[str]) -> dict[str, Measured]:
    """Those of WAYS, then PACK; the seconds are those of one clip."""
    path = write_clip(folder, case.codec, case.seconds, case.width, case.height)
    ways: dict[str, Way] = {name: (one_clip, (name, path, case)) for name in names}
    measured = alternate(ways | {PACK: (pack, (path, case))}, rounds)
    measured[PACK].seconds = [seconds / case.packed for seconds in measured[PACK].seconds]
    return measured


def usable(case: Case) -> list[str]:
    """The ways that are installed and don't take gigabytes."""
    names = [name for name in WAYS if name not in MODULES or find_spec(MODULES[name])]
    return [name for name in names if name != "usual" or case.seconds * RATE <= USUAL_LIMIT]


def lend_ffmpeg(folder: Path) -> None:
    """For processes to come: PyAV's FFmpeg under the names that torchcodec looks for."""
    libraries = Path(av.__file__).parents[1] / "av.libs"
    for file in libraries.glob("lib[as][vw]*-*.so.*"):
        name, version = file.name.split("-")[0], file.name.split(".so.")[1].split(".")[0]
        (folder / f"{name}.so.{version}").symlink_to(file)
    os.environ["LD_LIBRARY_PATH"] = f"{folder}:{libraries}"


def ratios() -> dict[str, float]:
    """How many times as fast as PyAV `read_clip` is, and as `read_clip` `pack 2`; quick form."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for case in QUICK:
            measured = compare(case, Path(name), ROUNDS, [OURS, "PyAV"])
            found[str(case)] = measured["PyAV"].times(measured[OURS])
            found[f"{case} {PACK}"] = measured[OURS].times(measured[PACK])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="H.264 only, 4 and 40 seconds")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| clip | way | frames/s | × ours | off | MiB |\n|---|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lend_ffmpeg(folder)
        for case in QUICK if options.quick else CASES:
            measured = compare(
                case, folder, ROUNDS if options.quick else options.rounds, usable(case)
            )
            base = measured[OURS]
            for way, got in measured.items():
                off = np.abs(got.results[0].astype(float) - base.results[0]).mean()
                print(
                    f"| {case} | {way} | {case.seconds * RATE / got.median:,.0f} "
                    f"| {got.times(base):.2f} | {off:.1f} | {got.peak:.0f} |",
                    flush=True,
                )
    for name, module in MODULES.items():
        if not find_spec(module):
            print(f"\n{name} is not installed (benchmarks/requirements.txt).")


if __name__ == "__main__":
    main()

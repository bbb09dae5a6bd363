"""Segments that respect cuts: which cuts are found, and what a search gains by them.

Needs a hasher's folder and a folder of clips that are without cuts. Long videos are made of clips,
one right after the other, so that their cuts are known.

* Cuts are looked for among the frames of segments. One is found if it is within two thirds of the
  time between two frames. `--uncut FOLDER` counts the cuts that are found in videos that have none.
* The videos fill two collections, one whose segments respect cuts, and one whose segments do not.
  Both use the same features, so that they differ by their segments alone.
* Both are asked for parts of the videos, at half their size and poor quality: a clip, its middle
  two thirds, and two thirds of it with two thirds of the next one. `place` is the share of queries
  for which the middle of what is found in the right video is in the part that was asked for, and
  `off` is how far apart the two middles are, in the median.
"""

import argparse
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.near_copies import read, resized, write
from chain.collection import Collection, Segmenting
from chain.collection.coding import VideoCoder
from chain.collection.cuts import cuts
from chain.collection.decoding import Reading
from chain.collection.files import absolute
from chain.collection.pictures import shrunk
from chain.datasets.clip_files import EXTENSIONS, find_clips
from chain.features.bank import FeatureExtractor
from chain.hasher.hasher import Hasher

POOR = 35  # crf of the queries
FRAMES, SIDE = 16, 64  # frames of a segment, and their side in pixels


class Blind(Segmenting):
    """Segments that do not respect cuts."""

    def segments(self, duration: float, cuts: object = ()) -> NDArray[np.float64]:
        return super().segments(duration)


class Remembering:
    """A feature extractor that computes nothing twice."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor, self._known = extractor, dict[bytes, NDArray[np.float16]]()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float16]:
        key = sha256(images.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._extractor(images)
        return self._known[key]


@dataclass(frozen=True)
class Joined:
    """A video that is made of clips."""

    path: Path
    clips: list[Path]
    edges: NDArray[np.float64]
    """Where the clips begin, and where the last one ends, in seconds."""
    rate: float
    """Frames a second, those of the first clip."""


@dataclass(frozen=True)
class Query:
    """A poor copy of a part of a video."""

    path: Path
    video: Path
    start: float
    """Where in the video it is, in seconds."""
    end: float


def join(clips: list[Path], each: int, folder: Path) -> list[Joined]:
    """Make a video of every `each` clips; each has the size of its first one."""
    videos = []
    for number in range(len(clips) // each):
        path, own = folder / f"joined-{number:03d}.mp4", clips[number * each :][:each]
        rate = read(own[0])[1]
        frames = [read(clip)[0] for clip in own]
        frames = [resized(one, *frames[0].shape[1:3]) for one in frames]
        write(path, np.concatenate(frames), rate, 23)
        edges = np.cumsum([0, *map(len, frames)]) / rate
        videos.append(Joined(path, own, edges, rate))
    return videos


def found_cuts(path: Path, segmenting: Segmenting) -> tuple[NDArray[np.float64], float, float]:
    """The cuts that are found in a video, the time between two frames, and its duration."""
    video = Reading(path, FRAMES, SIDE, segmenting)
    batches = list(video)
    order = np.concatenate([batch.places for batch in batches]).argsort()
    pictures = shrunk(np.concatenate([batch.images for batch in batches])[order])
    step = float(np.median(np.diff(video.times)))
    return cuts(pictures, video.times), step, video.duration


def print_cuts(videos: list[Joined], uncut: Path | None, segmenting: Segmenting) -> None:
    true, right, wrong, steps = 0, 0, 0, []
    for video in videos:
        inner = video.edges[1:-1]
        found, step, _ = found_cuts(video.path, segmenting)
        hit = np.abs(found[:, None] - inner[None]) <= 2 / 3 * step
        true, right = true + len(inner), right + int(hit.any(axis=0).sum())
        wrong += int((~hit.any(axis=1)).sum())
        steps.append(step)
    others = [uncut / name for name in find_clips(uncut, EXTENSIONS)] if uncut else []
    without = [found_cuts(path, segmenting) for path in others]
    false, minutes = sum(len(one) for one, _, _ in without), sum(one for _, _, one in without) / 60
    print(
        f"| {segmenting.length:g} s, a frame every {np.mean(steps):.2f} s | {true} "
        f"| {right / true:.1%} | {right / max(right + wrong, 1):.1%} "
        f"| {f'{false} in {minutes:.1f} min' if uncut else ''} |",
        flush=True,
    )


def asked(videos: list[Joined], count: int, folder: Path) -> dict[str, list[Query]]:
    """Poor copies of parts of the videos, `count` of each kind, evenly spread over the videos."""
    queries: dict[str, list[Query]] = {"a clip": [], "its middle": [], "across a cut": []}
    for number in range(count):
        video = videos[number % len(videos)]
        place = 7 * number % (len(video.clips) - 1)
        one, other = (read(clip)[0] for clip in video.clips[place : place + 2])
        small = one.shape[1] // 2, one.shape[2] // 2
        one, other = resized(one, *small), resized(other, *small)
        sixth, third, last = len(one) // 6, len(one) // 3, 2 * len(other) // 3
        shown = {
            "a clip": (one, 0),
            "its middle": (one[sixth : len(one) - sixth], sixth),
            "across a cut": (np.concatenate([one[third:], other[:last]]), third),
        }
        for kind, (frames, first) in shown.items():
            path = folder / f"{kind.replace(' ', '-')}-{number:03d}.mp4"
            start = video.edges[place] + first / video.rate
            copied = write(path, frames, video.rate, POOR)
            queries[kind].append(Query(copied, video.path, start, start + len(frames) / video.rate))
    return queries


def answers(collection: Collection, queries: list[Query], count: int) -> NDArray[np.float64]:
    """The rank (Q,) of the right video, from 0, and how far off the place in it is, (2, Q)."""
    found = []
    for query in queries:
        matches = collection.search(query.path, k=count)
        names = [match.path for match in matches]
        rank = names.index(absolute(query.video)) if absolute(query.video) in names else count
        off = np.inf
        if rank < count:
            middle = (matches[rank].start + matches[rank].end) / 2
            off = abs(middle - (query.start + query.end) / 2)
        found.append((rank, off))
    return np.array(found).T


def print_searches(
    videos: list[Joined], queries: dict[str, list[Query]], length: float, folder: Path, of: Path
) -> None:
    hasher = Hasher.load(of)
    hasher.extractor = Remembering(hasher.extractor)  # type: ignore[assignment]
    for kind in (Blind, Segmenting):
        segmenting = kind(length, length / 2)
        collection = Collection.create(folder / f"{kind.__name__}-{length:g}", of, segmenting)
        collection.coder = VideoCoder(hasher, segmenting)
        collection.add([video.path for video in videos])
        codes = len(collection.codes(whole=False))
        for name, some in queries.items():
            rank, off = answers(collection, some, len(videos))
            half = np.array([query.end - query.start for query in some]) / 2
            print(
                f"| {length:g} s | {name} | {'yes' if kind is Segmenting else 'no'} | {codes} "
                f"| {(rank == 0).mean():.0%} | {(rank < 5).mean():.0%} | {(off < half).mean():.0%} "
                f"| {((rank == 0) & (off < half)).mean():.0%} | {np.median(off):.2f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hasher", type=Path, default=Path("artifacts/hasher"))
    parser.add_argument("--uncut", type=Path, help="a folder of videos without cuts")
    parser.add_argument("--skip", type=int, default=0, help="clips that are drawn first, left out")
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--each", type=int, default=12, help="clips of a video")
    parser.add_argument("--queries", type=int, default=60, help="of each kind")
    parser.add_argument("--segments", type=float, nargs="+", default=[1.0, 4.0], help="seconds")
    parser.add_argument("--seed", type=int, default=0, help="which clips are drawn")
    options = parser.parse_args()
    files = [options.folder / name for name in find_clips(options.folder, EXTENSIONS)]
    drawn = np.random.default_rng(options.seed).permutation(len(files))[options.skip :]
    clips = [files[row] for row in drawn][: options.videos * options.each]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        videos = join(clips, options.each, scratch)
        print("| segments | true cuts | recall | precision | found in uncut videos |")
        print("|---|--:|--:|--:|--:|")
        for length in options.segments:
            print_cuts(videos, options.uncut, Segmenting(length, length / 2))
        queries = asked(videos, options.queries, scratch)
        print(
            "\n| segments | asked for | respect cuts | their number "
            "| video first | among five | place | both | off, s |"
        )
        print("|---|---|---|--:|--:|--:|--:|--:|--:|")
        for length in options.segments:
            print_searches(videos, queries, length, scratch, options.hasher)


if __name__ == "__main__":
    main()

"""Near copies of clips: how many `duplicates` finds, beside public hashes, at few false alarms.

Needs a hasher's folder and folders of clips. Of each folder, some clips are copied by each edit of
`benchmarks.near_copies`. Clips and copies fill a collection, whose groups are then looked for.

* A copy is found if it is in a group with its clip. The table has the share of each edit.
* A false pair is two files of different clips in one group.
* Clips that are played backwards are no copies. They are told apart if they are in no group with
  their clip.
* Public hashes get the loosest limit that makes no more false pairs than `duplicates` did, which is
  the best that they could be set to on these very clips. They have no way to look for mirrored and
  rotated copies.
* With `--as-they-are FOLDER`, the groups of a folder's files are printed.

PDQ hashes the same number of frames as the hasher does, and two clips are as near as the larger
share of frames with a match within 31 of 256 bits in the other clip, as in vPDQ. VideoHash needs
`ffmpeg`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.near_copies import EDITS, make
from chain.collection import Collection
from chain.collection.copies import Group, duplicates
from chain.collection.files import absolute
from chain.datasets.clip_files import EXTENSIONS, find_clips
from chain.hasher.folder import read_about
from chain.video.decode import read_clip

TURNED = ("mirrored", "rotated")
BACKWARDS = "backwards"
COPIES = [name for name in EDITS if name != BACKWARDS]
FRAMES, SIDE, NEAR, QUALITY = 16, 128, 31, 50  # of PDQ
Distances = NDArray[np.float64]
"""From each clip to each copy by one edit, (N, N)."""
Paths = dict[str, list[Path]]
"""The copies by edit, and the clips by the name `clips`."""


def chosen(folder: Path, count: int, seed: int, skip: int = 0) -> tuple[list[Path], list[Path]]:
    """Draw clips of a folder, and two more for each to embed it; fewer if there are not so many.

    The first `skip` that are drawn are left out.
    """
    files = [folder / name for name in find_clips(folder, EXTENSIONS)]
    drawn = [files[row] for row in np.random.default_rng(seed).permutation(len(files))[skip:]]
    count = min(count, len(drawn) // 3)
    return drawn[:count], drawn[count : 3 * count]


def together(groups: Sequence[Group], one: Path, other: Path) -> bool:
    """Whether two files are in one group."""
    names = {absolute(one), absolute(other)}
    return any(names <= set(group.paths) for group in groups)


def opened(folder: Path, hasher: Path) -> Collection:
    """The collection in a folder, which is made if it is not there."""
    return Collection.open(folder) if folder.exists() else Collection.create(folder, hasher)


def grouped(
    files: Paths, hasher: Path, folder: Path, false_alarms: float
) -> tuple[dict[str, NDArray[np.bool_]], float]:
    """Whether each clip is in a group with each copy (N, N), by edit; seconds of `duplicates`."""
    found, seconds, of = {}, 0.0, read_about(hasher).id
    for turned in (False, True):
        names = [name for name in EDITS if (name in TURNED) is turned]
        collection = opened(folder / of / f"turned-{turned}", hasher)
        collection.add([path for name in ["clips", *names] for path in files[name]], progress=True)
        start = time.process_time()
        groups = duplicates(collection, false_alarms, turned, turned, progress=True)
        seconds += time.process_time() - start
        for name in names:
            pairs = [[together(groups, a, b) for b in files[name]] for a in files["clips"]]
            found[name] = np.array(pairs)
    return found, seconds


def pdq(files: Paths) -> dict[str, Distances]:
    """1 - the share of frames that match, as vPDQ counts it."""
    compute = import_module("pdqhash").compute

    def hashes(path: Path) -> NDArray[np.uint8]:
        images = read_clip(path, FRAMES, SIDE).images
        pairs = [compute(image) for image in images]
        kept = [bits for bits, quality in pairs if quality >= QUALITY] or [np.zeros(256)]
        return np.packbits(np.stack(kept).astype(np.uint8), axis=1)

    def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
        apart = np.bitwise_count(one[:, None] ^ other[None]).sum(axis=2)
        near = apart <= NEAR
        return 1 - float(max(near.any(axis=1).mean(), near.any(axis=0).mean()))

    return matrices(files, hashes, distance)


def video_hash(files: Paths) -> dict[str, Distances]:
    """The Hamming distance of the 64 bits of VideoHash."""
    made = import_module("videohash").VideoHash
    vars(Image).setdefault("ANTIALIAS", Image.Resampling.LANCZOS)  # its name before Pillow 10
    return matrices(
        files,
        lambda path: int(made(path=str(path)).hash_hex, 16),
        lambda one, other: float((one ^ other).bit_count()),
    )


def matrices(
    files: Paths, hashed: Callable[[Path], Any], distance: Callable[[Any, Any], float]
) -> dict[str, Distances]:
    clips = [hashed(path) for path in files["clips"]]
    return {
        name: np.array([[distance(one, hashed_copy) for hashed_copy in copies] for one in clips])
        for name in EDITS
        for copies in [[hashed(path) for path in files[name]]]
    }


RIVALS: dict[str, Callable[[Paths], dict[str, Distances]]] = {
    "pdqhash": pdq,
    "videohash": video_hash,
}


def within(distances: dict[str, Distances], false_pairs: int) -> dict[str, NDArray[np.bool_]]:
    """The pairs within the loosest limit that makes at most so many false pairs."""
    wrong = np.sort(np.concatenate([off_diagonal(one) for one in distances.values()]))
    limit = wrong[false_pairs] if false_pairs < len(wrong) else np.inf
    return {name: one < limit for name, one in distances.items()}


def off_diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    return matrix[~np.eye(len(matrix), dtype=np.bool_)]


def false_pairs(found: dict[str, NDArray[np.bool_]]) -> int:
    return int(sum(off_diagonal(one).sum() for one in found.values()))


def print_table(ways: dict[str, dict[str, NDArray[np.bool_]]]) -> None:
    print(f"| edit | {' | '.join(ways)} |")
    print(f"|---|{'--:|' * len(ways)}")
    for name in COPIES:
        shares = [f"{np.diag(found[name]).mean():.0%}" for found in ways.values()]
        print(f"| {name} | {' | '.join(shares)} |")
    apart = [f"{1 - np.diag(found[BACKWARDS]).mean():.0%}" for found in ways.values()]
    print(f"| backwards, told apart | {' | '.join(apart)} |")
    print(f"| false pairs | {' | '.join(str(false_pairs(found)) for found in ways.values())} |")


def measure(options: argparse.Namespace, folder: Path, scratch: Path) -> None:
    """Make copies of a folder's clips, and print the table."""
    kept = scratch / folder.name / f"{options.clips}-{options.seed}-{options.skip}"
    kept.mkdir(parents=True, exist_ok=True)
    clips, fillers = chosen(folder, options.clips, options.seed, options.skip)
    files: Paths = {"clips": clips, **make(clips, fillers, kept)}
    ours, seconds = grouped(files, options.hasher, kept, options.false_alarms)
    ways = {"ours": ours}
    for name in options.rivals:
        try:
            ways[name] = within(RIVALS[name](files), false_pairs(ours))
        except ImportError:
            print(f"{name} is not installed")
    pairs = len(EDITS) * len(clips) * (len(clips) - 1)
    print(
        f"\n{folder.name}: {len(clips)} clips, {pairs} pairs of different clips, "
        f"--false-alarms {options.false_alarms}; duplicates took {seconds:.0f} s of a processor\n"
    )
    print_table(ways)


def show_groups(options: argparse.Namespace, scratch: Path) -> None:
    """Print the groups of a folder's files."""
    collection = opened(scratch / "as-they-are", options.hasher)
    collection.add([options.as_they_are], progress=True)
    for group in duplicates(collection, options.false_alarms):
        print("\ngroup:", *(Path(path).name for path in group.paths))
        for pair in group.pairs:
            print(f"  {pair.similarity:.3f} chance {pair.chance:.1g} {pair.turn} {pair.held}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("artifacts/clips/demo")])
    parser.add_argument("--hasher", type=Path, default=Path("artifacts/hasher"))
    parser.add_argument("--clips", type=int, default=40, help="clips of each folder")
    parser.add_argument("--false-alarms", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0, help="which clips are drawn")
    parser.add_argument("--skip", type=int, default=0, help="clips that are drawn first, left out")
    parser.add_argument("--keep", type=Path, help="where copies and codes stay for another run")
    parser.add_argument("--as-they-are", type=Path, help="a folder whose groups are printed")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=list(RIVALS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = options.keep or Path(name)
        for folder in options.folders:
            measure(options, folder, scratch)
        if options.as_they_are:
            show_groups(options, scratch)


if __name__ == "__main__":
    main()

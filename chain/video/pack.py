"""Packing: the frames of all clips go into one array, so that later stages read no video."""

import logging
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from chain.core.arrays import check_rows, create_array, read_array, reopen_array
from chain.core.errors import InputError
from chain.core.files import replacing, write_csv
from chain.core.kept import Kept
from chain.core.params import Parameters
from chain.datasets.manifest import contents
from chain.pipeline.code import made_by
from chain.video.container import VideoError
from chain.video.decode import Clip, read_clip

log = logging.getLogger(__name__)

COMMIT_EVERY = 64  # clips; after a crash, about this many are decoded again
DONE = np.dtype([("duration", np.float64), ("decoded", np.int64), ("damaged", np.bool_)])
"""The note of a clip, written once its row is on disk; `decoded` is 0 until then."""
DAMAGED = "damaged, kept with the frames that decode"

Note = tuple[float, int, bool]
"""The fields of DONE: duration, decoded and damaged."""
Decode = Callable[[Sequence[Path], Sequence[int], NDArray[np.uint8], int], Iterator[Note | str]]
"""A way to decode clips, given the paths of N clips, the numbers of the rows to fill, all rows
(N, D, S, S, 3) and the number of workers.

It fills those rows. In the same order, it yields for each its note, or the reason why the clip is
unusable.
"""


class DecodeConfig(Parameters):
    """The parameters of decoding: what is kept of each clip."""

    frames: Annotated[int, Field(ge=1)]
    """D, the number of frames, taken at the midpoints of D equal segments."""
    size: Annotated[int, Field(ge=16)]
    """S, in pixels: the short side is resized to it, and the central square is kept."""
    max_bad: Annotated[float, Field(ge=0, le=1)]
    """The largest share of clips that may be unusable."""


@dataclass(frozen=True)
class PackReport:
    """The number of clips that were packed, of those that could not be, and of damaged ones."""

    good: int
    bad: int
    damaged: int
    """How many of the packed clips have lost frames."""
    reused: int
    """How many of the packed clips were decoded by an earlier run."""
    out_dir: Path

    def __str__(self) -> str:
        left_out = f", {self.bad} left out" if self.bad else ""
        damaged = f", {self.damaged} damaged" if self.damaged else ""
        where = " (report.csv says why)" if left_out or damaged else ""
        reused = f", {self.reused} of them as decoded before" if self.reused else ""
        return f"{self.good} clips in {self.out_dir}{reused}{left_out}{damaged}{where}"


def on_threads(
    paths: Sequence[Path], todo: Sequence[int], rows: NDArray[np.uint8], workers: int
) -> Iterator[Note | str]:
    """A `Decode` by threads of this process."""

    def fill(row: int) -> Note | str:
        return keep(read(paths[row], *rows.shape[1:3]), rows, row)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(fill, todo)


def read(path: Path, frames: int, size: int) -> Clip | str:
    """The clip as `read_clip` gives it, or the reason why it is unusable."""
    try:
        return read_clip(path, frames, size)
    except VideoError as error:
        return str(error)


def keep(clip: Clip | str, rows: NDArray[np.uint8], row: int) -> Note | str:
    """Put what `read` gave into its row; returns the clip's note, or the reason unchanged."""
    if isinstance(clip, str):
        return clip
    rows[row] = clip.images
    return clip.duration, clip.decoded, clip.damaged


def pack_frames(
    manifest: pd.DataFrame,
    root: Path,
    out_dir: Path,
    config: DecodeConfig,
    workers: int,
    scratch: Path,
    decode: Decode = on_threads,
    keep_as: str | None = None,
) -> PackReport:
    """Decode the manifest's clips, which are under `root`, by `workers` (threads by default).

    It writes three files to `out_dir`, in the manifest's order:

    * `frames.npy` holds the frames of the N usable clips, (N, D, S, S, 3) uint8 RGB.
    * `index.csv` describes the usable clips: id, labels, split, decoded, duration in seconds.
    * `report.csv` lists clips with faults: id, path, reason. First come those that were left out,
      then those that were packed although they are damaged.

    If a run is killed, the next one goes on from what `scratch` holds and writes the same bytes.
    With `keep_as`, the frames are kept under this name for later runs (see `Kept`), and clips of
    the same content and suffix that an earlier run has kept are not decoded again.

    Raises InputError if no clip is usable, or if the share of unusable clips exceeds
    `config.max_bad`; `out_dir` is then left as it was.
    """
    if manifest.empty:
        raise InputError("the manifest lists no clips")
    rows, done = _open_scratch(scratch, len(manifest), config)
    paths = [root / path for path in manifest["path"]]
    made_with = {"frames": config.frames, "size": config.size} | made_by(Path(__file__))
    kept = Kept(keep_as, made_with) if keep_as else None
    files = contents(manifest)
    reused = _take_over(kept, files, rows, done) if kept else 0
    reasons = _decode_all(paths, rows, done, workers, decode)
    good = np.flatnonzero(done["decoded"])
    bad = manifest.iloc[list(reasons)][["id", "path"]].assign(reason=list(reasons.values()))
    culprits = [f"{root}/{clip.path}: {clip.reason}" for clip in bad.itertuples()]
    for culprit in culprits:
        log.warning("left out: %s", culprit)
    hurt = manifest.iloc[np.flatnonzero(done["damaged"])][["id", "path"]].assign(reason=DAMAGED)
    for clip in hurt.itertuples():
        log.warning("%s: %s/%s", DAMAGED, root, clip.path)
    if not len(good):
        raise InputError(f"no clip can be decoded; the first is {culprits[0]}")
    if len(bad) > config.max_bad * len(manifest):
        raise InputError(
            f"{len(bad)} of {len(manifest)} clips ({len(bad) / len(manifest):.1%}) cannot be "
            f"decoded, decode.max_bad allows {config.max_bad:.1%}; the first is {culprits[0]}"
        )

    index = manifest.iloc[good][["id", "labels", "split"]]
    index = index.assign(decoded=done["decoded"][good], duration=done["duration"][good])
    with replacing(out_dir) as temporary:
        temporary.mkdir()
        shape = (len(good), *rows.shape[1:])
        packed = create_array(temporary / "frames.npy", np.uint8, shape)
        for place, row in enumerate(good):
            packed[place] = rows[row]
        packed.flush()
        write_csv(temporary / "index.csv", index)
        write_csv(temporary / "report.csv", pd.concat([bad, hurt]))
    if kept:
        clips = [files[row] for row in good]
        kept.replace({"frames": (out_dir / "frames.npy", clips), "notes": (done[good], clips)})
    return PackReport(len(good), len(bad), len(hurt), reused, out_dir)


def read_frames(path: Path, clips: int) -> NDArray[np.uint8]:
    """Map the packed frames (N, D, S, S, 3) of so many clips; InputError if the file is no such."""
    frames = read_array(path, np.uint8, 5)
    check_rows(path, frames, clips)
    return frames


def _open_scratch(scratch: Path, clips: int, config: DecodeConfig) -> tuple[np.memmap, np.memmap]:
    """The frames (N, D, S, S, 3) and notes (N,), either new or as an earlier run left them."""
    rows, done = scratch / "frames.npy", scratch / "notes.npy"
    shape = (clips, config.frames, config.size, config.size, 3)
    if not done.exists():
        needed = 2 * math.prod(shape)  # once here and once in out_dir
        free = shutil.disk_usage(scratch).free
        if needed > free:
            raise InputError(
                f"{scratch}: packing takes {needed / 1e9:.1f} GB of disk, but "
                f"{free / 1e9:.1f} GB are free"
            )
        with replacing(rows) as temporary:
            create_array(temporary, np.uint8, shape)
        with replacing(done) as temporary:
            create_array(temporary, DONE, (clips,))
    return reopen_array(rows, np.uint8, shape), reopen_array(done, DONE, (clips,))


def _take_over(kept: Kept, files: Sequence[str], rows: np.memmap, done: np.memmap) -> int:
    """Fill the rows of clips that an earlier run has decoded; returns how many it had."""
    notes = {}
    for row, file in enumerate(files):
        images, note = kept.find("frames", file), kept.find("notes", file)
        if images is not None and note is not None:
            notes[row] = note
            if not done["decoded"][row]:
                rows[row] = images
    rows.flush()  # before the notes that the frames are there
    for row, note in notes.items():
        done[row] = note
    done.flush()
    return len(notes)


def _decode_all(
    paths: Sequence[Path], rows: np.memmap, done: np.memmap, workers: int, decode: Decode
) -> dict[int, str]:
    """Fill the rows that are not done; returns the reason for each row whose clip is unusable."""
    todo = np.flatnonzero(done["decoded"] == 0).tolist()
    reasons: dict[int, str] = {}
    waiting: dict[int, Note] = {}

    def commit() -> None:
        rows.flush()  # the pixels must reach the disk before the note that they are there
        for row, note in waiting.items():
            done[row] = note
        done.flush()
        waiting.clear()

    started = len(paths) - len(todo)
    with tqdm(total=len(paths), initial=started, desc="decode", unit="clip", mininterval=1) as bar:
        for row, outcome in zip(todo, decode(paths, todo, rows, workers), strict=True):
            if isinstance(outcome, str):
                reasons[row] = outcome
            else:
                waiting[row] = outcome
            if len(waiting) == COMMIT_EVERY:
                commit()
            bar.update()
    commit()
    return reasons

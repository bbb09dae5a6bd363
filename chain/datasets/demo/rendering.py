"""Rendering the data set: clips as H.264 files, and the manifest that lists them."""

import hashlib
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from chain.core.errors import InputError
from chain.core.files import replacing
from chain.core.params import Parameters
from chain.datasets.demo.categories import CATEGORIES, Category
from chain.datasets.demo.drawing import draw_clip

logger = logging.getLogger(__name__)

# Clips are independent draws, so a clip's number alone can decide its split.
SPLITS = ("train", "database", "train", "query", "database", "train")


class DemoConfig(Parameters):
    """Size and seed of the data set."""

    clips_per_category: int = Field(48, ge=6, le=996, multiple_of=6)
    size: int = Field(128, ge=32, le=512, multiple_of=16)  # pixels, square
    fps: int = Field(12, ge=4, le=60)
    seed: int = Field(0, ge=0)


def _write_clip(path: Path, frames: NDArray[np.uint8], fps: int, recipe: str) -> None:
    """Encode frames as H.264, by one thread and without dates: equal frames give equal bytes."""
    size = frames.shape[1]
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact"}) as container,
    ):
        container.metadata["comment"] = recipe
        stream = container.add_stream(
            "libx264", rate=fps, options={"preset": "superfast", "crf": "26", "threads": "1"}
        )
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _is_whole(path: Path, recipe: str) -> bool:
    """Whether `path` is a clip of this recipe; a clip gets its name only when it is whole."""
    if not path.is_file():
        return False
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment") == recipe
    except av.FFmpegError:
        return False


@dataclass(frozen=True)
class _Job:
    category_index: int
    category: Category
    clip: int


def _make_clip(config: DemoConfig, out_dir: Path, job: _Job) -> dict[str, str | int]:
    """Render one clip unless it is there, and return its row of the manifest."""
    name = f"{job.category.name}/{job.clip:03d}"
    path = out_dir / f"{name}.mp4"
    recipe = f"demo size={config.size} fps={config.fps} seed={config.seed}"
    if not _is_whole(path, recipe):
        seed = np.random.SeedSequence([config.seed, job.category_index, job.clip])
        frames = draw_clip(job.category, config.size, config.fps, np.random.default_rng(seed))
        _write_clip(path, frames, config.fps, recipe)
    content = path.read_bytes()
    return {
        "id": name,
        "path": f"{name}.mp4",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": job.category.name,
        "split": SPLITS[job.clip % len(SPLITS)],
    }


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[dict[str, str | int]]]]:
    """A `map` that keeps order: in this process for one worker, else by as many new processes."""
    if workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield partial(pool.map, chunksize=8)


def render(config: DemoConfig, out_dir: Path, workers: int) -> pd.DataFrame:
    """Write every clip as `out_dir`/<category>/<number>.mp4 and return the manifest.

    * The manifest's paths are relative to `out_dir`.
    * Its splits `train`, `database` and `query` hold a half, a third and a sixth of each category.
    * The files do not depend on `workers`, the number of processes.
    * A clip that is there with the same size, fps and seed is kept, so a killed render can go on.

    Raises InputError if `workers` is less than 1.
    """
    if workers < 1:
        raise InputError(f"workers: must be at least 1, got {workers}")
    jobs = [
        _Job(index, category, clip)
        for index, category in enumerate(CATEGORIES)
        for clip in range(config.clips_per_category)
    ]
    for partial_file in out_dir.glob("*/.*.partial.mp4"):  # left by a killed render
        partial_file.unlink()
    with _mapper(workers) as mapped:
        clips = mapped(partial(_make_clip, config, out_dir), jobs)
        rows = list(tqdm(clips, total=len(jobs), desc="demo", unit="clip", mininterval=1))
    logger.info("demo: %d clips in %d categories", len(rows), len(CATEGORIES))
    return pd.DataFrame(rows).sort_values("id", ignore_index=True)

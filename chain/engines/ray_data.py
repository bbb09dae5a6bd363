"""Decoding and features by Ray Data: actors on this machine or on a cluster.

Each actor holds what it computes with, the CNN among it, and reads clips and frames from the file
system, which all machines must share. A clip whose actor dies is computed again elsewhere. What is
computed comes back to the calling process a few clips at a time and in order.
"""

import logging
import math
import os
import pickle
import secrets
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.video.pack import Note, keep, read

if TYPE_CHECKING:
    from chain.features.augmentation import AugmentConfig
    from chain.features.bank import BankConfig, FeatureExtractor

log = logging.getLogger(__name__)

CLIPS_AT_ONCE = 4
"""What an actor is given, and what is computed again when one dies."""
RETRIES = 30
"""How often clips are computed again after their actor died. That a machine is lost is known after
some fifteen seconds, and a few retries."""
BYTES_WAITING = 2**27
"""Actors pause when so much of what they computed, each on average, has not been fetched."""

Work = Callable[[list[int]], Iterator[Any]]
"""What actors do: numbers of clips in, one outcome each out."""


def decode(
    paths: Sequence[Path], todo: Sequence[int], rows: NDArray[np.uint8], workers: int
) -> Iterator[Note | str]:
    """`chain.video.pack.on_threads` by `workers` actors; the rows are written here."""
    whole = [path.absolute() for path in paths]
    work = partial(_read, whole, *rows.shape[1:3])
    for row, clip in zip(todo, _computed(work, todo, workers), strict=True):
        yield keep(clip, rows, row)


def _read(paths: Sequence[Path], frames: int, size: int, clips: Iterable[int]) -> Iterator[Any]:
    return (read(paths[clip], frames, size) for clip in clips)


def features(
    workers: int,
    clips: Iterable[int],
    extractor: "FeatureExtractor",
    frames: NDArray[np.uint8],
    train: NDArray[np.int64],
    bank: "BankConfig",
    augment: "AugmentConfig",
) -> Iterator[dict[str, NDArray[np.float16]]]:
    """`chain.features.bank.clip_features` by `workers` actors, each with a CNN and, on CUDA, a GPU.

    `frames` is the memory map of a file. The bits are those of this process on the same kind of
    processor: an actor computes on as many threads, with the same kernels.
    """
    import torch

    assert isinstance(frames, np.memmap) and frames.filename is not None
    threads, on_gpu = torch.get_num_threads(), extractor.device.type == "cuda"
    given = (extractor, Path(frames.filename), train, bank, augment, threads)
    return _computed(partial(_extract, given), list(clips), workers, on_gpu)


def _extract(given: tuple[Any, ...], clips: list[int]) -> Iterator[Any]:
    import torch

    from chain.features.bank import clip_features

    extractor, file, train, bank, augment, threads = given
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    frames = np.load(file, mmap_mode="r")
    return clip_features(clips, extractor, frames, train, bank, augment)


def _computed(
    work: Work, clips: Sequence[int], workers: int, on_gpu: bool = False
) -> Iterator[Any]:
    """The outcomes of `work`, in order, by `workers` actors; an exception of theirs is raised."""
    if not clips:
        return
    with cluster(workers) as ray:
        if on_gpu:
            workers = min(workers, int(ray.cluster_resources().get("GPU", 1)))
        _set_up(ray, workers * BYTES_WAITING)
        blocks = math.ceil(len(clips) / CLIPS_AT_ONCE)
        held = ray.put(work)
        with warnings.catch_warnings(action="ignore"):  # of max_task_retries, which has no heir yet
            computed = ray.data.from_items(list(clips), override_num_blocks=blocks).map_batches(
                _Actor,
                fn_constructor_args=[held],
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=0,  # one that takes another's place needs no room kept for it
                num_gpus=int(on_gpu),
                max_task_retries=RETRIES,
            )
        try:
            for batch in computed.iter_batches(batch_size=None, batch_format="pyarrow"):
                for outcome in batch["outcome"]:
                    yield _loaded(outcome.as_buffer())
        except ray.exceptions.RayActorError as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"runtime.engine: a worker died {RETRIES + 1} times over the same clips: {reason}"
            ) from None


def _set_up(ray: Any, bytes_waiting: int) -> None:
    """In order, bounded and quiet."""
    context = ray.data.DataContext.get_current()
    limits = ray.data.ExecutionResources.for_limits(object_store_memory=bytes_waiting)
    context.execution_options.resource_limits = limits
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel("CRITICAL")


def _loaded(outcome: Any) -> Any:
    found = pickle.loads(outcome)
    if isinstance(found, Exception):
        raise found
    return found


class _Actor:
    def __init__(self, work: Any) -> None:
        self.work: Work = import_module("ray").get(work)

    def __call__(self, batch: dict[str, NDArray[np.int64]]) -> Any:
        pa = import_module("pyarrow")
        outcomes = [pickle.dumps(outcome) for outcome in self.outcomes(batch["item"].tolist())]
        return pa.table({"outcome": pa.array(outcomes, pa.large_binary())})

    def outcomes(self, clips: list[int]) -> Iterator[Any]:
        try:
            yield from self.work(clips)
        except Exception as error:  # for the calling process, as itself
            yield error


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """Ray as it is, if connected, else joined to the cluster at RAY_ADDRESS or one of our own."""
    address = os.environ.get("RAY_ADDRESS") or "local"
    options = _own(workers) if address == "local" else {}
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ray = import_module("ray")
    import_module("ray.data")
    if ray.is_initialized():
        yield ray
        return
    printer: Any = import_module("ray._private.worker")
    printer.print_to_stdstream = _tell  # else in colour and at length
    with _without_stderr():
        ray.init(address, log_to_driver=False, logging_level="ERROR", **options)
    try:
        yield ray
    finally:
        ray.shutdown()


def _own(workers: int) -> dict[str, Any]:
    """Options of a cluster of this machine and process alone, which ends with it."""
    # Before Ray is imported: listen to this machine alone, and keep the password in no file.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Telemetry's process, which asks the cloud where it is even when telemetry is off.
    import_module("ray._private.node").Node.start_api_server = lambda *_, **__: None
    return {"num_cpus": workers, "include_dashboard": False}


def _tell(message: dict[str, Any], ignore_prefix: bool) -> None:
    """What Ray says of a worker or a machine that died, in one line; not of each task's retry."""
    line = message["lines"][0]
    if not line.startswith("Task "):
        log.warning("Ray: %s", line.split(". ")[0])


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Not even what C++ writes to it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

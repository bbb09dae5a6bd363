"""Clips computed by Ray Data: actors on this machine or on a cluster.

* An actor is a process that holds what it computes with, for example the CNN.
* It reads clips and frames from the file system, which all machines must share.
* A clip whose actor dies is computed again by another actor; Ray prints that it died.
* The outcomes come back to the calling process in order, a few clips at a time.
"""

import logging
import math
import os
import pickle
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError

CLIPS_AT_ONCE = 4
"""How many clips an actor is given at a time; so many are computed again when it dies."""
RETRIES = 30
"""How often clips are computed again after their actor died. Ray learns only after some fifteen
seconds that a machine is lost, and a few retries fail until then."""
BYTES_WAITING = 2**27
"""Actors pause when the outcomes that wait to be fetched reach this many bytes an actor."""

Work = Callable[[list[int]], Iterator[Any]]
"""What an actor does: it takes numbers of clips and yields one outcome for each."""


def computed_by_ray(
    work: Work, clips: Sequence[int], workers: int, on_gpu: bool = False
) -> Iterator[Any]:
    """The outcomes of `work` for the clips, in order, computed by `workers` actors.

    An exception that an actor raises is raised here. Raises InputError if actors die too often over
    the same clips.
    """
    if not clips:
        return
    with cluster(workers) as ray:
        if on_gpu:
            workers = min(workers, int(ray.cluster_resources().get("GPU", 1)))
        _set_up(ray, workers * BYTES_WAITING)
        blocks = math.ceil(len(clips) / CLIPS_AT_ONCE)
        held = ray.put(work)
        # max_task_retries is deprecated, but nothing has taken its place yet.
        with warnings.catch_warnings(action="ignore"):
            computed = ray.data.from_items(list(clips), override_num_blocks=blocks).map_batches(
                _Actor,
                fn_constructor_args=[held],
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=0,  # so that one can start in another's place at once
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
    """Have Ray Data keep the order, bound what waits, and be quiet."""
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
        import ray

        self.work: Work = ray.get(work)

    def __call__(self, batch: dict[str, NDArray[np.int64]]) -> Any:
        import pyarrow as pa

        outcomes = [pickle.dumps(outcome) for outcome in self.outcomes(batch["item"].tolist())]
        return pa.table({"outcome": pa.array(outcomes, pa.large_binary())})

    def outcomes(self, clips: list[int]) -> Iterator[Any]:
        try:
            yield from self.work(clips)
        except Exception as error:  # the calling process raises it
            yield error


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """Ray, connected to a cluster until the end.

    An existing connection is used and kept. Otherwise the cluster is the one at RAY_ADDRESS, or
    where that is unset, one of this machine with `workers` CPUs, which ends with this process.
    """
    address = os.environ.get("RAY_ADDRESS") or "local"
    options = _for_own_cluster(workers) if address == "local" else {}
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        yield ray
    finally:
        ray.shutdown()


def _for_own_cluster(workers: int) -> dict[str, Any]:
    """Options of a cluster of our own; sets what Ray reads from the environment at its import."""
    # On Linux too, this keeps Ray's processes from listening to other machines. The option
    # `_node_ip_address` does not: Ray replaces a loopback address by the machine's own.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else written to a file
    return {"num_cpus": workers, "include_dashboard": False}

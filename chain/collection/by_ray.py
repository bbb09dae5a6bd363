"""Looking at files by Ray: each actor has a hasher of its own (`chain.engines.ray_data`)."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import torch

from chain.collection.coding import VideoCoder
from chain.collection.looking import Look, Outcome, look
from chain.collection.segmenting import Segmenting
from chain.engines import uses_ray
from chain.hasher.hasher import Hasher


def on_ray(hasher: Path, segmenting: Segmenting, workers: int) -> Look:
    """A `Look` by `workers` actors, which must see the same files as this process.

    Raises InputError if Ray is not installed.
    """
    uses_ray({"engine": "ray"})
    coder = partial(_coder, hasher.absolute(), segmenting, torch.get_num_threads())

    def look_at(paths: Sequence[str], known: Collection[str]) -> Iterator[Outcome]:
        from chain.engines.ray_data import computed_by_ray  # Ray takes seconds to load

        work = partial(_look, coder, list(paths), frozenset(known))
        yield from computed_by_ray(work, range(len(paths)), workers, torch.cuda.is_available())

    return look_at


def _look(
    coder: "partial[VideoCoder]", paths: list[str], known: Collection[str], rows: list[int]
) -> Iterator[Outcome]:
    return (look(paths[row], known, coder()) for row in rows)


@cache
def _coder(hasher: Path, segmenting: Segmenting, threads: int) -> VideoCoder:
    torch.set_num_threads(threads)
    return VideoCoder(Hasher.load(hasher), segmenting)

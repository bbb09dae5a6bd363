"""Who decodes the clips: threads of this process, or Ray."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chain.engines import uses_ray
from chain.video.pack import Decode, Note, keep, on_threads, read


def decoder(runtime: Mapping[str, Any]) -> Decode:
    """The function for `pack_frames` that `runtime.engine` names; InputError as `uses_ray`."""
    return by_ray if uses_ray(runtime) else on_threads


def by_ray(
    paths: Sequence[Path], todo: Sequence[int], rows: NDArray[np.uint8], workers: int
) -> Iterator[Note | str]:
    """The same as `chain.video.pack.on_threads`, by `workers` actors.

    The actors decode; this process writes the rows.
    """
    from chain.engines.ray_data import computed_by_ray  # Ray takes seconds to load

    whole = [path.absolute() for path in paths]
    work = partial(_read, whole, *rows.shape[1:3])
    for row, clip in zip(todo, computed_by_ray(work, todo, workers), strict=True):
        yield keep(clip, rows, row)


def _read(paths: Sequence[Path], frames: int, size: int, clips: Iterable[int]) -> Iterator[Any]:
    return (read(paths[clip], frames, size) for clip in clips)

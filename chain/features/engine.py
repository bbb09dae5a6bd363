"""Who computes the features: threads of this process, or Ray."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chain.engines import uses_ray
from chain.features.augmentation import AugmentConfig
from chain.features.bank import BankConfig, Compute, FeatureExtractor, clip_features


def feature_computer(runtime: Mapping[str, Any]) -> Compute:
    """The function for `extract` that `runtime.engine` names. Raises as `uses_ray` does."""
    return partial(by_ray, runtime["workers"]) if uses_ray(runtime) else clip_features


def by_ray(
    workers: int,
    clips: Iterable[int],
    extractor: FeatureExtractor,
    frames: NDArray[np.uint8],
    ids: Sequence[str],
    train: NDArray[np.int64],
    bank: BankConfig,
    augment: AugmentConfig,
) -> Iterator[dict[str, NDArray[np.float16]]]:
    """The same as `chain.features.bank.clip_features`, by `workers` actors.

    Each actor has a CNN and, on CUDA, a GPU of its own. `frames` must be the memory map of a file.
    On the same kind of processor the features are equal bit for bit: an actor computes with the
    same kernels and as many threads as this process.
    """
    from chain.engines.ray_data import computed_by_ray  # Ray takes seconds to load

    assert isinstance(frames, np.memmap) and frames.filename is not None
    threads, on_gpu = torch.get_num_threads(), extractor.device.type == "cuda"
    given = (extractor, Path(frames.filename), ids, train, bank, augment, threads)
    return computed_by_ray(partial(_extract, given), list(clips), workers, on_gpu)


def _extract(given: tuple[Any, ...], clips: list[int]) -> Iterator[Any]:
    extractor, file, ids, train, bank, augment, threads = given
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    frames = np.load(file, mmap_mode="r")
    return clip_features(clips, extractor, frames, ids, train, bank, augment)

"""The interval of a relative gain in mAP, by a bootstrap over queries and trainings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError

INTERVAL = (2.5, 97.5)  # percent
BLOCK = 1 << 20  # drawn queries held at once, which bounds the memory

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """A relative gain, its 95 % interval, and the share of the resamples in which it is above 0."""

    mean: float
    low: float
    high: float
    positive: float


def paired_bootstrap(ours: Floats, theirs: Floats, resamples: int, seed: int) -> Gain:
    """The gain mean(ours) / mean(theirs) − 1 of two AP matrices, (S, Q) and (S', Q), with interval.

    Each of the `resamples` draws with replacement:

    * It draws Q queries, the same for both sides.
    * It draws S trainings of ours and S' of theirs independently, as trainings are not paired.
    * Its gain is infinite if all it drew of `theirs` is 0, or 0 if that of `ours` is all 0 too.

    With one training a side, the interval tells nothing of the spread between trainings. Raises
    InputError if a matrix is empty or not finite, if their queries differ in number, and if
    `theirs` is all 0.

    The percentile bootstrap is that of Efron & Tibshirani (1993), chapter 13. Sakai (SIGIR 2006)
    applies it to the queries of retrieval.
    """
    _check(ours, theirs)
    rng = np.random.default_rng(seed)
    our_seeds, their_seeds = (_resampled(rng, resamples, len(side)) for side in (ours, theirs))
    gains = np.empty(resamples)
    step = max(1, BLOCK // ours.shape[1])
    for start in range(0, resamples, step):
        block = slice(start, min(start + step, resamples))
        queries = _resampled(rng, block.stop - start, ours.shape[1])
        gains[block] = relative_gain(
            _means(ours, our_seeds[block], queries), _means(theirs, their_seeds[block], queries)
        )
    # Values that were drawn, rounded outwards: infinite gains could not be interpolated.
    low = np.percentile(gains, INTERVAL[0], method="lower")
    high = np.percentile(gains, INTERVAL[1], method="higher")
    mean = relative_gain(ours.mean(), theirs.mean())
    return Gain(float(mean), float(low), float(high), float((gains > 0).mean()))


def relative_gain(ours: Floats, theirs: Floats) -> Floats:
    """ours / theirs − 1 elementwise: 0 where they are equal, infinite where only `theirs` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ours == theirs, 0.0, np.divide(ours, theirs) - 1)


def _check(ours: Floats, theirs: Floats) -> None:
    for name, side in (("ours", ours), ("theirs", theirs)):
        if side.ndim != 2 or not side.size:
            raise InputError(
                f"{name}: AP of shape {side.shape}, must be (seeds, queries), not empty"
            )
        if not np.isfinite(side).all():
            raise InputError(f"{name}: AP holds something else than finite numbers")
    if ours.shape[1] != theirs.shape[1]:
        raise InputError(
            f"ours has {ours.shape[1]} queries, theirs {theirs.shape[1]}: must be the same"
        )
    if not theirs.any():
        raise InputError("theirs: every AP is 0, and there is no gain relative to 0")


def _resampled(rng: np.random.Generator, rows: int, size: int) -> NDArray[np.int64]:
    """Counts (rows, size) of how often each of `size` things is drawn; every row sums to `size`."""
    draws = rng.integers(size, size=(rows, size)) + size * np.arange(rows)[:, None]
    return np.bincount(draws.ravel(), minlength=rows * size).reshape(rows, size)


def _means(
    precisions: Floats, seeds: NDArray[np.int64], queries: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The mean AP (R,) of R resamples, given how often each seed (R, S) and query (R, Q) counts."""
    of_seeds = queries.astype(np.float64) @ precisions.T
    return np.asarray((seeds * of_seeds).sum(axis=1) / precisions.size)

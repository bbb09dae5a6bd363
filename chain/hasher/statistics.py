"""What the codes of the training clips look like, and whether a batch of new codes has drifted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.retrieval.codes import unpack
from chain.retrieval.hamming import nearest

SAMPLE = 2000  # codes that are kept and compared, since comparisons grow with the square
LEEWAY = 0.15  # how far a bit's mean may move
GROWTH = 1.25  # how many times as far the nearest code may be


class Statistics(Parameters):
    """The codes of the training clips, of up to SAMPLE of them, in numbers."""

    bit_means: list[float]
    """(b,): the share of the codes in which each bit is set."""
    distances: list[int]
    """(b + 1,): how many pairs of different clips are at the distance 0, 1, ..., b."""
    nearest: list[int]
    """(b + 1,): how many clips have their nearest other clip at the distance 0, 1, ..., b."""


def sample(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep at most SAMPLE of the codes (N, b / 8), evenly spaced."""
    rows = np.linspace(0, len(codes) - 1, min(SAMPLE, len(codes))).astype(np.int64)
    return codes[rows]


def describe(codes: NDArray[np.uint8]) -> Statistics:
    """Describe packed codes (N, b / 8). Raises InputError if there are fewer than two."""
    if len(codes) < 2:
        raise InputError(f"codes: statistics need two codes, here are {len(codes)}")
    _, sorted_distances = nearest(codes, codes, len(codes))
    others = sorted_distances[:, 1:]  # the first is the clip itself, or another at distance 0
    bits = 8 * codes.shape[1]
    return Statistics(
        bit_means=bit_means(codes).round(6).tolist(),
        distances=(np.bincount(others.ravel(), minlength=bits + 1) // 2).tolist(),
        nearest=np.bincount(others[:, 0], minlength=bits + 1).tolist(),
    )


def bit_means(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the share of the codes (N, b / 8) in which each bit is set: (b,)."""
    means: NDArray[np.float64] = (unpack(codes) > 0).mean(axis=0)
    return means


@dataclass(frozen=True)
class Drift:
    """How a batch of new codes differs from the codes of the training clips."""

    shifted: list[int]
    """The bits whose mean lies outside .5 ± LEEWAY, and further out than chance and training."""
    growth: float
    """The mean distance to the nearest training code, over that among the training codes."""

    @property
    def alarm(self) -> bool:
        """Whether a bit has shifted, or the codes are further than GROWTH times as far."""
        return bool(self.shifted) or self.growth > GROWTH

    def __str__(self) -> str:
        bits = ", ".join(map(str, self.shifted)) or "none"
        state = "drift" if self.alarm else "no drift"
        return f"{state}: shifted bits: {bits}; nearest codes {self.growth:.2f} times as far"


def drift(codes: NDArray[np.uint8], training: NDArray[np.uint8]) -> Drift:
    """Compare new codes (M, b / 8) with those of training clips (N, b / 8).

    A bit has shifted if its mean is more than LEEWAY from .5 and from its mean in training, plus
    three standard errors, so that a small batch gives no alarm by chance. Raises InputError if
    there are no new codes, or fewer than two of training.
    """
    if not len(codes) or len(training) < 2:
        raise InputError("codes: drift needs a new code and two codes of training")
    before, now = bit_means(training), bit_means(codes)
    leeway = LEEWAY + 3 * np.sqrt(before * (1 - before) / len(codes))
    shifted = (np.abs(now - 0.5) > leeway) & (np.abs(now - before) > leeway)
    _, usual = nearest(training, training, 2)
    _, found = nearest(codes, training, 1)
    growth = found.mean() / max(usual[:, 1].mean(), 1 / 8)  # training clips may all be copies
    return Drift(np.flatnonzero(shifted).tolist(), float(growth))

"""What a distance means: how many codes of unrelated videos are so near by chance.

A Hamming distance says little by itself. Two codes of 64 bits at distance 12 are a find in one
collection and an everyday matter in another. So the distances between codes of different videos of
the collection itself are counted, and `Chance` tells how many such pairs to expect. Videos that are
known to show the same (`chain.collection.related`) do not count.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

from chain.core.errors import InputError

PAIRS = 1_000_000  # pairs of codes that are counted
PRIOR = 100  # pairs that the usual spread counts for, where nothing is known
KNOWN = 2000  # pairs that the hasher's training counts for at most
SPREAD = 0.05  # correlation of two bits, in codes of which nothing is known
COPIES = 0.5  # copies that a video has on average, at most, for the counts to be free of them
PURE = 2  # how many times as many pairs as copies might make have to be counted
FEW = 50  # pairs; below so many, the tail goes on instead of the counts
MOST = 0.25  # the largest share of the pairs that the tail may begin at
SPAN = 4  # the tail's slope is that up to the distance that has so many times as many pairs
RUNS = 20_000  # pairs of runs of three segments, by which dependence is measured


@dataclass(frozen=True, eq=False)
class Chance:
    """The distances between codes of unrelated videos of a collection.

    * Where many pairs are counted, their counts hold. Below that, where there are few pairs and
      some of them may be copies, a geometric tail goes on with the slope that the counts have
      there. Tails of real clips are as long as that. A beta-binomial one, fitted to the bulk, would
      expect hundreds of times too few.
    * The mean over n aligned segments spreads less than one distance does. How much less follows
      from the correlation of the distances of neighbouring segments, which overlap, and of those
      further apart, which still show the same two videos.
    """

    below: NDArray[np.float64]
    """The probability (b + 1,) that one distance is at most 0, 1, ..., b."""
    mean: float
    """The mean distance in bits."""
    near: float
    """The correlation of the distances of aligned neighbours, from 0 to 1."""
    far: float
    """The same, two segments apart."""

    @classmethod
    def fit(
        cls,
        codes: NDArray[np.uint8],
        owner: ArrayLike,
        known: ArrayLike | None = None,
        related: ArrayLike | None = None,
    ) -> Self:
        """Count the distances between codes (N, b / 8) of different videos.

        Args:
            codes: packed codes; those of a video follow one another in the order of time.
            owner: (N,) says which video each is of.
            known: (b + 1,) how many pairs of the hasher's training clips are at each distance. They
                count for 2,000 pairs at most, so that they matter in a small collection only.
            related: (N,) says which group of related videos each is of. Pairs within a group do not
                count, and two groups count for one pair. Without it, no videos are related.

        Each pair of videos counts the same, however many codes they have, since the codes of one
        video are much alike. If up to half of the groups have a copy that is not known, the result
        is a few times too large at most. With more copies, distances that only copies have count as
        chance, so that fewer are found. The same codes give the same result. Raises InputError if
        the shapes do not fit together.
        """
        names = np.asarray(owner)
        others = names if related is None else np.asarray(related)
        if codes.dtype != np.uint8 or codes.ndim != 2 or names.shape != codes.shape[:1]:
            raise InputError("calibration: expected codes (N, bits / 8) and an owner of each")
        if others.shape != names.shape:
            raise InputError("calibration: expected a group of related videos for each code")
        bits = 8 * codes.shape[1]
        _, groups = np.unique(others, return_inverse=True)
        pairs = pairs_of_videos(names).between(groups, names)
        distances = hamming(codes, pairs.first, pairs.second)
        counted = np.bincount(distances, pairs.weight, minlength=bits + 1)
        before = _before(bits, known)
        counts = counted + before
        # Copies are among the counted pairs alone. Those of training are many, if not all count.
        copies = COPIES / max(int(groups.max(initial=0)) + 1, 2) * counted.sum() / counts.sum()
        few = FEW / (counted.sum() + max(before.sum(), np.sum(0 if known is None else known)))
        near, far = _dependence(codes, names, groups)
        mean = float(counts @ np.arange(bits + 1) / counts.sum())
        return cls(_joined(counts, max(PURE * copies, few)), mean, near, far)

    def expected(
        self, distance: ArrayLike, comparisons: float, segments: ArrayLike = 1
    ) -> NDArray[np.float64]:
        """How many of so many comparisons of unrelated videos give at most this distance.

        Args:
            distance: in bits; the mean one where several segments are compared.
            comparisons: how many pairs are looked at.
            segments: over how many aligned segments the mean is taken.

        The arguments may be arrays, and so is the result.
        """
        return comparisons * self._probability(distance, segments)

    def distance_for(self, rate: float, comparisons: float, segments: int = 1) -> float:
        """The largest distance whose expected number of chance matches is at most `rate`.

        Means over n segments come in steps of 1 / n bits. It is -1 where not even 0 is that rare.
        """
        steps = np.arange((len(self.below) - 1) * segments + 1) / segments
        rare = self.expected(steps, comparisons, segments) <= rate
        return float(steps[rare.sum() - 1]) if rare[0] else -1.0

    def _probability(self, distance: ArrayLike, segments: ArrayLike) -> NDArray[np.float64]:
        bits = len(self.below) - 1
        count = np.asarray(segments, np.float64)
        pairs = count * (count - 1)
        neighbours = 2 * (count - 1)
        variance = (count + neighbours * self.near + (pairs - neighbours) * self.far) / count**2
        spread = np.sqrt(np.maximum(variance, 1e-9))
        reach = (self.mean - np.asarray(distance, np.float64)) / spread
        single = self.mean - reach  # as rare, of one segment, as the mean is of several
        floor = np.maximum(np.log(self.below), -700.0)
        inside = np.interp(np.clip(single, 0, bits), np.arange(bits + 1), floor)
        # Below 0 a normal tail goes on, whose logarithm falls with the square.
        further = floor[0] * np.maximum(reach / max(self.mean, 1e-9), 1.0) ** 2
        return np.exp(np.where(single < 0, further, inside))


class Pairs(NamedTuple):
    """Pairs of codes of different videos."""

    first: NDArray[np.int64]
    """The rows (P,) of the codes."""
    second: NDArray[np.int64]
    weight: NDArray[np.float64]
    """How much each counts (P,): all pairs of codes of two videos count for one together."""

    def between(self, groups: NDArray[np.int64], owner: NDArray[np.generic]) -> "Pairs":
        """Those between different groups (N,); all pairs of videos of two groups count for one."""
        _, once = np.unique(owner, return_index=True)
        videos = np.bincount(groups[once])
        one, other = groups[self.first], groups[self.second]
        apart = one != other
        weight = self.weight / (videos[one] * videos[other])
        return Pairs(self.first[apart], self.second[apart], weight[apart])


def pairs_of_videos(owner: NDArray[np.generic]) -> Pairs:
    """All pairs of codes of different videos, or PAIRS that are drawn, where (N,) are the owners.

    The same owners give the same pairs.
    """
    _, owners, codes = np.unique(owner, return_inverse=True, return_counts=True)
    count = len(owners)
    if count * (count - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(count, 1)
        weight = 1 / (codes[owners[first]] * codes[owners[second]])
    else:  # two videos, and a code of each
        random = np.random.default_rng(0)
        videos = random.integers(0, len(codes), (2, PAIRS))
        places = codes.cumsum() - codes
        rows = np.argsort(owners, kind="stable")
        first, second = rows[places[videos] + random.integers(0, codes[videos])]
        weight = np.full(PAIRS, min(1.0, len(codes) ** 2 / 2 / PAIRS))
    return Pairs(first, second, weight).between(owners, owners)


def hamming(
    codes: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The distances (P,) between codes (N, b / 8) in rows `first` and `second` (P,)."""
    different = np.bitwise_count(codes[first] ^ codes[second])
    distances: NDArray[np.int64] = different.sum(axis=1, dtype=np.int64)
    return distances


def _before(bits: int, known: ArrayLike | None) -> NDArray[np.float64]:
    """The counts (b + 1,) to begin with: those of training, or a beta-binomial law."""
    if known is None:
        total = (1 / SPREAD - 1) / 2
        ones = np.arange(bits + 1)
        ways = -np.log(bits + 1) - betaln(bits - ones + 1, ones + 1)
        usual: NDArray[np.float64] = np.exp(
            ways + betaln(ones + total, bits - ones + total) - betaln(total, total)
        )
        return PRIOR * usual
    counts: NDArray[np.float64] = np.asarray(known, np.float64)
    if counts.shape != (bits + 1,) or not counts.sum():
        raise InputError(f"calibration: expected counts of {bits + 1} distances")
    counts = counts * min(1.0, KNOWN / float(counts.sum()))
    return counts


def _joined(counts: NDArray[np.float64], unsure: float) -> NDArray[np.float64]:
    """The cumulative probabilities (b + 1,); below the share `unsure`, a geometric tail goes on."""
    below: NDArray[np.float64] = counts.cumsum() / counts.sum()
    start = int(np.searchsorted(below, min(unsure, MOST)))
    if start:
        end = max(int(np.searchsorted(below, SPAN * below[start])), start + 1)
        step = np.log(below[end] / below[start]) / (end - start) if end < len(below) else 1.0
        below[:start] = below[start] * np.exp(-step * np.arange(start, 0, -1))
    return below


def _dependence(
    codes: NDArray[np.uint8], owner: NDArray[np.generic], groups: NDArray[np.int64]
) -> tuple[float, float]:
    """The correlation of the distances of aligned segments that are one and two apart.

    It is 1 where no video has three segments, so that more segments are no more evidence.
    """
    first = np.flatnonzero(owner[2:] == owner[:-2]) if len(owner) > 2 else np.arange(0)
    if len(np.unique(groups[first])) < 2:
        return 1.0, 1.0
    one, two = first[np.random.default_rng(0).integers(0, len(first), (2, RUNS))]
    other = groups[one] != groups[two]
    runs = np.stack([hamming(codes, one[other] + k, two[other] + k) for k in range(3)])
    if (runs.std(axis=1) == 0).any():
        return 1.0, 1.0
    correlation = np.corrcoef(runs).clip(0, 1)
    near = float(correlation[0, 1] + correlation[1, 2]) / 2
    return near, float(min(correlation[0, 2], near))

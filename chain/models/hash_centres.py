"""Hash centres: one code of ±1 for each cluster, far apart where the clusters are not alike (S5VH).

They start as rows of a Hadamard matrix. Then one centre after the other is solved anew, given the
others, by ADMM over the corners of the binary cube (Wu & Ghanem, arXiv 1604.07666): the corners are
where a box and a sphere meet. All of it happens once before training, in NumPy.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

Array = NDArray[np.float64]

SWEEPS = 20  # over all centres, at most
PATIENCE = 5  # sweeps without a better score
REDRAWS = 10  # of random centres
PENALTY, GROWTH, CAP = 5e-5, 1.07, 1e9  # of ADMM: at first, a round, at last
ROUNDS = math.ceil(math.log(CAP / PENALTY, GROWTH))  # until the penalty is at its cap
SETTLING = 100  # rounds after that
STEP = (1 + math.sqrt(5)) / 2  # of the multipliers


def hash_centres(semantic: Array, bits: int, random: np.random.Generator) -> Array:
    """The best centres of all sweeps, by `score`.

    Args:
        semantic: (K, D) centres of the clusters in feature space, of length 1.
        bits: b, a power of two.
        random: draws those centres for which the Hadamard matrix has no row.

    Returns:
        (K, b) of ±1.

    Raises:
        ValueError: there are fewer than two clusters, or `bits` is no power of two.
    """
    count = len(semantic)
    if count < 2:
        raise ValueError(f"hash centres need at least two clusters, not {count}")
    similarity = semantic @ semantic.T
    others = ~np.eye(count, dtype=bool)
    bound = bits - 2 * least_distance(count, bits)
    centres = first_centres(count, bits, random)
    best, waited = centres.copy(), 0
    for _ in range(SWEEPS):
        for k in range(count):
            targets = scaled(similarity[k, others[k]], bits)
            centres[k] = solve(centres[k], centres[others[k]], targets, bound)
        waited += 1
        if score(centres, similarity) > score(best, similarity):
            best, waited = centres.copy(), 0
        if waited == PATIENCE:
            break
    return best


def first_centres(count: int, bits: int, random: np.random.Generator) -> Array:
    """The first of the rows of [H; −H], then random codes with as many +1 as −1: (K, b).

    Random codes are drawn anew, up to ten times, until any two centres differ in more than b/4 bits
    and on average in b/2 or more.
    """
    rows = hadamard(bits).astype(np.float64)
    rows = np.concatenate([rows, -rows])[:count]
    for _ in range(REDRAWS):
        balanced = np.tile(np.repeat([1.0, -1.0], bits // 2), (count - len(rows), 1))
        centres = np.concatenate([rows, random.permuted(balanced, axis=1)])
        distance = hamming(centres @ centres.T, bits)[np.triu_indices(count, 1)]
        if distance.min() > bits / 4 and distance.mean() >= bits / 2:
            break
    return centres


def least_distance(count: int, bits: int) -> int:
    """The Hamming distance that K codes can surely have: least j with Σ_{i<j} C(b, i) ≥ 2^b / K.

    This is the bound of Gilbert and Varshamov.
    """
    covered, distance = 0, 0
    while covered * count < 2**bits:
        covered += math.comb(bits, distance)
        distance += 1
    return distance


def scaled(similarity: Array, bits: int) -> Array:
    """Similarities (K − 1,) stretched to fill [−b, b], the range of codes' inner products."""
    low, high = similarity.min(), similarity.max()
    if low == high:
        return np.zeros(len(similarity))
    stretched: Array = bits * (2 * (similarity - low) / (high - low) - 1)
    return stretched


def objective(code: Array, others: Array, targets: Array) -> float:
    """⟨mean of the others, v⟩ + ‖H v − s‖², which `solve` makes small."""
    return float(others.mean(axis=0) @ code + np.square(others @ code - targets).sum())


def solve(start: Array, others: Array, targets: Array, bound: float) -> Array:
    """A code v of small `objective` and with H v ≤ bound.

    Every round of ADMM minimises over v, projects v onto box, sphere and half-spaces, moves the
    multipliers, and raises the penalty. Of the signs of v in the last hundred rounds, those are
    taken whose mean and least Hamming distance to the other centres have the largest sum.

    Args:
        start: (b,) of ±1, the present centre.
        others: (K − 1, b) the other centres H.
        targets: (K − 1,) the inner products s that v is to have with them.
        bound: the largest inner product that it may have.

    Returns:
        (b,) of ±1.
    """
    bits = len(start)
    curvature, basis = np.linalg.eigh(others.T @ others)
    slope = others.mean(axis=0) - 2 * targets @ others
    v, penalty = start, PENALTY
    of_box, of_sphere, of_bound = np.zeros(bits), np.zeros(bits), np.zeros(len(others))
    best, best_distance = start, -math.inf
    for turn in range(ROUNDS + SETTLING):
        box = np.clip(v + of_box / penalty, -1, 1)
        sphere = v + of_sphere / penalty
        sphere *= math.sqrt(bits) / np.linalg.norm(sphere)
        under = np.minimum(others @ v + of_bound / penalty, bound)
        pull = penalty * (box + sphere + under @ others) - of_box - of_sphere - of_bound @ others
        v = basis @ ((pull - slope) @ basis / (2 * curvature + penalty * (2 + curvature)))
        of_box += STEP * penalty * (v - box)
        of_sphere += STEP * penalty * (v - sphere)
        of_bound += STEP * penalty * (others @ v - under)
        penalty = min(penalty * GROWTH, CAP)
        if turn >= ROUNDS:
            code = np.where(v >= 0, 1.0, -1.0)
            distance = hamming(others @ code, bits)
            if distance.mean() + distance.min() > best_distance:
                best, best_distance = code, distance.mean() + distance.min()
    return best


def score(centres: Array, similarity: Array) -> float:
    """How far apart centres (K, b) are, less by how much more alike than the clusters they are.

    Σ_{i<j} Hamming distance / K² − Σ_{i<j} (cosine of centres − similarity (K, K) of clusters).
    """
    count, bits = centres.shape
    pairs = np.triu_indices(count, 1)
    inner = (centres @ centres.T)[pairs]
    apart = hamming(inner, bits).sum() / count**2
    return float(apart - (inner / bits - similarity[pairs]).sum())


def hamming(inner: Array, bits: int) -> Array:
    """Hamming distances of codes of ±1 from their inner products."""
    distance: Array = (bits - inner) / 2
    return distance

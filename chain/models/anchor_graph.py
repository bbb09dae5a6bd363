"""Similar and dissimilar clips by the anchors that they share, as BTH and MCMSH draw their pairs.

Each clip is tied to its k nearest anchors (Liu et al., "Hashing with graphs", ICML 2011). Z_k (M,
anchors) holds its weights there, and 0 for all other anchors. The affinity of clips is
A_k = Z_k · diag(1ᵀZ_k)⁻¹ · Z_kᵀ. Of two clips we say:

* They are similar where A_3 is more than 1e-5. So each clip is similar to itself.
* They are dissimilar, and hard to tell apart, where A_5 is more than 1e-5 but neither A_4 nor A_3.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

NEAREST = 3  # anchors that make clips similar
REACH = NEAREST + 2  # anchors that make clips dissimilar, but not one less
LEAST = 1e-5  # affinity
CHUNK = 256  # clips compared with the anchors at once

Rows = NDArray[np.int64]


def nearest_anchors(states: Tensor, anchors: Tensor, count: int = REACH) -> tuple[Tensor, Tensor]:
    """Which of the anchors (K, W) are nearest to states (M, W), and how far they are.

    Returns:
        Both (M, count), nearest first. ValueError if there are fewer than `count` anchors.
    """
    if len(anchors) < count:
        raise ValueError(f"{count} nearest of only {len(anchors)} anchors")
    exact = "donot_use_mm_for_euclid_dist"
    closest = [
        torch.cdist(states[start : start + CHUNK], anchors, compute_mode=exact).topk(
            count, largest=False
        )
        for start in range(0, len(states), CHUNK)
    ]
    indices = torch.cat([found.indices for found in closest])
    return indices, torch.cat([found.values for found in closest])


def anchor_weights(distance: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weights (M, k) of each clip's k nearest anchors at the distances (M, k), nearest first.

    A weight is exp(−d²/h²), where h is the mean distance of all clips to their k-th anchor. The
    weights of a clip are scaled so that their sum is 1.
    """
    smallest = np.finfo(np.float32).tiny
    squared = np.square(distance / max(distance[:, -1].mean(dtype=np.float64), smallest))
    weights = np.exp(squared.min(axis=1, keepdims=True) - squared)
    # Never quite 0, so that no anchor to which a clip is tied has a total weight of 0.
    scaled: NDArray[np.float64] = np.maximum(weights / weights.sum(axis=1, keepdims=True), smallest)
    return scaled


class AnchorGraph:
    """Draws similar and dissimilar clips of M, tied to anchors as `nearest_anchors` returns them.

    Affinities (M, M) are never formed. Those of a batch's clips are computed as they are needed.
    """

    def __init__(self, nearest: Rows, distance: NDArray[np.floating]) -> None:
        self.nearest = nearest
        self._ties: dict[int, csr_array] = {}
        self._shares: dict[int, csr_array] = {}
        for count in range(NEAREST, REACH + 1):
            anchors = nearest[:, :count]
            weights = anchor_weights(distance[:, :count])
            degree = np.bincount(anchors.ravel(), weights.ravel())
            bounds = np.arange(0, anchors.size + 1, count)
            shape = (len(anchors), len(degree))
            for table, values in (self._ties, weights), (self._shares, weights / degree[anchors]):
                table[count] = csr_array((values.ravel(), anchors.ravel(), bounds), shape=shape)
        self._members = {count: shares.T.tocsr() for count, shares in self._shares.items()}

    def affinity(self, rows: Rows, count: int = NEAREST) -> csr_array:
        """A_k (B, M) of the clips `rows` (B,), where k = `count` is 3, 4 or 5."""
        return self._ties[count][rows] @ self._members[count]

    def similar(self, rows: Rows, random: np.random.Generator) -> Rows:
        """Any clip (B,) that is similar to each of `rows` (B,). It may be the clip itself."""
        found, _ = _any_in_row(self.affinity(rows) > LEAST, random)
        return found

    def dissimilar(self, rows: Rows, random: np.random.Generator) -> Rows:
        """Any clip (B,) that is dissimilar to each of `rows` (B,).

        If a clip has none, it is any that is not similar to it. If all are similar, it is the clip
        of least affinity.
        """
        near = self.affinity(rows)
        similar = near > LEAST
        far = self.affinity(rows, REACH) > LEAST
        nearer = similar + (self.affinity(rows, REACH - 1) > LEAST)
        found, empty = _any_in_row(far > nearer, random)
        for row in np.flatnonzero(empty):
            others = np.delete(np.arange(near.shape[1]), similar[[row]].indices)
            if len(others):
                found[row] = random.choice(others)
            else:
                found[row] = near[[row]].toarray()[0].argmin()
        return found

    def partners(self, rows: Rows, similar: NDArray[np.bool_], random: np.random.Generator) -> Rows:
        """A clip (B,) for each of `rows` (B,): a similar one where `similar` (B,) says so."""
        found = np.empty_like(rows)
        found[similar] = self.similar(rows[similar], random)
        found[~similar] = self.dissimilar(rows[~similar], random)
        return found

    def are_similar(self, first: Rows, second: Rows) -> NDArray[np.bool_]:
        """Whether the clips `first` (B,) and `second` (B,) are similar, pair by pair: (B,)."""
        flows = self._ties[NEAREST][first].multiply(self._shares[NEAREST][second])
        affinity = flows.sum(axis=1)
        alike: NDArray[np.bool_] = affinity > LEAST
        return alike


def _any_in_row(table: csr_array, random: np.random.Generator) -> tuple[Rows, NDArray[np.bool_]]:
    """The column of any entry (B,) in each row of a sparse table (B, M), and which rows are empty.

    The column of an empty row is 0.
    """
    table.sort_indices()
    count = np.diff(table.indptr)
    place = table.indptr[:-1] + random.integers(0, np.maximum(count, 1))
    columns = np.append(table.indices, 0)[place]
    return np.where(count > 0, columns, 0).astype(np.int64), count == 0

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from chain.models.anchor_graph import AnchorGraph, anchor_weights, nearest_anchors

CLIPS, ANCHORS = 40, 12


def points(seed: int, anchors: int = ANCHORS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(CLIPS, 3, generator=generator), torch.randn(anchors, 3, generator=generator)


def graph_of(states: Tensor, anchors: Tensor) -> AnchorGraph:
    nearest, distance = nearest_anchors(states, anchors)
    return AnchorGraph(nearest.numpy(), distance.numpy())


def slow_affinity(states: Tensor, anchors: Tensor, nearest: int) -> NDArray[np.float64]:
    """A (M, M), dense and by the formula."""
    distances = [[math.dist(x, a) for a in anchors.tolist()] for x in states.tolist()]
    width = sum(sorted(row)[nearest - 1] for row in distances) / len(distances)
    z = np.zeros((len(states), len(anchors)))
    for clip, row in enumerate(distances):
        for anchor in sorted(range(len(row)), key=row.__getitem__)[:nearest]:
            z[clip, anchor] = math.exp(-(row[anchor] ** 2) / width**2)
        z[clip] /= z[clip].sum()
    used = z.sum(axis=0) > 0
    product: NDArray[np.float64] = z[:, used] @ np.diag(1 / z[:, used].sum(axis=0)) @ z[:, used].T
    return product


@pytest.mark.parametrize("nearest", [3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_affinity_equals_a_dense_twin(seed: int, nearest: int) -> None:
    states, anchors = points(seed)
    expected = slow_affinity(states, anchors, nearest)
    rows = np.array([5, 0, 39, 5])
    found = graph_of(states, anchors).affinity(rows, nearest).toarray()
    np.testing.assert_allclose(found, expected[rows], rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_nearest_anchor_comes_first_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    states, anchors = points(0)
    indices, distance = nearest_anchors(states, anchors)
    every = (states[:, None] - anchors).square().sum(dim=2).sqrt()
    assert torch.equal(indices, every.argsort(dim=1)[:, :5])
    torch.testing.assert_close(distance, every.sort(dim=1).values[:, :5])
    monkeypatch.setattr("chain.models.anchor_graph.CHUNK", 7)
    chunked = nearest_anchors(states, anchors)
    assert torch.equal(chunked[0], indices) and torch.equal(chunked[1], distance)
    with pytest.raises(ValueError, match="5 nearest of only 4 anchors"):
        nearest_anchors(states, anchors[:4])


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_weights_stay_positive(far: float) -> None:
    """All at one point, or one clip far off: neither a division by zero nor an empty weight."""
    distance = np.zeros((1000, 3), np.float32)
    distance[0, 1:] = far
    weights = anchor_weights(distance)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


@pytest.mark.parametrize("seed", range(3))
def test_any_similar_and_any_hard_clip_may_be_drawn(seed: int) -> None:
    states, anchors = points(seed)
    graph, random = graph_of(states, anchors), np.random.default_rng(0)
    near, middle, far = (slow_affinity(states, anchors, k) > 1e-5 for k in (3, 4, 5))
    clips = np.repeat(np.arange(CLIPS), 400)
    alike = graph.similar(clips, random).reshape(CLIPS, 400)
    apart = graph.dissimilar(clips, random).reshape(CLIPS, 400)
    hard = far & ~middle & ~near
    assert hard.any(axis=1).sum() > 0
    for clip in range(CLIPS):
        assert set(alike[clip]) == set(np.flatnonzero(near[clip]))
        assert clip in alike[clip]
        others = np.flatnonzero(hard[clip]) if hard[clip].any() else np.flatnonzero(~near[clip])
        assert set(apart[clip]) == set(others)
    first, second = random.integers(0, CLIPS, (2, 300))
    assert (graph.are_similar(first, second) == near[first, second]).all()


def test_clips_without_a_hard_one() -> None:
    """Clips 0 and 1 have anchors of their own, the others share theirs."""
    nearest = np.array([[0, 1, 2, 3, 4]] * 2 + [[5, 6, 7, 8, 9]] * 3)
    graph = AnchorGraph(nearest, np.ones((5, 5), np.float32))
    random = np.random.default_rng(0)
    found = graph.dissimilar(np.array([0] * 50 + [3] * 50), random)
    assert set(found[:50]) == {2, 3, 4} and set(found[50:]) == {0, 1}


def test_all_clips_are_similar() -> None:
    """The one of least affinity stands in for a dissimilar one."""
    distance = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [2.8, 2.9, 3, 4, 5]], np.float32)
    graph = AnchorGraph(np.array([[0, 1, 2, 3, 4]] * 2 + [[2, 1, 0, 3, 4]]), distance)
    dense = graph.affinity(np.arange(3)).toarray()
    found = graph.dissimilar(np.arange(3), np.random.default_rng(0))
    assert found.tolist() == dense.argmin(axis=1).tolist() and found[0] == 2


def test_partners_follow_the_flags() -> None:
    states, anchors = points(0)
    graph = graph_of(states, anchors)
    rows, flags = np.arange(CLIPS), np.arange(CLIPS) % 3 > 0
    found = graph.partners(rows, flags, np.random.default_rng(0))
    assert (graph.are_similar(rows, found) == flags).all()
    again = graph.partners(rows, flags, np.random.default_rng(0))
    assert (again == found).all()
    for none in (flags & False, flags | True):
        assert len(graph.partners(rows, none, np.random.default_rng(0))) == CLIPS

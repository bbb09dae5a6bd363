import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from chain.models import kmeans as module
from chain.models.kmeans import cluster_means, kmeans, plus_plus, squared_distances


def blobs(spread: float = 0.1) -> tuple[Tensor, Tensor]:
    """Ninety points around three corners, and the corner of each."""
    torch.manual_seed(0)
    corners = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    truth = torch.randint(3, (90,))
    return corners[truth] + spread * torch.randn(90, 2), truth


def cloud(points: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(points, width, generator=torch.Generator().manual_seed(seed))


def inertia(points: Tensor, labels: Tensor, centres: Tensor) -> float:
    return float((points - centres[labels]).double().square().sum())


def slow_kmeans(points: Tensor, start: Tensor) -> tuple[list[int], list[list[float]]]:
    """Lloyd's iterations, point by point, with Python's numbers."""
    rows, centres, labels = points.tolist(), start.tolist(), []
    while True:
        apart = [[math.dist(row, centre) for centre in centres] for row in rows]
        found = [distances.index(min(distances)) for distances in apart]
        for cluster in range(len(centres)):
            if cluster not in found:
                movable = [n for n in range(len(rows)) if found.count(found[n]) > 1]
                farthest = max(movable, key=lambda n: apart[n][found[n]])
                if apart[farthest][found[farthest]] == 0:
                    break
                found[farthest] = cluster
        if found == labels:
            return labels, centres
        labels = found
        for cluster in set(labels):
            members = [row for row, label in zip(rows, labels, strict=True) if label == cluster]
            centres[cluster] = [
                math.fsum(column) / len(members) for column in zip(*members, strict=True)
            ]


@pytest.mark.parametrize("chunk", [7, 1024])
@pytest.mark.parametrize("seed", range(6))
def test_iterations_against_a_slow_twin(
    monkeypatch: pytest.MonkeyPatch, seed: int, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    points, start = cloud(60, 3, seed), cloud(9, 3, 100 + seed)
    start[5:7] += 50  # they begin without any point
    labels, centres = kmeans(points, 9, start)
    expected_labels, expected = slow_kmeans(points, start)
    assert labels.tolist() == expected_labels and len(set(expected_labels)) == 9
    torch.testing.assert_close(centres, torch.tensor(expected))


def slow_plus_plus(points: Tensor, clusters: int) -> list[int]:
    """The same draws, with distances point by point."""
    chosen = [int(torch.randint(len(points), ()))]

    def closest(centres: list[int]) -> list[float]:
        rows = points.tolist()
        return [min(math.dist(row, rows[c]) ** 2 for c in centres) for row in rows]

    while len(chosen) < clusters:
        chances = torch.tensor(closest(chosen), dtype=torch.float64)
        drawn = torch.multinomial(chances, 2 + int(math.log(clusters)), replacement=True).tolist()
        chosen.append(min(drawn, key=lambda n: sum(closest([*chosen, n]))))
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_first_centres_against_a_slow_twin(seed: int) -> None:
    points = cloud(40, 3, seed)
    torch.manual_seed(seed)
    found = plus_plus(points.double(), 11)
    torch.manual_seed(seed)
    assert found.tolist() == slow_plus_plus(points, 11)
    assert len(found.unique()) == 11


@pytest.mark.parametrize(("points", "width", "clusters"), [(300, 5, 12), (400, 64, 40)])
def test_inertia_is_near_that_of_scikit_learn(points: int, width: int, clusters: int) -> None:
    ours, theirs = [], []
    for seed in range(8):
        data = (
            cloud(points, width, seed)
            + 3 * cloud(8, width, seed).repeat(points // 8 + 1, 1)[:points]
        )
        torch.manual_seed(seed)
        ours.append(inertia(data, *kmeans(data, clusters)))
        theirs.append(KMeans(clusters, n_init=1, random_state=seed).fit(data.numpy()).inertia_)
    assert np.mean(ours) < 1.01 * np.mean(theirs)


def test_scikit_learn_comes_to_the_same_from_the_same_centres() -> None:
    """Where it is told to go on until nothing changes, and a cluster begins empty or not."""
    for seed in range(5):
        points, start = cloud(200, 4, seed), cloud(10, 4, 50 + seed)
        start[3] += 40
        theirs = KMeans(10, init=start.numpy(), n_init=1, tol=0).fit(points.numpy())
        labels, centres = kmeans(points, 10, start)
        assert labels.tolist() == theirs.labels_.tolist()
        np.testing.assert_allclose(centres, theirs.cluster_centers_, atol=1e-5)


def test_finds_the_blobs() -> None:
    points, truth = blobs()
    labels, centres = kmeans(points, 3)
    assert labels.dtype == torch.int64 and centres.dtype == torch.float32
    assert len({(int(a), int(b)) for a, b in zip(labels, truth, strict=True)}) == 3
    for label in range(3):
        torch.testing.assert_close(centres[label], points[labels == label].mean(dim=0))


def test_is_seeded_by_torch() -> None:
    points = cloud(200, 4)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        np.random.seed(len(results))
        results.append(kmeans(points, 20)[1])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_goes_on_from_given_centres() -> None:
    points, _ = blobs()
    labels, centres = kmeans(points, 3)
    for order in ([0, 1, 2], [2, 0, 1]):
        again, moved = kmeans(points + 0.2, 3, centres[order])
        assert torch.equal(torch.tensor(order)[again], labels)
        torch.testing.assert_close(moved, centres[order] + 0.2)


def test_points_far_from_the_origin() -> None:
    """Their distances are a small difference of large numbers."""
    points, truth = blobs()
    torch.manual_seed(1)
    labels, _ = kmeans(points + 3000, 3)
    assert len({(int(a), int(b)) for a, b in zip(labels, truth, strict=True)}) == 3


@pytest.mark.parametrize("seed", range(5))
def test_fewer_distinct_points_than_clusters(seed: int) -> None:
    torch.manual_seed(seed)
    distinct = torch.rand(3, 37) * 100 + 0.1
    points = distinct.repeat(5, 1)
    labels, centres = kmeans(points, 6)
    assert torch.equal(labels[:3].repeat(5), labels) and len(labels.unique()) == 3
    torch.testing.assert_close(centres[labels], points, rtol=1e-6, atol=0)


def test_all_points_alike() -> None:
    labels, centres = kmeans(torch.full((50, 31), 0.3), 4)
    assert not labels.any() and (centres == 0.3).all()


def test_as_many_clusters_as_points() -> None:
    points = cloud(6, 2)
    labels, centres = kmeans(points, 6)
    assert torch.equal(centres[labels], points)
    labels, centres = kmeans(points, 1)
    assert not labels.any()
    torch.testing.assert_close(centres[0], points.mean(dim=0))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_points_that_are_no_numbers(value: float) -> None:
    points = cloud(6, 2)
    points[3, 1] = value
    with pytest.raises(ValueError, match="finite"):
        kmeans(points, 2)


def test_more_clusters_than_points() -> None:
    with pytest.raises(ValueError, match="7 clusters of 6 points"):
        kmeans(cloud(6, 2), 7)


def test_points_are_left_as_they_are() -> None:
    points, start = cloud(40, 3), cloud(5, 3, 1)
    before = points.clone(), start.clone()
    kmeans(points, 5, start)
    assert torch.equal(points, before[0]) and torch.equal(start, before[1])


def test_distances_against_a_loop() -> None:
    first, second = cloud(5, 3).double(), cloud(4, 3, 1).double()
    second[2] = first[1]
    found = squared_distances(first, second)
    assert found[1, 2] == 0 and (found >= 0).all()
    for a in range(5):
        for b in range(4):
            expected = math.dist(first[a].tolist(), second[b].tolist()) ** 2
            assert float(found[a, b]) == pytest.approx(expected, abs=1e-12)


def test_cluster_means_by_hand() -> None:
    points = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 5.0]])
    means = cluster_means(points, torch.tensor([2, 2, 0]), 4)
    assert means.tolist() == [[5, 5], [0, 0], [2, 4], [0, 0]]


def digest(threads: int) -> str:
    """Of labels and centres of many points, computed on some threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    # Not torch's generator: its normal numbers are not the same on all processors.
    points = np.random.default_rng(0).normal(size=(900, 130)).astype(np.float32)
    torch.manual_seed(0)
    labels, centres = kmeans(torch.from_numpy(points), 70)
    torch.set_num_threads(before)
    return hashlib.sha256(labels.numpy().tobytes() + centres.numpy().tobytes()).hexdigest()


def test_same_bits_whatever_the_threads_and_matrix_kernels() -> None:
    """The other process is told to compute as an older processor does."""
    older = {
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    script = "from test_kmeans import digest; print(digest(1))"
    other = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | older, capture_output=True, text=True
    )
    assert other.stdout.strip() == digest(1) == digest(2), other.stderr

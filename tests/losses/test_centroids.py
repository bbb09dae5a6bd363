import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from chain.losses.centroids import centroid_contrast, concentrations


def test_contrast_by_hand() -> None:
    """Two codes of one cluster and a negative: each has the other's centroid as a negative too."""
    codes = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    centroids = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loose = torch.tensor([0.5, 0.5, 0.25])
    first = math.log(2 * math.exp(2) + 1) - 2
    second = math.log(2 + math.exp(4))
    loss = centroid_contrast(codes, centroids, loose).item()
    assert loss == pytest.approx((first + second) / 2)


def test_twenty_steps_lower_the_contrast() -> None:
    torch.manual_seed(0)
    codes = torch.randn(12, 8, requires_grad=True)
    centroids, loose = F.normalize(torch.randn(20, 8), dim=1), torch.full((20,), 0.2)
    optimiser = torch.optim.Adam([codes], lr=0.05)
    losses = []
    for _ in range(20):
        loss = centroid_contrast(codes, centroids, loose)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def slow_concentrations(points: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> list:
    loose: list[float | None] = []
    for cluster, centroid in enumerate(centroids):
        members = points[labels == cluster]
        if len(members) > 1:
            distances = [math.dist(member, centroid) for member in members]
            loose.append(sum(distances) / len(members) / math.log(len(members) + 10))
        else:
            loose.append(None)
    largest = max(value for value in loose if value is not None)
    filled = [largest if value is None else value for value in loose]
    clipped = np.clip(filled, *np.percentile(filled, [10, 90]))
    return list(0.2 * clipped / clipped.mean())


def test_concentrations_against_a_slow_twin() -> None:
    random = np.random.default_rng(0)
    points, centroids = random.normal(size=(40, 5)), random.normal(size=(9, 5))
    labels = random.integers(0, 7, 40)  # two clusters are empty
    labels[labels == 3] = 2
    labels[11] = 3  # alone
    found = concentrations(*map(torch.from_numpy, (points, labels, centroids)))
    assert found.tolist() == pytest.approx(slow_concentrations(points, labels, centroids))
    assert found.mean().item() == pytest.approx(0.2)

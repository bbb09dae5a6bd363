import numpy as np
import torch

from chain.views.two_views import permutations, take, two_views


def test_by_hand() -> None:
    permutation = torch.tensor([[3, 0, 4, 1, 2]])
    (visible1, hidden1), (visible2, hidden2) = two_views(permutation, masked=3)
    assert visible1.tolist() == [[0, 3]] and hidden1.tolist() == [[1, 2, 4]]
    assert visible2.tolist() == [[1, 2]] and hidden2.tolist() == [[0, 3, 4]]
    (visible1, hidden1), (visible2, hidden2) = two_views(permutation, masked=1)
    assert visible1.tolist() == [[0, 1, 3, 4]] and hidden1.tolist() == [[2]]
    assert visible2.tolist() == [[0, 1, 2, 4]] and hidden2.tolist() == [[3]]


def test_permutations_come_from_the_generator_alone() -> None:
    first = permutations(50, 7, np.random.default_rng(0))
    assert torch.equal(first, permutations(50, 7, np.random.default_rng(0)))
    assert not torch.equal(first, permutations(50, 7, np.random.default_rng(1)))
    assert torch.equal(first.sort(dim=1).values, torch.arange(7).expand(50, -1))
    assert len({tuple(order) for order in first.tolist()}) > 45


def test_take() -> None:
    features = torch.arange(2 * 3 * 2).view(2, 3, 2)
    taken = take(features, torch.tensor([[2, 0], [1, 1]]))
    assert taken.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]

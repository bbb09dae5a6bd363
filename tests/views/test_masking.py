import numpy as np
import pytest
import torch

from chain.views.masking import HIDDEN, corrupt, mask_frames


def test_masked_frames_are_zeroed_replaced_or_kept() -> None:
    shown = mask_frames(2000, 20, np.random.default_rng(0))
    own = np.arange(shown.size).reshape(2000, 20)
    hidden, other = shown == HIDDEN, (shown != HIDDEN) & (shown != own)
    assert hidden.mean() == pytest.approx(0.12, abs=0.005)
    assert other.mean() == pytest.approx(0.015, abs=0.002)
    assert shown[other].min() >= 0 and shown[other].max() < shown.size
    assert len(np.unique(shown[other])) > 0.9 * other.sum()
    # Each frame of a clip is as likely to be hidden as any other, whatever happens to the rest.
    np.testing.assert_allclose(hidden.mean(axis=0), 0.12, atol=0.03)
    counts = hidden.sum(axis=1)
    assert counts.min() == 0 and counts.var() == pytest.approx(20 * 0.12 * 0.88, rel=0.1)


def test_only_the_generator_decides() -> None:
    first, again, other = (mask_frames(5, 8, np.random.default_rng(k)) for k in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    assert mask_frames(1, 1, np.random.default_rng(0)).shape == (1, 1)


def test_corrupt_by_hand_leaves_the_target_alone() -> None:
    features = torch.arange(1.0, 9.0).view(2, 2, 2)
    before = features.clone()
    got = corrupt(features, torch.tensor([[HIDDEN, 1], [0, 2]]))
    assert got.tolist() == [[[0, 0], [3, 4]], [[1, 2], [5, 6]]]
    got += 1
    assert torch.equal(features, before)

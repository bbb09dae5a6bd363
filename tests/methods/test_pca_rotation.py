import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.methods.pca_rotation import (
    PCARotation,
    PCARotationConfig,
    components_of_few,
    principal_components,
)
from chain.views.store import FeatureStore

CLIPS, WIDTH, BITS = 60, 10, 8


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Clips of five frames off the origin, with variances that fall from feature to feature."""
    random = np.random.default_rng(0)
    clips = 3 + random.normal(size=(CLIPS, 1, WIDTH)) * np.geomspace(2, 0.1, WIDTH)
    clean = (clips + 0.1 * random.normal(size=(CLIPS, 5, WIDTH))).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(CLIPS)}), clean, np.arange(1, CLIPS, 2), {})


def construct(seed: int = 0, width: int = WIDTH, bits: int = BITS) -> PCARotation:
    torch.manual_seed(seed)
    return PCARotation(PCARotationConfig(frames=5), width, bits)


def fitted(store: FeatureStore, seed: int = 0) -> PCARotation:
    model = construct(seed)
    model.fit(store)
    return model


def features(store: FeatureStore) -> Tensor:
    return torch.from_numpy(store.clean).float()


def test_codes_equal_a_slow_twin(store: FeatureStore) -> None:
    """By singular values of the training data, one clip and one bit at a time."""
    pooled = store.clean.astype(float).mean(axis=1)
    mean = pooled[store.train].mean(axis=0)
    _, _, right = np.linalg.svd(pooled[store.train] - mean)
    axes = [row * np.sign(row[np.abs(row).argmax()]) for row in right[:BITS]]
    rotation = construct().rotation.double().numpy()
    expected = [
        [
            sum((clip - mean) @ axes[i] * rotation[i, bit] for i in range(BITS))
            for bit in range(BITS)
        ]
        for clip in pooled
    ]
    got = fitted(store).encode(features(store))
    torch.testing.assert_close(got, torch.tensor(expected).float(), atol=1e-4, rtol=1e-4)


def test_the_rotation_changes_signs_but_no_distance(store: FeatureStore) -> None:
    first, second = (fitted(store, seed).encode(features(store)) for seed in (0, 1))
    torch.testing.assert_close(torch.pdist(first), torch.pdist(second), atol=1e-4, rtol=1e-4)
    assert ((first > 0) != (second > 0)).float().mean() > 0.2


def test_fitting_leaves_the_rotation_as_it_was_drawn(store: FeatureStore) -> None:
    model = fitted(store)
    assert torch.equal(model.rotation, construct().rotation)
    torch.testing.assert_close(model.rotation.T @ model.rotation, torch.eye(BITS))


def test_principal_components_by_hand() -> None:
    covariance = torch.diag(torch.tensor([1.0, 9.0, 4.0]))
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(principal_components(covariance, 2), expected)
    # Variance 3 along (1, -2)/√5 and 1 across it: the larger entry is made positive.
    axis = torch.tensor([1.0, -2.0]) / 5**0.5
    covariance = torch.eye(2) + 2 * torch.outer(axis, axis)
    torch.testing.assert_close(principal_components(covariance, 1)[:, 0], -axis)


def test_few_clips_have_the_components_of_their_covariance() -> None:
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 40)))
    points -= points.mean(dim=0)
    expected = principal_components(points.T @ points, 5)
    torch.testing.assert_close(components_of_few(points, 5), expected, atol=1e-9, rtol=1e-9)


def test_copies_among_few_clips_do_no_harm() -> None:
    points = torch.zeros(30, 400, dtype=torch.float64)
    points[:15, 0], points[15:, 0] = 1.0, -1.0
    components = components_of_few(points, 16)
    torch.testing.assert_close(components[:, 0], torch.eye(400, dtype=torch.float64)[0])
    torch.testing.assert_close(components.T @ components, torch.eye(16, dtype=torch.float64))


def test_bad_input(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"bits is 16, but the features have only 10 dimensions"):
        construct(bits=16).fit(store)


@pytest.mark.parametrize("clips", [2, 5, BITS, BITS + 1])
def test_with_few_clips_the_other_directions_are_random(store: FeatureStore, clips: int) -> None:
    few = FeatureStore(store.index, store.clean, np.arange(clips), {})
    model, other = fitted(few), fitted(few, seed=1)
    torch.testing.assert_close(model.components.T @ model.components, torch.eye(BITS))
    spanned = min(clips - 1, BITS)
    assert torch.equal(model.components[:, :spanned], other.components[:, :spanned])
    assert torch.equal(model.components, fitted(few).components)
    if spanned < BITS:
        assert not torch.equal(model.components[:, spanned:], other.components[:, spanned:])
    centred = features(few)[:clips].mean(dim=1) - model.mean
    beyond = centred @ model.components[:, spanned:]
    torch.testing.assert_close(beyond, torch.zeros_like(beyond), atol=1e-4, rtol=0)
    rest = centred - centred @ model.components @ model.components.T
    assert clips > BITS or rest.abs().max() < 1e-4

import numpy as np
import pandas as pd
import pytest
import torch

from chain.core.errors import InputError
from chain.methods.lsh import LSH, LSHConfig
from chain.views.store import FeatureStore


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    clean = np.random.default_rng(0).normal(3.0, 1.0, size=(9, 11, 5)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(9)}), clean, np.array([1, 2, 4, 8]), {})


def fitted(store: FeatureStore, seed: int = 0, frames: int = 4, bits: int = 16) -> LSH:
    torch.manual_seed(seed)
    model = LSH(LSHConfig(frames=frames), 5, bits)
    model.fit(store)
    return model


def test_codes_are_projections_of_the_centred_mean(store: FeatureStore) -> None:
    model = fitted(store)
    seen = [int((k + 0.5) * 11 / 4) for k in range(4)]
    mean = store.clean[store.train][:, seen].astype(np.float64).mean(axis=(0, 1))
    np.testing.assert_allclose(model.mean.numpy(), mean, rtol=1e-6)
    clips = store.clean[:, seen].astype(np.float64)
    expected = (clips.mean(axis=1) - mean) @ model.planes.double().numpy()
    got = model.encode(torch.from_numpy(clips).float())
    assert got.shape == (9, 16)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_planes_are_standard_normal_and_follow_the_seed(store: FeatureStore) -> None:
    first, second, other = (fitted(store, seed, bits=4096) for seed in (0, 0, 1))
    assert torch.equal(first.planes, second.planes)
    assert not torch.equal(first.planes, other.planes)
    assert abs(float(first.planes.mean())) < 0.03 and abs(float(first.planes.std()) - 1) < 0.03


def test_share_of_equal_bits_is_the_angle(store: FeatureStore) -> None:
    """Charikar: two vectors differ in a bit with probability angle / pi."""
    model = fitted(store, bits=8192)
    vectors = torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 1.0, 0, 0, 0]]) + model.mean
    codes = model.encode(vectors[:, None]) >= 0
    assert (codes[0] != codes[1]).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_state_dict_holds_all(store: FeatureStore) -> None:
    model = fitted(store)
    copy = LSH(LSHConfig(frames=4), 5, 16)
    copy.load_state_dict(model.state_dict())
    features = torch.randn(3, 4, 5)
    assert torch.equal(copy.encode(features), model.encode(features))


def test_it_learns_nothing_by_gradient(store: FeatureStore) -> None:
    model = fitted(store)
    assert model.config.training is None and not list(model.parameters())
    with pytest.raises(NotImplementedError, match="LSH learns nothing"):
        model.draw(store, np.array([0]), np.random.default_rng(0))
    with pytest.raises(NotImplementedError, match="LSH learns nothing"):
        model.losses()


def test_too_few_stored_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        fitted(store, frames=12)

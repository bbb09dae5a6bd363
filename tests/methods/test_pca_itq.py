from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import parse
from chain.methods.pca_itq import PCAITQ, PCAITQConfig, itq
from chain.views.store import FeatureStore

CLIPS, WIDTH, BITS = 70, 12, 8
SEEN = [1, 4, 6, 9]  # midpoints of four equal segments of eleven frames


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Correlated features of very different variance, off the origin."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(WIDTH, WIDTH)) * np.geomspace(2, 0.1, WIDTH)[:, None]
    clips = random.normal(size=(CLIPS, 1, WIDTH)) @ mixing
    clean = (3 + clips + 0.1 * random.normal(size=(CLIPS, 11, WIDTH))).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(CLIPS)}), clean, np.arange(1, CLIPS, 2), {})


def construct(
    seed: int = 0, iterations: int = 50, frames: int = 4, width: int = WIDTH, bits: int = BITS
) -> PCAITQ:
    torch.manual_seed(seed)
    return PCAITQ(PCAITQConfig(frames=frames, iterations=iterations), width, bits)


def fitted(store: FeatureStore, seed: int = 0, iterations: int = 50) -> PCAITQ:
    model = construct(seed, iterations)
    model.fit(store)
    return model


def slow_codes(store: FeatureStore, rotation: NDArray[np.float64], iterations: int) -> Tensor:
    """Real codes of all clips, by singular values of the whole training data at once."""
    pooled = np.stack(
        [np.mean([clip[t] for t in SEEN], axis=0, dtype=float) for clip in store.clean]
    )
    mean = pooled[store.train].mean(axis=0)
    _, _, right = np.linalg.svd(pooled[store.train] - mean)
    components = right[:BITS].T
    for column in components.T:
        column *= np.sign(column[np.abs(column).argmax()])
    projected = (pooled[store.train] - mean) @ components
    for _ in range(iterations):
        codes = np.where(projected @ rotation >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(codes.T @ projected)
        rotation = right.T @ left.T
    return torch.from_numpy((pooled - mean) @ components @ rotation).float()


def random_data(seed: int) -> tuple[Tensor, Tensor]:
    """Centred data (200, 6) of falling variance, as PCA gives, and a rotation."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    data = (data - data.mean(dim=0)) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5, 0.2])
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    return data, rotation


@pytest.mark.parametrize("iterations", [1, 7])
@pytest.mark.parametrize("chunk", [4, 256])
def test_codes_equal_a_slow_twin(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, iterations: int, chunk: int
) -> None:
    monkeypatch.setattr("chain.views.store.CHUNK", chunk)
    start = construct().rotation.double().numpy()
    expected = slow_codes(store, start, iterations)
    got = fitted(store, iterations=iterations).encode(
        torch.from_numpy(store.clean[:, SEEN]).float()
    )
    assert got.shape == (CLIPS, BITS)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_components_and_rotation_are_orthonormal(store: FeatureStore) -> None:
    model = fitted(store)
    for matrix in (model.rotation, model.components, construct(seed=3).rotation):
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(BITS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_quantisation_error_never_grows(seed: int) -> None:
    data, rotation = random_data(seed)

    def error(turned: Tensor) -> float:
        return float((torch.where(turned >= 0, 1.0, -1.0) - turned).square().sum())

    errors = [error(data @ itq(data, rotation, count)) for count in range(12)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(errors))
    assert errors[-1] < 0.99 * errors[0] and errors[-1] < 0.99 * error(data)


@pytest.mark.parametrize("seed", range(5))
def test_bits_carry_more_even_variance_than_components(seed: int) -> None:
    """The paper's reason to rotate: PCA gives the last bits next to nothing to tell."""
    data, rotation = random_data(seed)
    before, after = data.var(dim=0), (data @ itq(data, rotation, 50)).var(dim=0)
    assert after.sum() == pytest.approx(float(before.sum()))
    assert after.max() / after.min() < 0.1 * before.max() / before.min()


def test_ready_made_corners_are_found() -> None:
    """Data that are turned corners of the cube are turned back: no error is left."""
    corners = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]).double()
    angle = torch.tensor(0.3).double()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    turned = corners @ turn
    found = turned @ itq(turned, torch.eye(2).double(), 50)
    torch.testing.assert_close(found.abs(), torch.ones(4, 2).double())


def test_seed_decides_the_rotation(store: FeatureStore) -> None:
    first, second, other = (fitted(store, seed) for seed in (0, 0, 1))
    assert torch.equal(first.rotation, second.rotation)
    assert torch.equal(first.components, other.components)
    assert not torch.equal(first.rotation, other.rotation)


def test_only_training_clips_count(store: FeatureStore) -> None:
    clean = store.clean.copy()
    clean[0] += 5  # not for training
    changed = FeatureStore(store.index, clean, store.train, {})
    first, second = fitted(store).state_dict(), fitted(changed).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    clean[1] += 5
    assert not torch.equal(fitted(changed).mean, first["mean"])


def test_state_dict_holds_all(store: FeatureStore) -> None:
    model, copy = fitted(store), construct(seed=9)
    copy.load_state_dict(model.state_dict())
    features = torch.randn(3, 4, WIDTH)
    assert torch.equal(copy.encode(features), model.encode(features))
    assert model.config.training is None and not list(model.parameters())


def test_fewer_clips_than_bits(store: FeatureStore) -> None:
    few = FeatureStore(store.index, store.clean, np.arange(4), {})
    model = fitted(few)
    turned = model.components @ model.rotation
    torch.testing.assert_close(turned.T @ turned, torch.eye(BITS))
    assert torch.equal(model.components, fitted(few).components)


def test_bad_input(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"bits is 16, but the features have only 12 dimensions"):
        construct(bits=16).fit(store)
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        construct(frames=12).fit(store)
    with pytest.raises(InputError, match=r"methods.pca_itq.iterations: .*greater than or equal"):
        parse(PCAITQConfig, {"frames": 4, "iterations": 0}, "methods.pca_itq")

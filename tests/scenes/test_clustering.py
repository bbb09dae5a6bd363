import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import AffinityPropagation

import chain.scenes.clustering
from chain.scenes.clustering import SceneConfig, cluster_scenes

WIDTH, DENSE = 12, 12
PLACE = np.repeat([0, 1, 2], [4, 5, 3])


def config(preference: float = 1.0) -> SceneConfig:
    return SceneConfig(preference=preference, damping=0.5, temperature=0.2)


@pytest.fixture(scope="module")
def bank() -> NDArray[np.float16]:
    """Five clips, two views each, of three scenes."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(5, 2, 3, WIDTH))
    frames = centres[:, :, PLACE] + 0.05 * random.normal(size=(5, 2, DENSE, WIDTH))
    return frames.astype(np.float16)


def test_scenes_are_those_of_scikit_learn(bank: NDArray[np.float16]) -> None:
    rows = np.array([3, 0, 4])
    scenes = cluster_scenes(bank, rows, config())
    assert scenes.shape == (3, 2, DENSE)
    unit = bank.astype(np.float64)[rows]
    unit /= np.linalg.norm(unit, axis=3, keepdims=True)
    for frames, got in zip(unit.reshape(6, DENSE, WIDTH), scenes.reshape(6, DENSE), strict=True):
        expected = AffinityPropagation(random_state=0).fit(frames).labels_
        assert (expected == PLACE).all()
        assert (got == expected).all()


def test_chunks_change_nothing(bank: NDArray[np.float16], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(5)
    whole = cluster_scenes(bank, rows, config())
    monkeypatch.setattr(chain.scenes.clustering, "CHUNK", 4)
    assert (cluster_scenes(bank, rows, config()) == whole).all()


def test_a_larger_preference_makes_fewer_scenes() -> None:
    bank = np.random.default_rng(0).normal(size=(6, 1, 20, WIDTH)).astype(np.float16)
    counts = [
        cluster_scenes(bank, np.arange(6), config(preference)).max(axis=2).mean()
        for preference in (0.5, 1.0, 3.0)
    ]
    assert counts[0] > counts[1] > counts[2]

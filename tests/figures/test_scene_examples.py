import numpy as np
import pandas as pd
import pytest

from chain.analysis.joins import Joins
from chain.figures import scene_examples as module
from chain.figures.scene_examples import scene_examples
from chain.scenes.clustering import SceneConfig
from chain.views.store import FeatureStore

CONFIG = SceneConfig(preference=4.0, damping=0.5, temperature=0.2)
JOINS = Joins(np.array([2, 0, 1]), np.array([0, 3, 2]), np.array([4, 3, 2]))


@pytest.fixture
def shown(monkeypatch):
    """What the figure is asked to draw."""
    asked = []
    monkeypatch.setattr(module, "scene_strips", lambda *parts: asked.append(parts))
    return asked


def store(labels):
    """Four clips of six frames, each of them one scene."""
    noise = np.random.default_rng(0).normal(size=(4, 6, 8)) / 50
    clean = (np.eye(8)[:4, None] + noise).astype(np.float16)
    return FeatureStore(
        pd.DataFrame({"id": [7, 8, 9, 10], "labels": labels}), clean, np.arange(4), {}
    )


def frames():
    value = 10 * np.arange(4)[:, None] + np.arange(6)
    return np.broadcast_to(value[:, :, None, None, None], (4, 6, 2, 2, 3)).astype(np.uint8)


def test_clips_and_as_many_joins_with_their_cuts(shown):
    scene_examples(store(["run", "a" * 20, "fall", "b" * 20]), frames(), [3, 1], JOINS, CONFIG)
    ((drawn, scenes, names, cuts),) = shown
    assert drawn[:, :, 0, 0, 0].tolist() == [
        [30, 31, 32, 33, 34, 35],
        [10, 11, 12, 13, 14, 15],
        [20, 21, 22, 23, 4, 5],
        [0, 1, 2, 33, 34, 35],
    ]
    assert cuts == [None, None, 4, 3]
    assert names == ["b" * 20, "a" * 20, "fall | run", "run | " + "b" * 15 + "…"]
    assert [len(set(found)) for found in scenes.tolist()] == [1, 1, 2, 2]
    assert len(set(scenes[2, :4])) == len(set(scenes[2, 4:])) == 1


def test_without_categories_clips_are_named_by_their_ids(shown):
    scene_examples(store([""] * 4), frames(), [1], JOINS, CONFIG)
    assert shown[0][2] == ["8", "9 | 7"]

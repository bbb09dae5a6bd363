import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.methods.base import Method, MethodConfig
from chain.methods.training_clips import check_clusters, of_training_clips
from chain.views.store import FeatureStore


class Probe(Method):
    """Encodes in one mode only."""

    def __init__(self) -> None:
        super().__init__(MethodConfig(frames=2), 3, 8)
        self.weight = nn.Parameter(torch.ones(()))

    def encode(self, features: Tensor) -> Tensor:
        assert not self.training
        return self.weight * features.mean(dim=1)


def store(clips: int = 11, dense: int = 6) -> FeatureStore:
    clean = np.random.default_rng(0).normal(size=(clips, dense, 3)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(clips)}), clean, np.arange(1, clips, 2), {})


@pytest.mark.parametrize("training", [True, False])
def test_training_clips_in_chunks(monkeypatch: pytest.MonkeyPatch, training: bool) -> None:
    monkeypatch.setattr("chain.views.store.CHUNK", 2)
    model, features = Probe().train(training), store()
    means = of_training_clips(model, features, model.encode)
    expected = features.clean[1::2][:, [1, 4]].astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(means.numpy(), expected, rtol=1e-6)
    assert not means.requires_grad and model.training is training


def test_training_clips_need_their_frames() -> None:
    model = Probe()
    with pytest.raises(InputError, match=r"frames is 2, but decode.frames keeps only 1 a clip"):
        of_training_clips(model, store(dense=1), model.encode)


def test_check_names_the_key() -> None:
    check_clusters(4, store(), "methods.x.clusters")
    with pytest.raises(InputError, match=r"methods.x.clusters is 5, but there are only 5 training"):
        check_clusters(5, store(), "methods.x.clusters")

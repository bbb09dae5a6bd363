import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from chain.core.errors import InputError
from chain.methods import clusters
from chain.methods.base import Method, MethodConfig
from chain.methods.clusters import check_clusters, kmeans, of_training_clips
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
    monkeypatch.setattr(clusters, "CHUNK", 2)
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


def blobs(spread: float = 0.1) -> tuple[Tensor, Tensor]:
    """Ninety points around three corners, and the corner of each."""
    torch.manual_seed(0)
    corners = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    truth = torch.randint(3, (90,))
    return corners[truth] + spread * torch.randn(90, 2), truth


def test_kmeans_finds_the_blobs() -> None:
    points, truth = blobs()
    labels, centres = kmeans(points, 3)
    assert labels.dtype == torch.int64
    assert len({(int(a), int(b)) for a, b in zip(labels, truth, strict=True)}) == 3
    for label in range(3):
        torch.testing.assert_close(centres[label], points[labels == label].mean(dim=0))


def test_kmeans_is_seeded_by_torch() -> None:
    points = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(kmeans(points, 20)[1])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_kmeans_goes_on_from_given_centres() -> None:
    points, _ = blobs()
    labels, centres = kmeans(points, 3)
    for order in ([0, 1, 2], [2, 0, 1]):
        again, moved = kmeans(points + 0.2, 3, centres[order])
        assert torch.equal(torch.tensor(order)[again], labels)
        torch.testing.assert_close(moved, centres[order] + 0.2)

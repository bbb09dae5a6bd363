from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import small
from torch import Tensor

from chain.analysis import reversal
from chain.analysis.reversal import reversal_distances, reversal_table, signs
from chain.datasets.manifest import label_matrix
from chain.methods import method_class
from chain.methods.base import Method, MethodConfig
from chain.methods.saved_models import save_description
from chain.views.store import FeatureStore

WIDTH, BITS = 8, 16
LABELS = ["a", "a", "b", "a;b", "c"]


class Frame(Method):
    """The features of one frame are the real code."""

    Config = MethodConfig

    def __init__(self, frame: int, bits: int = 3) -> None:
        super().__init__(MethodConfig(frames=4), bits, bits)
        self.frame = frame

    def encode(self, features: Tensor) -> Tensor:
        return features[:, self.frame]


def built(name: str, seed: int = 0) -> Method:
    torch.manual_seed(seed)
    build = method_class(name)
    return build(build.Config.model_validate(small(name)), WIDTH, BITS).eval()


def features(clips: int = 5, frames: int = 4, width: int = WIDTH) -> Tensor:
    return torch.randn(clips, frames, width, generator=torch.Generator().manual_seed(0))


def slow_distances(model: Method, clips: Tensor, labels: list[str]) -> dict[str, float]:
    """Code by code and bit by bit."""

    def code(clip: Tensor) -> list[bool]:
        with torch.no_grad():
            return (model.encode(clip[None])[0] >= 0).tolist()

    def apart(one: list[bool], other: list[bool]) -> int:
        return sum(a != b for a, b in zip(one, other, strict=True))

    codes = [code(clip) for clip in clips]
    backwards = [code(torch.stack(list(clip)[::-1])) for clip in clips]
    pairs = [(i, j) for i in range(len(codes)) for j in range(i)]
    alike = [(i, j) for i, j in pairs if set(labels[i].split(";")) & set(labels[j].split(";"))]
    return {
        "reversed": np.mean([apart(*both) for both in zip(codes, backwards, strict=True)]),
        "category": np.mean([apart(codes[i], codes[j]) for i, j in alike]),
        "random": np.mean([apart(codes[i], codes[j]) for i, j in pairs]),
    }


def test_by_hand() -> None:
    clips = torch.zeros(3, 4, 3)
    clips[:, 0] = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, -1, -1]])  # the codes
    clips[:, 3] = torch.tensor([[1.0, 1, 0], [-1, 1, -1], [-1, -1, 1]])  # of the reversals; 0 is +1
    labels, _ = label_matrix(["a", "b", "a"])
    assert reversal_distances(Frame(0), clips, labels) == {
        "reversed": 1,  # 0, 2 and 1
        "category": 3,  # the first and the last
        "random": 2,  # 2, 3 and 1
    }


@pytest.mark.parametrize("name", ["conmh", "chain", "bth"])
def test_equals_slow_twin(name: str) -> None:
    model, clips = built(name), features()
    labels, _ = label_matrix(LABELS)
    found = reversal_distances(model, clips, labels)
    assert found == pytest.approx(slow_distances(model, clips, LABELS))
    assert found["reversed"] > 0 and found["category"] > 0


@pytest.mark.parametrize("name", ["lsh", "pca_itq", "pca_rotation"])
def test_a_method_that_is_blind_to_order_stands_at_0(name: str) -> None:
    model = built(name)
    for buffer in model.buffers():  # they are zeros before `fit`
        buffer.copy_(torch.randn(buffer.shape, generator=torch.Generator().manual_seed(1)))
    found = reversal_distances(model, features(50), np.ones((50, 1), dtype=bool))
    assert found["reversed"] == 0
    assert found["category"] == found["random"] > 1


def test_clips_without_a_partner_have_no_distance(recwarn: pytest.WarningsRecorder) -> None:
    apart = reversal_distances(Frame(0), features(3, width=3), np.eye(3, dtype=bool))
    assert np.isnan(apart["category"]) and apart["random"] > 0
    none = reversal_distances(Frame(0), features(3, width=3), np.zeros((3, 0), dtype=bool))
    assert np.isnan(none["category"]) and none["random"] > 0
    assert np.isnan(
        reversal_distances(Frame(0), features(1, width=3), np.ones((1, 1), bool))["random"]
    )
    assert not recwarn.list


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = signs(built("chain"), features())
    assert set(np.unique(expected)) == {-1, 1}
    monkeypatch.setattr(reversal, "BATCH", 2)
    assert (signs(built("chain"), features()) == expected).all()


@pytest.fixture
def store() -> FeatureStore:
    clean = np.random.default_rng(0).normal(size=(7, 6, WIDTH)).astype(np.float16)
    index = pd.DataFrame({"id": range(7), "labels": [*LABELS, "c", ""]})
    return FeatureStore(index, clean, np.arange(7), {})


def save(folder: Path, name: str, *seeds: int) -> None:
    folder = folder / f"{name}_{BITS}"
    folder.mkdir()
    save_description(folder, name, built(name).config, WIDTH, BITS)
    for seed in seeds:
        torch.save(built(name, seed).state_dict(), folder / f"seed_{seed}.pt")


def test_every_trained_model_has_a_row(tmp_path: Path, store: FeatureStore) -> None:
    save(tmp_path, "chain", 10, 9)
    save(tmp_path, "conmh", 9)
    clips, device = np.array([0, 1, 3, 5]), torch.device("cpu")
    table = reversal_table(tmp_path, ["conmh", "chain"], BITS, store, clips, 0, device)
    assert list(table) == ["method", "seed", "reversed", "category", "random"]
    assert table[["method", "seed"]].to_numpy().tolist() == [
        ["conmh", 9],
        ["chain", 9],
        ["chain", 10],
    ]
    seen = store.clean_frames(clips, 4)
    for row in table.itertuples():
        expected = slow_distances(built(row.method, row.seed), seen, ["a", "a", "a;b", "c"])
        assert (row.reversed, row.category, row.random) == pytest.approx(tuple(expected.values()))


def test_of_many_clips_some_are_drawn(
    tmp_path: Path, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "chain", 0)
    clips, device = np.arange(7), torch.device("cpu")

    def table(seed: int) -> pd.DataFrame:
        return reversal_table(tmp_path, ["chain"], BITS, store, clips, seed, device)

    whole = table(0)
    assert whole.equals(table(1))
    monkeypatch.setattr(reversal, "MOST", 3)
    assert table(0).equals(table(0))
    assert not table(0).equals(whole)
    assert len({tuple(table(seed).iloc[0, 2:]) for seed in range(8)}) > 1

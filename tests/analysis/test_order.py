import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from small_methods import training
from torch import Tensor, nn

from chain.analysis import order
from chain.analysis.order import order_counts
from chain.core.errors import InputError
from chain.methods.chain import Chain, ChainConfig
from chain.views.store import FeatureStore

CLIPS, DENSE, FRAMES = 9, 11, 4
ENCODED = [1, 4, 6, 9]  # the midpoints of four equal segments of eleven frames
CHOSEN = np.array([7, 0, 3, 4, 8])


class Stub(nn.Module):
    """Answers from features that tell their clip and stored frame."""

    def __init__(self, answer: str, frames: int = FRAMES) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.frames = frames
        self.answer = answer
        self.clips: list[int] = []
        self.shuffles: list[list[int]] = []

    def order_logits(self, features: Tensor, shuffle: Tensor) -> Tensor:
        assert not self.training
        self.clips += features[:, 0, 0].int().tolist()
        self.shuffles += shuffle.tolist()
        seen = features[:, :, 1].gather(1, shuffle)  # (B, T) stored frames as they were put
        if self.answer == "perfect":
            return -(seen[:, :, None] - torch.tensor(ENCODED)).abs()
        if self.answer == "reversed":
            return -(seen[:, :, None] - torch.tensor(ENCODED[::-1])).abs()
        place = torch.full(seen.shape, 2) if self.answer == "constant" else self.places(seen)
        return nn.functional.one_hot(place, self.frames).float()

    @staticmethod
    def places(seen: Tensor) -> Tensor:
        return torch.arange(seen.shape[1]).expand(seen.shape)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    clean = np.random.default_rng(0).normal(size=(CLIPS, DENSE, 6)).astype(np.float16)
    clean[:, :, 0] = np.arange(CLIPS)[:, None]
    clean[:, :, 1] = np.arange(DENSE)
    return FeatureStore(pd.DataFrame({"id": range(CLIPS)}), clean, np.arange(2), {})


def counts_of(
    stub: Stub, store: FeatureStore, clips: NDArray[np.int64] = CHOSEN, seed: int = 0
) -> NDArray[np.int64]:
    return order_counts(stub, store, clips, seed)  # type: ignore[arg-type]


def test_right_answers_lie_on_the_diagonal(store: FeatureStore) -> None:
    stub = Stub("perfect").train()
    counts = counts_of(stub, store)
    assert counts.dtype == np.int64
    assert counts.tolist() == (5 * np.eye(FRAMES)).tolist()
    assert stub.clips == CHOSEN.tolist()


def test_reversed_answers_lie_on_the_other_diagonal(store: FeatureStore) -> None:
    assert counts_of(Stub("reversed"), store).tolist() == (5 * np.eye(FRAMES)[::-1]).tolist()


def test_one_answer_to_all_is_one_column(store: FeatureStore) -> None:
    expected = np.zeros((FRAMES, FRAMES))
    expected[:, 2] = 5
    assert counts_of(Stub("constant"), store).tolist() == expected.tolist()


def test_rows_are_true_positions_and_columns_answers(store: FeatureStore) -> None:
    """A model that takes each frame to stand where it was put: the shuffles, counted by hand."""
    stub = Stub("as put")
    counts = counts_of(stub, store)
    expected = np.zeros((FRAMES, FRAMES), int)
    for shuffle in stub.shuffles:
        assert sorted(shuffle) == list(range(FRAMES))
        for place, true in enumerate(shuffle):
            expected[true, place] += 1
    assert counts.tolist() == expected.tolist()
    assert counts.tolist() != counts.T.tolist()
    assert (counts.sum(axis=1) == 5).all()


def test_shuffles_are_uniform(store: FeatureStore) -> None:
    """Every position is asked once a clip; a model that knows nothing spreads evenly."""
    many = np.arange(4000) % CLIPS
    counts = counts_of(Stub("as put"), store, many)
    assert (counts.sum(axis=1) == 4000).all()
    assert abs(counts - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)  # five standard deviations


def test_counts_follow_the_seed_alone(store: FeatureStore) -> None:
    np.random.seed(1)
    first = counts_of(Stub("as put"), store, seed=3)
    torch.manual_seed(2)
    np.random.seed(2)
    assert (counts_of(Stub("as put"), store, seed=3) == first).all()
    assert not (counts_of(Stub("as put"), store, seed=4) == first).all()


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_change_nothing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    whole, parts = Stub("as put"), Stub("as put")
    expected = counts_of(whole, store)
    monkeypatch.setattr(order, "BATCH", batch)
    assert (counts_of(parts, store) == expected).all()
    assert (parts.clips, parts.shuffles) == (whole.clips, whole.shuffles)


def test_no_clips_and_too_few_frames(store: FeatureStore) -> None:
    assert not counts_of(Stub("perfect"), store, np.array([], dtype=np.int64)).any()
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        counts_of(Stub("constant", frames=12), store)


def test_answers_of_a_real_model_one_clip_at_a_time(store: FeatureStore) -> None:
    tree = {
        "frames": FRAMES,
        "encoder": {"kind": "transformer", "width": 16, "depth": 1, "heads": 2, "dropout": 0.5},
        "sampling": "segment",
        "stand_in": {"kind": "dropout", "strength": 0.2},
        "spatial": "none",
        "weights": {"contrastive": 1.0, "order": 1.0, "scene": 0.0},
        "temperature": 0.5,
        "tau_plus": 0.0,
        "scene": {"preference": 1.0, "damping": 0.5, "temperature": 0.2},
        "training": training(batch=2),
    }
    torch.manual_seed(0)
    model = Chain(ChainConfig.model_validate(tree), 6, 8).train()
    stub = Stub("as put")
    counts_of(stub, store)  # the same shuffles
    clean = np.random.default_rng(1).normal(size=store.clean.shape).astype(np.float16)
    store = FeatureStore(store.index, clean, store.train, {})
    counts = order_counts(model, store, CHOSEN, seed=0)

    expected = np.zeros((FRAMES, FRAMES), int)
    with torch.inference_mode():
        for clip, shuffle in zip(CHOSEN, stub.shuffles, strict=True):
            frames = torch.from_numpy(store.clean[clip, ENCODED]).float()[shuffle]
            answers = model.order_head(model.encoder(frames[None], ordered=False))[0].argmax(dim=1)
            for true, answer in zip(shuffle, answers.tolist(), strict=True):
                expected[true, answer] += 1
    assert counts.tolist() == expected.tolist()
    assert len(np.flatnonzero(counts.sum(axis=0))) > 1  # it says more than one thing

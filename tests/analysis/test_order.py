from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from small_methods import training
from torch import Tensor, nn

from chain.analysis import order
from chain.analysis.order import (
    DRAWS,
    new_clips,
    order_chance,
    order_counts,
    order_groups,
    order_study,
    trained_chains,
)
from chain.core.errors import InputError
from chain.datasets.manifest import Roles
from chain.methods.chain import Chain, ChainConfig, OrderConfig
from chain.methods.saved_models import save_description
from chain.views.store import FeatureStore

CLIPS, DENSE, FRAMES = 9, 11, 4
ENCODED = [1, 4, 6, 9]  # the midpoints of four equal segments of eleven frames
CHOSEN = np.array([7, 0, 3, 4, 8])
ASKED = [7] * DRAWS + [0] * DRAWS + [3] * DRAWS + [4] * DRAWS + [8] * DRAWS
MOVED = 2 * len(ASKED)  # half of four frames, in each draw


class Config:
    """As much of `ChainConfig` as the counts read."""

    def __init__(self, share: float, positions: bool) -> None:
        self.order = OrderConfig(share=share, positions=positions, read="states")


class Stub(nn.Module):
    """Answers from features that tell their clip and stored frame."""

    def __init__(self, answer: str, frames: int = FRAMES, share: float = 0.5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.frames = frames
        self.config = Config(share, positions=True)
        self.answer = answer
        self.clips: list[int] = []
        self.orders: list[list[int]] = []

    def order_logits(self, features: Tensor, order: Tensor) -> Tensor:
        assert not self.training
        self.clips += features[:, 0, 0].int().tolist()
        self.orders += order.tolist()
        seen = features[:, :, 1].gather(1, order)  # (B, T) stored frames as they were put
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
    index = pd.DataFrame(
        {"id": range(CLIPS), "labels": list("aabbccabc"), "split": ["train"] * 5 + ["query"] * 4}
    )
    return FeatureStore(index, clean, np.arange(5), {})


def counts_of(
    stub: Stub, store: FeatureStore, clips: NDArray[np.int64] = CHOSEN, seed: int = 0
) -> NDArray[np.int64]:
    return order_counts(stub, store, clips, seed)  # type: ignore[arg-type]


def moved_frames(orders: list[list[int]]) -> list[tuple[int, int]]:
    """The true position and the place of every frame that is not in its own."""
    pairs = [(true, place) for order in orders for place, true in enumerate(order)]
    return [(true, place) for true, place in pairs if true != place]


def test_right_answers_lie_on_the_diagonal(store: FeatureStore) -> None:
    stub = Stub("perfect").train()
    counts = counts_of(stub, store)
    assert counts.dtype == np.int64
    assert counts.sum() == np.trace(counts) == MOVED
    assert stub.clips == ASKED


def test_reversed_answers_lie_on_the_other_diagonal(store: FeatureStore) -> None:
    counts = counts_of(Stub("reversed"), store)
    assert counts.sum() == np.trace(counts[::-1]) == MOVED


def test_one_answer_to_all_is_one_column(store: FeatureStore) -> None:
    counts = counts_of(Stub("constant"), store)
    assert counts[:, 2].sum() == counts.sum() == MOVED


def test_rows_are_true_positions_and_columns_answers(store: FeatureStore) -> None:
    """A model that takes each frame to stand where it was put: the orders, counted by hand."""
    stub = Stub("as put")
    counts = counts_of(stub, store)
    expected = np.zeros((FRAMES, FRAMES), int)
    for true, place in moved_frames(stub.orders):
        expected[true, place] += 1
    assert expected.sum() == MOVED
    assert counts.tolist() == expected.tolist()
    assert not np.trace(counts)  # a frame in its own place would be on the diagonal
    # Two frames that change places are counted as often in one direction as in the other.
    assert (counts == counts.T).all()
    three = Stub("as put", share=0.75)
    counts = counts_of(three, store)
    assert counts.sum() == 3 * len(ASKED) and not (counts == counts.T).all()


def test_all_pairs_of_places_are_asked_equally_often(store: FeatureStore) -> None:
    many = np.arange(3000) % CLIPS
    counts = counts_of(Stub("as put"), store, many)
    expected = 3000 * DRAWS * 2 / 12
    off = counts[~np.eye(FRAMES, dtype=bool)]
    assert np.abs(off - expected).max() < 5 * np.sqrt(expected)


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
    assert (parts.clips, parts.orders) == (whole.clips, whole.orders)


def test_no_clips_and_too_few_frames(store: FeatureStore) -> None:
    assert not counts_of(Stub("perfect"), store, np.array([], dtype=np.int64)).any()
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        counts_of(Stub("constant", frames=12), store)


def chain_model(seed: int = 0, share: float = 0.5, positions: bool = True) -> Chain:
    tree = {
        "frames": FRAMES,
        "encoder": {"kind": "transformer", "width": 16, "depth": 1, "heads": 2, "dropout": 0.5},
        "sampling": "segment",
        "stand_in": {"kind": "dropout", "strength": 0.2},
        "spatial": "none",
        "weights": {"contrastive": 1.0, "order": 1.0, "scene": 0.0},
        "temperature": 0.5,
        "tau_plus": 0.0,
        "order": {"share": share, "positions": positions, "read": "states"},
        "scene": {"read": "states", "preference": 1.0, "damping": 0.5, "temperature": 0.2},
        "training": training(batch=2),
    }
    torch.manual_seed(seed)
    return Chain(ChainConfig.model_validate(tree), 6, 8)


@pytest.mark.parametrize("positions", [True, False])
def test_answers_of_a_real_model_one_clip_at_a_time(store: FeatureStore, positions: bool) -> None:
    model = chain_model(share=1.0, positions=positions).train()
    stub = Stub("as put", share=1.0)
    counts_of(stub, store)  # the same orders
    clean = np.random.default_rng(1).normal(size=store.clean.shape).astype(np.float16)
    store = FeatureStore(store.index, clean, store.train, {})
    counts = order_counts(model, store, CHOSEN, seed=0)

    expected = np.zeros((FRAMES, FRAMES), int)
    with torch.inference_mode():
        for clip, frames in zip(ASKED, stub.orders, strict=True):
            permuted = torch.from_numpy(store.clean[clip, ENCODED]).float()[frames]
            hidden = model.encoder(permuted[None], ordered=positions)
            answers = model.order_head(hidden)[0].argmax(dim=1).tolist()
            for place, (true, answer) in enumerate(zip(frames, answers, strict=True)):
                expected[true, answer] += true != place
    assert counts.tolist() == expected.tolist()
    assert len(np.flatnonzero(counts.sum(axis=0))) > 1  # it says more than one thing


def test_chance() -> None:
    assert order_chance(chain_model(positions=True)) == pytest.approx(1 / 3)
    assert order_chance(chain_model(share=1.0, positions=False)) == pytest.approx(1 / 4)


def test_groups(store: FeatureStore) -> None:
    def groups(roles: Roles, *pairs: str) -> dict[str, list[int]]:
        return {
            name: rows.tolist() for name, rows in order_groups(store.index, roles, pairs).items()
        }

    training, name = {"training clips": [0, 1, 2, 3, 4]}, "pairs differing in order only"
    assert groups(Roles()) == {"queries": [5, 6, 7, 8], **training}
    assert groups(Roles(), "x") == groups(Roles())
    assert groups(Roles(), "a", "b") == {name: [6, 7], "other queries": [5, 8], **training}
    assert groups(Roles(), "a", "b", "c") == {name: [5, 6, 7, 8], **training}
    assert groups(Roles(query=None), "a") == training


def test_without_queries_the_training_clips_are_asked() -> None:
    index = pd.DataFrame({"split": ["train", "database", "train", "query"], "labels": ""})
    assert new_clips(index, Roles()).tolist() == [3]
    assert new_clips(index[:3], Roles()).tolist() == [0, 2]
    assert list(order_groups(index[:3], Roles())) == ["training clips"]


def test_counts_are_summed_and_accuracies_kept_apart_by_seed(store: FeatureStore) -> None:
    models = {3: Stub("perfect"), 5: Stub("as put")}
    models[3].config = models[5].config = Config(0.5, positions=True)
    counts, table = order_study(models, store, Roles(), (), seed=0)  # type: ignore[arg-type]
    assert list(counts) == ["queries", "training clips"]
    for group, clips in (("queries", 4), ("training clips", 5)):
        assert counts[group].shape == (FRAMES, FRAMES)
        assert counts[group].sum() == 2 * clips * DRAWS * 2
        assert np.trace(counts[group]) == clips * DRAWS * 2
    third = pytest.approx(1 / 3)
    assert table.to_dict("split")["data"] == [
        ["queries", 3, 1, third],
        ["queries", 5, 0, third],
        ["training clips", 3, 1, third],
        ["training clips", 5, 0, third],
    ]
    assert list(table) == ["clips", "seed", "accuracy", "chance"]


def test_trained_chains_by_seed(tmp_path: Path) -> None:
    device = torch.device("cpu")
    assert trained_chains(tmp_path / "absent", device) == {}
    save_description(tmp_path, "chain", chain_model().config, 6, 8)
    for seed in (10, 9):
        torch.save(chain_model(seed).state_dict(), tmp_path / f"seed_{seed}.pt")
    found = trained_chains(tmp_path, device)
    assert list(found) == [9, 10]
    for seed, model in found.items():
        assert torch.equal(model.order_head.weight, chain_model(seed).order_head.weight)

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods import chain_plus
from chain.methods.chain import Chain, ChainConfig
from chain.methods.chain_plus import ChainPlus, ChainPlusConfig, pooled_features
from chain.models.hash_layer import sign
from chain.scenes.clustering import NO_SCENE, cluster_scenes
from chain.training.loop import train
from chain.views.store import FeatureStore

FRAMES, WIDTH, BITS, DENSE, VIEWS = 5, 12, 16, 11, 3
CLEAN = VIEWS  # the number of the clean view
PARAMETERS = {
    "frames": FRAMES,
    "encoder": {"kind": "transformer", "width": 16, "depth": 1, "heads": 2, "dropout": 0.2},
    "sampling": "segment",
    "spatial": "consistent",
    "stand_in": {"kind": "noise", "strength": 0.5},
    "weights": {"contrastive": 1.0, "order": 0.5, "scene": 0.25, "neighbourhood": 4.0},
    "temperature": 0.5,
    "tau_plus": 0.1,
    "order": {"share": 0.5, "positions": True, "read": "states"},
    "scene": {"read": "states", "preference": 1.0, "damping": 0.5, "temperature": 0.2},
    "clean_view": True,
    "parts": 2,
    "training": training(epochs=2),
}
ROWS = np.array([0, 2, 3, 5])
CPU = torch.device("cpu")


def configured(**changes: object) -> ChainPlusConfig:
    return parse(ChainPlusConfig, merge(PARAMETERS, changes), "methods.chain_plus")


def build(seed: int = 0, **changes: object) -> ChainPlus:
    torch.manual_seed(seed)
    return ChainPlus(configured(**changes), WIDTH, BITS)


def plain(model: ChainPlus) -> Chain:
    """CHAIN with the weights of `model`."""
    tree = model.config.model_dump(exclude={"clean_view": True, "parts": True})
    del tree["weights"]["neighbourhood"]
    chain = Chain(parse(ChainConfig, tree, "methods.chain"), WIDTH, BITS)
    chain.load_state_dict(model.state_dict())
    return chain.train(model.training)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Nine clips of eleven frames; each feature tells its clip, view and frame."""
    random = np.random.default_rng(0)
    train = np.array([1, 2, 4, 5, 7, 8])
    clean = random.normal(size=(9, DENSE, WIDTH)).astype(np.float16)
    clean[:, :, 0] = np.arange(9)[:, None]
    clean[:, :, 1] = CLEAN
    clean[:, :, 2] = np.arange(DENSE)
    bank = random.normal(size=(6, VIEWS, DENSE, WIDTH)).astype(np.float16)
    bank[..., 0] = train[:, None, None]
    bank[..., 1] = np.arange(VIEWS)[:, None]
    bank[..., 2] = np.arange(DENSE)
    return FeatureStore(pd.DataFrame({"id": range(9)}), clean, train, {"consistent": bank})


def drawn(model: Chain, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def fitted(store: FeatureStore, seed: int = 0, **changes: object) -> ChainPlus:
    model = build(seed, **changes)
    model.fit(store)
    return model


# What the neighbourhood term compares with


def slow_pooled(store: FeatureStore, edges: list[int]) -> NDArray[np.float64]:
    rows = []
    for clip in store.train:
        row: list[float] = []
        for start, stop in pairwise(edges):
            for column in range(store.width):
                values = [float(store.clean[clip, t, column]) for t in range(start, stop)]
                row.append(sum(values) / len(values))
        rows.append(row)
    pooled: NDArray[np.float64] = np.array(rows)
    pooled -= pooled.mean(axis=0)
    return pooled


@pytest.mark.parametrize(
    ("parts", "edges"),
    [(1, [0, 11]), (2, [0, 6, 11]), (3, [0, 4, 8, 11]), (DENSE, list(range(DENSE + 1)))],
)
def test_pooled_features_match_the_slow_twin(
    store: FeatureStore, parts: int, edges: list[int]
) -> None:
    pooled = pooled_features(store, parts)
    assert pooled.dtype == torch.float16
    expected = slow_pooled(store, edges)
    assert pooled.shape == expected.shape
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_pooling_in_chunks_changes_nothing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    whole = pooled_features(store, 3)
    monkeypatch.setattr(chain_plus, "CHUNK", chunk)
    torch.testing.assert_close(pooled_features(store, 3), whole, rtol=0, atol=1e-3)


def test_pooled_features_are_centred_on_the_training_clips(store: FeatureStore) -> None:
    pooled = pooled_features(store, 2)
    assert pooled.float().mean(dim=0).abs().max() < 2e-3
    moved = store.clean.copy()
    moved[[0, 3, 6]] += 5  # not for training
    moved[:, :, 4] += 3
    again = pooled_features(FeatureStore(store.index, moved, store.train, {}), 2)
    torch.testing.assert_close(again, pooled, rtol=0, atol=5e-3)


def test_one_part_is_blind_to_order_and_two_are_not(store: FeatureStore) -> None:
    turned = FeatureStore(store.index, store.clean[:, ::-1].copy(), store.train, {})
    torch.testing.assert_close(pooled_features(turned, 1), pooled_features(store, 1))
    assert (pooled_features(turned, 2) - pooled_features(store, 2)).abs().max() > 0.1


def test_more_parts_than_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"parts is 12, but decode.frames keeps 11"):
        fitted(store, parts=DENSE + 1)


# The clean view


def test_clean_frames_are_the_view_after_the_last(store: FeatureStore) -> None:
    model = fitted(store)
    pairs = set()
    for seed in range(40):
        features, scenes, order, pooled = drawn(model, store, seed)
        assert features.shape == (8, FRAMES, WIDTH) and features.dtype == torch.float32
        clip, view, frame = features[:, :, :3].long().unbind(dim=2)
        assert (view == view[:, :1]).all()
        for row in range(8):
            known = store.clean[clip[row, 0]]
            if view[row, 0] < CLEAN:
                known = store.banks["consistent"][ROWS[row % 4], view[row, 0]]
            assert (features[row].numpy() == known[frame[row].numpy()].astype(np.float32)).all()
        assert (clip == torch.from_numpy(np.tile(store.train[ROWS], 2))[:, None]).all()
        assert (scenes.numpy() == model.scenes[np.tile(ROWS, 2)[:, None], view, frame]).all()
        assert torch.equal(order.sort(dim=1).values, torch.arange(FRAMES).expand(4, -1))
        assert torch.equal(pooled, pooled_features(store, 2)[ROWS].float())
        pairs |= set(zip(view[:4, 0].tolist(), view[4:, 0].tolist(), strict=True))
    assert pairs == {(a, b) for a in range(4) for b in range(4) if a != b}


def test_scenes_of_the_clean_view_are_those_of_the_clean_frames(store: FeatureStore) -> None:
    model = fitted(store)
    assert model.scenes.shape == (6, VIEWS + 1, DENSE)
    clean = cluster_scenes(store.clean[:, None], store.train, model.config.scene)
    stored = cluster_scenes(store.banks["consistent"], np.arange(6), model.config.scene)
    assert (model.scenes[:, CLEAN:] == clean).all()
    assert (model.scenes[:, :CLEAN] == stored).all()
    assert not (clean == stored[:, :1]).all()


def test_without_the_scene_task_nothing_is_clustered(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain.methods.chain.cluster_scenes", None)
    model = fitted(store, weights={"scene": 0.0})
    assert model.scenes.shape == (6, VIEWS + 1, DENSE) and (model.scenes == NO_SCENE).all()
    _, scenes, *_ = drawn(model, store)
    assert (scenes == NO_SCENE).all()


def test_without_the_clean_view_the_draws_are_those_of_chain(store: FeatureStore) -> None:
    model = fitted(store, clean_view=False)
    chain = plain(model)
    chain.fit(store)
    for seed in range(20):
        *ours, _ = drawn(model, store, seed)
        assert (ours[0][:, :, 1] != CLEAN).all()
        theirs = drawn(chain, store, seed)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_clean_view_beside_a_bank_of_clean_frames(store: FeatureStore) -> None:
    model = fitted(store, spatial="none")
    assert model.scenes.shape == (6, 2, DENSE)
    assert (model.scenes[:, 0] == model.scenes[:, 1]).all()
    features, *_ = drawn(model, store)
    for row in range(8):
        frames = features[row, :, 2].long().numpy()
        known = store.clean[store.train[ROWS[row % 4]], frames]
        assert (features[row].numpy() == known.astype(np.float32)).all()


def test_draw_follows_its_generator(store: FeatureStore) -> None:
    model = fitted(store)
    first, second, other = (drawn(model, store, seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])


# The loss


def slow_neighbourhood(
    code1: NDArray[np.float64], code2: NDArray[np.float64], features: NDArray[np.float64]
) -> float:
    def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    size = range(len(features))
    errors = [
        (cosine(code1[i], code2[j]) - cosine(features[i], features[j])) ** 2
        for i in size
        for j in size
    ]
    return sum(errors) / len(errors)


def test_loss_is_that_of_chain_and_the_weighted_neighbourhood(store: FeatureStore) -> None:
    model = fitted(store).eval()
    batch = drawn(model, store)
    parts = model.losses(*batch)
    expected = plain(model).losses(*batch[:3])
    assert list(parts) == [*expected, "neighbourhood"]
    for name in ("contrastive", "order", "scene"):
        torch.testing.assert_close(parts[name], expected[name])

    codes = sign(model.hash(model.encoder(batch[0]).mean(dim=1))).detach().double().numpy()
    near = slow_neighbourhood(codes[:4], codes[4:], batch[3].double().numpy())
    assert near > 0
    assert parts["neighbourhood"].item() == pytest.approx(near, rel=1e-5)
    assert parts["loss"].item() == pytest.approx(expected["loss"].item() + 4 * near, rel=1e-5)


def test_neighbourhood_weight_of_zero_leaves_the_loss_of_chain(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_plus, "neighbourhood", None)
    model = fitted(store, weights={"neighbourhood": 0.0})
    chain, batch = plain(model), drawn(model, store)
    torch.manual_seed(5)  # dropout
    parts = model.losses(*batch)
    torch.manual_seed(5)
    expected = chain.losses(*batch[:3])
    assert list(parts) == list(expected)
    assert all(torch.equal(parts[name], expected[name]) for name in parts)


def test_neighbourhood_alone_is_something_to_learn(store: FeatureStore) -> None:
    alone = {"contrastive": 0.0, "order": 0.0, "scene": 0.0}
    model = fitted(store, weights=alone)
    batch = drawn(model, store)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(25):
        parts = model.losses(*batch)
        assert set(parts) == {"loss", "neighbourhood"}
        optimiser.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(parts["neighbourhood"].item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05
    assert model.hash.linear.weight.grad is not None and model.order_head.weight.grad is None


def test_gradients_reach_all_that_is_trained(store: FeatureStore) -> None:
    model = fitted(store)
    batch = drawn(model, store)
    model.losses(*batch)["loss"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert not model.pooled.requires_grad


# Whole trainings


def trained(store: FeatureStore, scratch: Path, seed: int = 0) -> tuple[ChainPlus, pd.DataFrame]:
    scratch.mkdir(exist_ok=True)
    model = fitted(store, seed)
    return model, train(model, store, seed, CPU, scratch)


def test_same_seed_same_result(store: FeatureStore, tmp_path: Path) -> None:
    (first, history), (second, again), (other, _) = (
        trained(store, tmp_path / str(number), seed) for number, seed in enumerate((3, 3, 4))
    )
    assert history.equals(again)
    ours, theirs, others = (model.state_dict() for model in (first, second, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(ours["hash.linear.weight"], others["hash.linear.weight"])


def test_weights_load_into_a_model_that_was_not_fitted(store: FeatureStore, tmp_path: Path) -> None:
    model, _ = trained(store, tmp_path)
    assert set(model.state_dict()) == set(plain(model).state_dict())  # no bank among the weights
    fresh = build(seed=1)
    features = torch.from_numpy(store.clean[:, :FRAMES]).float()
    expected = model.eval().encode(features)
    assert not torch.equal(fresh.eval().encode(features), expected)
    fresh.load_state_dict(model.state_dict())
    assert expected.shape == (9, BITS)
    assert torch.equal(fresh.encode(features), expected)


# Parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": 0}, r"parts: .*greater than or equal to 1 \(it is 0\)"),
        ({"parts": 1.5}, r"parts: .*integer"),
        ({"clean_view": 1}, r"clean_view: .*boolean"),
        ({"weights": {"neighbourhood": -1.0}}, r"weights.neighbourhood: .*greater than or equal"),
        ({"weights": {"neighborhood": 1.0}}, r"weights.neighborhood: unknown parameter"),
        ({"weights": dict.fromkeys(PARAMETERS["weights"], 0.0)}, r"weights: all are 0"),  # type: ignore[call-overload]
        ({"encoder": {"dropout": 1.0}}, r"encoder.dropout: .*less than 1"),
    ],
)
def test_bad_parameters(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"params.yaml: methods.chain_plus.{message}"):
        configured(**changes)


@pytest.mark.parametrize("key", ["clean_view", "parts", "weights"])
def test_additions_are_required(key: str) -> None:
    tree = {name: value for name, value in PARAMETERS.items() if name != key}
    with pytest.raises(InputError, match=f"methods.chain_plus.{key}: missing"):
        parse(ChainPlusConfig, tree, "methods.chain_plus")


def test_the_stand_in_leaves_the_clean_view_as_it_is(store: FeatureStore) -> None:
    model = build(spatial="feature", stand_in={"kind": "dropout", "strength": 0.5})
    model.fit(store)
    assert model.scenes.shape[1] == 2  # the disturbed view and the clean one
    rows, views = np.array([0, 0]), np.array([0, 1])
    frames = np.tile(np.arange(FRAMES), (2, 1))
    disturbed, clean = model._features(store, rows, views, frames, np.random.default_rng(0))
    expected = torch.from_numpy(store.clean[store.train[0], :FRAMES]).float()
    assert torch.equal(clean, expected)
    kept = disturbed != 0
    assert torch.allclose(disturbed[kept], 2 * expected[kept])
    assert 0 < kept.float().mean() < 1 and (kept == kept[:1]).all()

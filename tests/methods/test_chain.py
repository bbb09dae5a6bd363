import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.losses.debiased import debiased_contrastive
from chain.losses.frame_order import frame_order
from chain.losses.scene import scene_contrast
from chain.methods.chain import Chain, ChainConfig
from chain.models.hash_layer import sign
from chain.views.store import FeatureStore

FRAMES, WIDTH, BITS = 5, 12, 16
PARAMETERS = {
    "frames": FRAMES,
    "encoder": {"kind": "transformer", "width": 16, "depth": 2, "heads": 2, "dropout": 0.0},
    "sampling": "segment",
    "spatial": "consistent",
    "stand_in": {"kind": "noise", "strength": 0.5},
    "weights": {"contrastive": 1.0, "order": 0.5, "scene": 0.25},
    "temperature": 0.5,
    "tau_plus": 0.1,
    "order": {"share": 0.5, "positions": True, "read": "states"},
    "scene": {"read": "states", "preference": 1.0, "damping": 0.5, "temperature": 0.2},
    "training": training(),
}


def build(seed: int = 0, **changes: object) -> Chain:
    torch.manual_seed(seed)
    config = parse(ChainConfig, merge(PARAMETERS, changes), "methods.chain")
    return Chain(config, WIDTH, BITS)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Nine clips of eleven frames; each feature tells its clip, view and frame."""
    random = np.random.default_rng(0)
    train = np.array([1, 2, 4, 5, 7, 8])
    clean = random.normal(size=(9, 11, WIDTH)).astype(np.float16)
    clean[:, :, 0] = np.arange(9)[:, None]
    clean[:, :, 2] = np.arange(11)
    banks = {}
    for kind, views in (("consistent", 3), ("per_frame", 1)):
        bank = random.normal(size=(6, views, 11, WIDTH)).astype(np.float16)
        bank[..., 0] = train[:, None, None]
        bank[..., 1] = np.arange(views)[:, None]
        bank[..., 2] = np.arange(11)
        banks[kind] = bank
    return FeatureStore(pd.DataFrame({"id": range(9)}), clean, train, banks)


def drawn(model: Chain, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    model.fit(store)
    return model.draw(store, np.array([0, 2, 3, 5]), np.random.default_rng(seed))


def test_draw_gives_two_views_of_each_clip(store: FeatureStore) -> None:
    model = build()
    pairs = set()
    for seed in range(30):
        features, scenes, order = drawn(model, store, seed)
        assert features.shape == (8, FRAMES, WIDTH) and features.dtype == torch.float32
        clip, view, frame = features[:, :, :3].long().unbind(dim=2)
        assert (clip == torch.tensor([1, 4, 5, 8] * 2)[:, None]).all()
        assert (view == view[:, :1]).all()
        assert (view[:4, 0] != view[4:, 0]).all()  # never the same view twice
        pairs |= set(zip(view[:4, 0].tolist(), view[4:, 0].tolist(), strict=True))
        edges = torch.arange(FRAMES + 1) * 11 // FRAMES
        assert ((edges[:-1] <= frame) & (frame < edges[1:])).all()
        assert torch.equal(order.sort(dim=1).values, torch.arange(FRAMES).expand(4, -1))
        assert ((order != torch.arange(FRAMES)).sum(dim=1) == 2).all()  # half of five, rounded
        row = torch.tensor([0, 2, 3, 5] * 2)[:, None]
        assert (scenes.numpy() == model.scenes[row, view, frame]).all()
    assert len(pairs) == 6
    assert len({tuple(row) for row in order.tolist()}) > 1


def test_the_stand_in_disturbs_the_clean_frames_once_a_view(store: FeatureStore) -> None:
    """Mixing moves all frames of a view by the same share; both views come from clean frames."""
    model = build(spatial="feature", stand_in={"kind": "noise", "strength": 0.5})
    clean, *rest = drawn(build(spatial="none"), store)
    features, *same = drawn(model, store)
    assert model.scenes.shape == (6, 1, 11)
    moved = features - clean
    assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-4)
    assert (moved[:4] != moved[4:]).any(dim=2).all()  # a draw of its own for each view
    assert all(torch.equal(one, other) for one, other in zip(rest[:1], same[:1], strict=True))
    still, *_ = drawn(build(spatial="feature", stand_in={"kind": "noise", "strength": 0}), store)
    assert torch.equal(still, clean)


@pytest.mark.parametrize(("spatial", "views"), [("per_frame", 1), ("none", 1), ("consistent", 3)])
def test_draw_from_each_kind_of_bank(store: FeatureStore, spatial: str, views: int) -> None:
    features, *_ = drawn(build(spatial=spatial), store)
    assert features[:, 0, 0].tolist() == [1, 4, 5, 8] * 2
    if spatial == "none":
        for row in range(8):
            clip, frames = int(features[row, 0, 0]), features[row, :, 2].long().numpy()
            assert (features[row].numpy() == store.clean[clip, frames].astype(np.float32)).all()
    else:
        assert store.banks[spatial].shape[1] == views


def test_draw_follows_its_generator(store: FeatureStore) -> None:
    model = build()
    first, second, other = (drawn(model, store, seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])


def test_draw_with_too_few_frames_or_no_bank(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        drawn(build(frames=12), store)
    bare = FeatureStore(store.index, store.clean, store.train, {})
    with pytest.raises(InputError, match="no 'consistent' bank"):
        drawn(build(), bare)


@pytest.mark.parametrize("order_reads", ["states", "codes"])
@pytest.mark.parametrize("scene_reads", ["states", "codes"])
@pytest.mark.parametrize("positions", [True, False])
def test_loss_parts_are_the_three_tasks(
    store: FeatureStore, positions: bool, order_reads: str, scene_reads: str
) -> None:
    form = {"share": 1.0, "positions": positions, "read": order_reads}
    model = build(order=form, scene={"read": scene_reads}).eval()
    features, scenes, order = drawn(model, store)
    parts = model.losses(features, scenes, order)

    hidden = model.encoder(features)
    codes = sign(model.hash(hidden.mean(dim=1)))
    contrastive = debiased_contrastive(codes[:4], codes[4:], 0.5, 0.1)
    permuted = torch.stack([clip[frames] for clip, frames in zip(features[:4], order, strict=True)])
    seen = model.encoder(permuted, ordered=positions)
    seen = model.hash(seen) if order_reads == "codes" else seen
    scene = scene_contrast(model.hash(hidden) if scene_reads == "codes" else hidden, scenes, 0.2)
    expected = {
        "loss": 0,
        "contrastive": contrastive,
        "order": frame_order(model.order_head(seen), order),
        "scene": scene,
    }
    expected["loss"] = contrastive + 0.5 * expected["order"] + 0.25 * scene
    assert list(parts) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value, msg=name)
        assert value > 0


def test_order_task_without_positions_leaks_none(store: FeatureStore) -> None:
    """Permuted frames get the permuted answers: nothing says where they stood."""
    model = build(order={"share": 1.0, "positions": False}).eval()
    features, _, order = drawn(model, store)
    features = features[:4]
    in_order = torch.arange(FRAMES).expand(4, -1)
    expected = model.order_logits(features, in_order)
    expected = torch.stack([clip[frames] for clip, frames in zip(expected, order, strict=True)])
    logits = model.order_logits(features, order)
    assert logits.shape == (4, FRAMES, FRAMES)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)

    # Frames that look alike can not be told apart, whatever the network has learned.
    alike = features[:, :1].expand(-1, FRAMES, -1)
    logits = model.order_logits(alike, order)
    torch.testing.assert_close(logits, logits[:, :1].expand_as(logits), atol=1e-5, rtol=1e-4)


def test_positions_mark_the_places_but_not_where_a_frame_came_from(store: FeatureStore) -> None:
    model = build().eval()
    features, _, order = drawn(model, store)
    permuted = torch.stack([clip[frames] for clip, frames in zip(features[:4], order, strict=True)])
    in_order = torch.arange(FRAMES).expand(4, -1)
    logits = model.order_logits(features[:4], order)
    # The frames as they were put say all that the network knows.
    torch.testing.assert_close(logits, model.order_logits(permuted, in_order))
    # Frames that look alike are told apart by their places.
    alike = model.order_logits(features[:4, :1].expand(-1, FRAMES, -1), order)
    assert not torch.allclose(alike, alike[:, :1].expand_as(alike), atol=1e-3)


def test_a_share_without_positions_is_refused() -> None:
    with pytest.raises(InputError, match=r"methods.chain.order: .*share below 1 needs positions"):
        build(order={"positions": False})
    for share in (0.0, 1.5):
        with pytest.raises(InputError, match=r"methods.chain.order.share: "):
            build(order={"share": share})
    with pytest.raises(InputError, match=r"methods.chain.scene.read: "):
        build(scene={"read": "frames"})


@pytest.mark.parametrize(
    "on", [("contrastive",), ("order",), ("scene",), ("contrastive", "scene"), ("order", "scene")]
)
def test_weight_of_zero_switches_a_task_off(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, on: tuple[str, ...]
) -> None:
    tasks = ("contrastive", "order", "scene")
    model = build(weights={name: float(name in on) for name in tasks})
    batch = drawn(model, store)
    calls = []
    forward = model.encoder.forward
    monkeypatch.setattr(
        model.encoder, "forward", lambda *a, **k: calls.append(k) or forward(*a, **k)
    )
    parts = model.losses(*batch)
    assert set(parts) == {"loss", *on}
    torch.testing.assert_close(parts["loss"], sum(parts[name] for name in on))
    assert (model.scenes >= 0).any() == ("scene" in on)
    assert ({"ordered": True} in calls) == ("order" in on)
    parts["loss"].backward()
    trained = {
        "contrastive": model.hash.linear.weight,
        "order": model.order_head.weight,
    }
    for name, weight in trained.items():
        assert (weight.grad is not None) == (name in on)


def test_weights_of_zero_throughout() -> None:
    with pytest.raises(InputError, match=r"methods.chain.weights: all are 0"):
        build(weights={"contrastive": 0.0, "order": 0.0, "scene": 0.0})


def test_training_parameters_are_required() -> None:
    with pytest.raises(InputError, match=r"methods.chain.training: missing"):
        parse(
            ChainConfig, {k: v for k, v in PARAMETERS.items() if k != "training"}, "methods.chain"
        )


@pytest.mark.parametrize("spatial", ["consistent", "per_frame", "none", "feature"])
@pytest.mark.parametrize("sampling", ["segment", "random", "consecutive"])
@pytest.mark.parametrize("kind", ["transformer", "lstm", "mc_mlp"])
def test_every_variant_trains(store: FeatureStore, kind: str, sampling: str, spatial: str) -> None:
    model = build(encoder={"kind": kind}, sampling=sampling, spatial=spatial)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for step in range(3):
        loss = model.losses(*drawn(model, store, step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        optimiser.step()
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


def test_training_lowers_the_loss(store: FeatureStore) -> None:
    model = build()
    batch = drawn(model, store)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(20):
        loss = model.losses(*batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


def test_same_seed_same_model(store: FeatureStore) -> None:
    def trained(seed: int) -> dict[str, Tensor]:
        model = build(seed)
        model.losses(*drawn(model, store))["loss"].backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    first, second, other = trained(0), trained(0), trained(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_encode_is_the_hash_of_the_mean_representation(store: FeatureStore) -> None:
    model = build().eval()
    features, *_ = drawn(model, store)
    codes = model.encode(features)
    torch.testing.assert_close(codes, model.hash(model.encoder(features).mean(dim=1)))
    assert codes.shape == (8, BITS)
    torch.testing.assert_close(model.encode(features[2:3])[0], codes[2], atol=1e-5, rtol=1e-4)

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.base import Method
from chain.methods.bth import (
    BTH,
    HIDDEN,
    AnchorGraph,
    BTHConfig,
    anchor_weights,
    corrupt,
    mask_frames,
)
from chain.models.kmeans import kmeans
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import train
from chain.views.sampling import uniform_frames
from chain.views.store import FeatureStore

CPU = torch.device("cpu")
FRAMES, WIDTH, BITS = 6, 12, 8
CLIPS = 42
SEEN = [int((k + 0.5) * 9 / FRAMES) for k in range(FRAMES)]
PARAMETERS = {
    "frames": FRAMES,
    "width": 16,
    "ffn": 32,
    "dropout": 0.1,
    "pretrain_epochs": 2,
    "anchors": 7,
    "nearest": 2,
    "neighbours": 3,
    "weights": {"reconstruction": 0.92, "neighbourhood": 0.08, "anchor": 0.8},
    "training": training(epochs=4, batch=8),
}
PARTS = ["loss", "reconstruction", "neighbourhood", "anchor"]


def construct(feature_width: int = WIDTH, bits: int = BITS, **changes: Any) -> BTH:
    torch.manual_seed(0)
    return BTH(parse(BTHConfig, merge(PARAMETERS, changes), "methods.bth"), feature_width, bits)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Seven kinds of clips; all but the first two clips are for training."""
    random = np.random.default_rng(0)
    kinds = 3 * random.normal(size=(7, 1, WIDTH))[np.arange(CLIPS) % 7]
    clean = (kinds + random.normal(size=(CLIPS, 9, WIDTH))).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(CLIPS)}), clean, np.arange(2, CLIPS), {})


def second_phase(store: FeatureStore, **changes: Any) -> BTH:
    model = construct(**changes)
    torch.manual_seed(1)
    model.start_epoch(model.config.pretrain_epochs, store)
    return model


def drawn(model: BTH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, np.array([0, 3, 5, 21]), np.random.default_rng(seed))


def points(seed: int, clips: int = 30, anchors: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, 5, generator=generator), torch.randn(anchors, 5, generator=generator)


def graph_of(states: Tensor, anchors: Tensor, nearest: int) -> AnchorGraph:
    indices, weights = anchor_weights(states, anchors, nearest)
    return AnchorGraph(indices.numpy(), weights.numpy())


def slow_affinity(states: Tensor, anchors: Tensor, nearest: int) -> NDArray[np.float64]:
    """A (M, M), dense and by the formula."""
    distances = [[math.dist(x, a) for a in anchors.tolist()] for x in states.tolist()]
    width = sum(sorted(row)[nearest - 1] for row in distances) / len(distances)
    z = np.zeros((len(states), len(anchors)))
    for clip, row in enumerate(distances):
        for anchor in sorted(range(len(row)), key=row.__getitem__)[:nearest]:
            z[clip, anchor] = math.exp(-(row[anchor] ** 2) / width**2)
        z[clip] /= z[clip].sum()
    used = z.sum(axis=0) > 0
    product: NDArray[np.float64] = z[:, used] @ np.diag(1 / z[:, used].sum(axis=0)) @ z[:, used].T
    return product


# The masking


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (3, 1), (8, 1), (10, 2), (25, 4), (40, 6)])
def test_masks_fifteen_per_cent_of_each_clip(frames: int, count: int) -> None:
    masked, shown = mask_frames(50, frames, np.random.default_rng(0))
    assert masked.shape == shown.shape == (50, frames)
    assert (masked.sum(axis=1) == count).all()
    own = np.arange(50 * frames).reshape(50, frames)
    assert (shown[~masked] == own[~masked]).all()
    if frames > 1:
        assert len({tuple(row) for row in masked.tolist()}) > 1


def test_masked_frames_are_zeroed_replaced_or_kept() -> None:
    masked, shown = mask_frames(2000, 20, np.random.default_rng(0))
    own = np.arange(shown.size).reshape(shown.shape)
    hidden, kept = shown[masked] == HIDDEN, shown[masked] == own[masked]
    assert hidden.mean() == pytest.approx(0.8, abs=0.02)
    assert kept.mean() == pytest.approx(0.1, abs=0.02)
    other = shown[masked][~hidden & ~kept]
    assert len(other) == pytest.approx(0.1 * masked.sum(), rel=0.15)
    assert other.min() >= 0 and other.max() < shown.size
    assert len(np.unique(other)) > 0.9 * len(other)
    # Each frame of the clip is as likely to be masked as any other.
    np.testing.assert_allclose(masked.mean(axis=0), 0.15, atol=0.03)


def test_corrupt_by_hand_leaves_the_target_alone() -> None:
    features = torch.arange(1.0, 9.0).view(2, 2, 2)
    before = features.clone()
    got = corrupt(features, torch.tensor([[HIDDEN, 1], [0, 2]]))
    assert got.tolist() == [[[0, 0], [3, 4]], [[1, 2], [5, 6]]]
    got += 1
    assert torch.equal(features, before)


# The anchor graph


@pytest.mark.parametrize("nearest", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_affinity_equals_a_dense_twin(seed: int, nearest: int) -> None:
    states, anchors = points(seed)
    graph, expected = graph_of(states, anchors, nearest), slow_affinity(states, anchors, nearest)
    for clip, row in enumerate(expected):
        shared, affinity = graph.row(clip)
        assert shared.tolist() == np.flatnonzero(row).tolist()
        np.testing.assert_allclose(affinity, row[shared], rtol=1e-4)
        assert clip in shared and affinity.sum() == pytest.approx(1, rel=1e-5)


def test_nearest_anchor_comes_first_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    states, anchors = points(0)
    indices, weights = anchor_weights(states, anchors, 3)
    distance = (states[:, None] - anchors).square().sum(dim=2)
    assert torch.equal(indices, distance.argsort(dim=1)[:, :3])
    assert (weights[:, :-1] >= weights[:, 1:]).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(30))
    monkeypatch.setattr("chain.methods.bth.CHUNK", 7)
    chunked = anchor_weights(states, anchors, 3)
    assert torch.equal(chunked[0], indices) and torch.equal(chunked[1], weights)


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_weights_stay_positive(far: float) -> None:
    """All at one point, or one clip far off: neither a division by zero nor an empty weight."""
    states = torch.zeros(1000, 2)
    states[0] = far
    _, weights = anchor_weights(states, torch.tensor([[0.0, 0.0], [0.0, 0.0], [far, far]]), 2)
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1000))


def test_partners_are_the_best_neighbours_or_strangers() -> None:
    states, anchors = points(0)
    graph, affinity = graph_of(states, anchors, 2), slow_affinity(states, anchors, 2)
    random = np.random.default_rng(0)
    clips = np.repeat(np.arange(30), 200)
    alike = graph.partners(clips, np.ones(len(clips), bool), 4, random).reshape(30, 200)
    apart = graph.partners(clips, np.zeros(len(clips), bool), 4, random).reshape(30, 200)
    for clip, row in enumerate(affinity):
        others = np.delete(np.arange(30), clip)
        best = others[np.argsort(-row[others], kind="stable")[:4]]
        assert set(alike[clip]) == set(best)
        assert set(apart[clip]) == set(np.flatnonzero(row == 0)) and len(set(apart[clip])) > 0


def test_partners_where_there_is_no_choice() -> None:
    alone = AnchorGraph(np.array([[0], [1], [1]]), np.ones((3, 1), np.float32))
    random = np.random.default_rng(0)
    assert alone.partners(np.array([0, 1]), np.array([True, True]), 4, random).tolist() == [0, 2]
    # All share an anchor: the one of least affinity stands in for a stranger.
    closeness = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]], np.float32)
    crowd = AnchorGraph(np.array([[0, 1], [0, 1], [0, 1]]), closeness)
    dense = np.array([crowd.row(clip)[1] for clip in range(3)])
    got = crowd.partners(np.arange(3), np.zeros(3, bool), 4, random)
    assert got.tolist() == dense.argmin(axis=1).tolist()


# The network


def slow_hidden(model: BTH, clip: Tensor) -> Tensor:
    """Hidden states (T, W) of one clip: a post-norm BERT block of one head, written out."""
    block, width = model.block, model.config.width

    def norm(x: Tensor, layer: torch.nn.LayerNorm) -> Tensor:
        centred = x - x.mean()
        return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias

    tokens = clip @ model.project.weight.T + model.project.bias + model.places
    weight, bias = block.self_attn.in_proj_weight, block.self_attn.in_proj_bias
    query, key, value = (tokens @ weight.T + bias).chunk(3, dim=1)
    states = []
    for t, token in enumerate(tokens):
        score = torch.stack([query[t] @ other for other in key]) / width**0.5
        attention = score.exp() / score.exp().sum()
        mixed = block.self_attn.out_proj(attention @ value)
        token = norm(token + mixed, block.norm1)
        inner = block.linear1(token)
        gelu = 0.5 * inner * (1 + torch.erf(inner / 2**0.5))
        states.append(norm(token + block.linear2(gelu), block.norm2))
    return torch.stack(states)


def slow_signs(values: Tensor) -> Tensor:
    return torch.tensor([[1.0 if value >= 0 else -1.0 for value in row] for row in values.tolist()])


def test_encode_is_the_mean_of_the_frame_codes(store: FeatureStore) -> None:
    model = construct().eval()
    features = torch.from_numpy(store.clean[:4, SEEN]).float()
    codes = model.encode(features)
    assert codes.shape == (4, BITS)
    for clip, got in zip(features, codes, strict=True):
        hidden = slow_hidden(model, clip)
        torch.testing.assert_close(model._hidden(clip[None])[0], hidden)
        torch.testing.assert_close(got, slow_signs(model.hash(hidden)).mean(dim=0))
    assert not torch.equal(model.encode(features.flip(1)), codes)  # the order of frames counts


def test_published_sizes() -> None:
    model = construct(4096, 64, frames=25, width=256, ffn=1024, anchors=2000, nearest=3)
    attention = 4 * (256 * 256 + 256)
    ffn = 256 * 1024 + 1024 + 1024 * 256 + 256
    projections = (4096 * 256 + 256) + (256 * 64 + 64) + (64 * 4096 + 4096)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == attention + ffn + 2 * 2 * 256 + projections
    assert model.block.self_attn.num_heads == 1 and not model.block.norm_first
    assert model.anchors.shape == (2000, 256)


# The two phases


def test_draw_of_the_first_phase_is_the_masked_batch(store: FeatureStore) -> None:
    model = construct()
    model.start_epoch(0, store)
    features, masked, shown = drawn(model, store)
    assert (features.numpy() == store.clean[[2, 5, 7, 23]][:, SEEN]).all()
    assert features.dtype == torch.float32
    assert masked.shape == shown.shape == (4, FRAMES) and masked.dtype == torch.bool
    again, other = drawn(model, store), drawn(model, store, seed=1)
    assert torch.equal(again[2], shown) and not torch.equal(other[2], shown)


def test_draw_of_the_second_phase_adds_partners(store: FeatureStore) -> None:
    model = second_phase(store)
    training = torch.from_numpy(store.clean[store.train][:, SEEN]).float()
    with torch.no_grad():
        states = torch.stack([slow_hidden(model, clip).mean(dim=0) for clip in training])
    affinity = slow_affinity(states, model.anchors, 2)
    nearest = [min(range(7), key=lambda a: math.dist(x, model.anchors[a])) for x in states]
    similarities = []
    for seed in range(60):
        features, masked, shown, similarity, assigned = drawn(model, store, seed)
        assert features.shape == (8, FRAMES, WIDTH) and masked.shape == shown.shape == (8, FRAMES)
        rows = [int((training == clip).all(dim=2).all(dim=1).nonzero()) for clip in features]
        assert rows[:4] == [0, 3, 5, 21]
        for clip, partner, alike in zip(rows[:4], rows[4:], similarity.tolist(), strict=True):
            assert clip != partner and (affinity[clip, partner] > 0) == (alike == 1)
        assert assigned.tolist() == [nearest[row] for row in rows]
        similarities += similarity.tolist()
    assert set(similarities) == {-1.0, 1.0}
    assert np.mean(similarities) == pytest.approx(0, abs=0.2)
    first, again = drawn(model, store), drawn(model, store)
    assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))


def test_anchors_are_centres_of_the_clean_training_clips(store: FeatureStore) -> None:
    model = second_phase(store)
    assert model.training  # though the states were taken without dropout
    clips = torch.from_numpy(store.clean[store.train][:, SEEN]).float()
    states = torch.stack([slow_hidden(model, clip).mean(dim=0) for clip in clips])
    torch.manual_seed(1)
    torch.testing.assert_close(model.anchors, kmeans(states.detach(), 7)[1])
    before = model.anchors.clone()
    with torch.no_grad():
        model.project.weight.mul_(-1)
    model.start_epoch(3, store)
    assert torch.equal(model.anchors, before)  # they stay as they were found


def test_loss_parts_against_a_slow_twin(store: FeatureStore) -> None:
    model = second_phase(store).eval()
    batch = drawn(model, store)
    before = [tensor.clone() for tensor in batch]
    parts = model.losses(*batch)
    assert all(torch.equal(x, y) for x, y in zip(batch, before, strict=True))

    features, masked, shown, similarity, assigned = batch
    frames = [frame for clip in features for frame in clip]
    errors, codes, drifts = [], [], []
    with torch.no_grad():
        for n, clip in enumerate(features):
            seen = [torch.zeros(WIDTH) if k == HIDDEN else frames[k] for k in shown[n].tolist()]
            hidden = slow_hidden(model, torch.stack(seen))
            signs = slow_signs(model.hash(hidden))
            for t in range(FRAMES):
                if masked[n, t]:
                    guess = model.decoder.weight @ signs[t] + model.decoder.bias
                    errors += [(guess[k] - clip[t, k]).item() ** 2 for k in range(WIDTH)]
            codes.append(signs.mean(dim=0))
            drifts += (hidden.mean(dim=0) - model.anchors[assigned[n]]).square().tolist()
        pairs = zip(similarity.tolist(), codes[:4], codes[4:], strict=True)
        gaps = [(s - float(first @ second) / BITS) ** 2 for s, first, second in pairs]
    expected = {
        "reconstruction": np.mean(errors),
        "neighbourhood": np.mean(gaps),
        "anchor": np.mean(drifts),
    }
    expected["loss"] = sum(model.config.weights.model_dump()[k] * v for k, v in expected.items())
    assert list(parts) == PARTS
    for name, value in parts.items():
        assert value.item() == pytest.approx(expected[name], rel=1e-4), name


def test_first_phase_reconstructs_only(store: FeatureStore) -> None:
    model = construct()
    parts = model.losses(*drawn(model, store))
    assert list(parts) == PARTS
    assert parts["neighbourhood"].item() == parts["anchor"].item() == 0
    assert parts["loss"].item() == pytest.approx(0.92 * parts["reconstruction"].item())


@pytest.mark.parametrize("phase", [1, 2])
def test_a_few_steps_train_every_parameter(store: FeatureStore, phase: int) -> None:
    model = construct(dropout=0.0) if phase == 1 else second_phase(store, dropout=0.0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    batch, losses = drawn(model, store), []
    for _ in range(20):
        loss = model.losses(*batch)["loss"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


@pytest.mark.parametrize("part", ["reconstruction", "neighbourhood", "anchor"])
def test_each_task_reaches_the_block(store: FeatureStore, part: str) -> None:
    model = second_phase(store)
    model.losses(*drawn(model, store))[part].backward()  # type: ignore[no-untyped-call]
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"project.weight", "block.linear1.weight"} <= reached
    assert ("decoder.weight" in reached) == (part == "reconstruction")
    assert ("hash.weight" in reached) == (part != "anchor")


# A whole run


def start(store: FeatureStore, precision: str = "fp32") -> Method:
    parameters = merge(PARAMETERS, {"training": {"precision": precision}})
    return loop.build(BTH, parse(BTHConfig, parameters, "methods.bth"), store, BITS, 0)


def same(first: Method, second: Method) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_history_of_both_phases(store: FeatureStore, tmp_path: Path, precision: str) -> None:
    history = train(start(store, precision), store, 0, CPU, tmp_path)
    assert list(history.columns) == ["epoch", "lr", *PARTS] and not history.isna().any(axis=None)
    for name in ("neighbourhood", "anchor"):
        assert (history[name][:2] == 0).all() and (history[name][2:] > 0).all()
    assert history["reconstruction"].iloc[-1] < history["reconstruction"].iloc[0]


def test_state_dict_holds_all(store: FeatureStore, tmp_path: Path) -> None:
    """Encoding loads it into a model that has never seen the training set."""
    model = start(store)
    train(model, store, 0, CPU, tmp_path)
    state = model.state_dict()
    copy = construct()
    copy.load_state_dict(state)
    assert copy.nearest.shape == (40, 2) and same(copy, model)
    assert (encode_store(copy, store, CPU) == encode_store(model, store, CPU)).all()
    copy.nearest.zero_()
    assert state["nearest"].any()  # a copy, not the same memory
    del state["nearest"]
    with pytest.raises(RuntimeError, match="nearest"):
        construct().load_state_dict(state)


def test_fit_checks_its_input(store: FeatureStore) -> None:
    message = r"methods.bth.anchors is 41, but there are only 40 training clips; lower it or add"
    with pytest.raises(InputError, match=message):
        construct(anchors=41).fit(store)
    model = construct(anchors=39)
    model.fit(store)
    pooled = store.clean[store.train].astype(np.float32)[:, uniform_frames(9, model.frames)]
    expected = torch.from_numpy(pooled.mean(axis=(0, 1)))
    assert torch.allclose(model.decoder.bias, expected, atol=1e-5)
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 9"):
        construct(frames=12).fit(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nearest": 8}, "methods.bth: nearest 8 is more than the 7 anchors$"),
        ({"pretrain_epochs": 4}, "methods.bth: pretrain_epochs 4 leaves none of 4 training.epochs"),
        ({"anchors": 1}, "methods.bth.anchors: .*greater than or equal to 2"),
        ({"dropout": 1.0}, "methods.bth.dropout: .*less than 1"),
        ({"weights": {"anchor": -0.1}}, "methods.bth.weights.anchor: .*greater than or equal to 0"),
        ({"heads": 2}, "methods.bth.heads: unknown parameter; known: frames"),
        ({"training": None}, "methods.bth.training: "),
    ],
)
def test_bad_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        construct(**change)

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import lowers_its_loss, training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.base import Method
from chain.methods.bth import BTH, BTHConfig
from chain.models.anchor_graph import AnchorGraph, nearest_anchors
from chain.models.kmeans import kmeans
from chain.training import loop
from chain.training.encode import encode_store
from chain.training.loop import train
from chain.views.masking import HIDDEN
from chain.views.sampling import uniform_frames
from chain.views.store import FeatureStore

CPU = torch.device("cpu")
FRAMES, WIDTH, BITS = 6, 12, 8
CLIPS = 42
SEEN = [int((k + 0.5) * 9 / FRAMES) for k in range(FRAMES)]
PARAMETERS = {
    "frames": FRAMES,
    "width": 16,
    "dropout": 0.1,
    "pretrain_epochs": 2,
    "anchors": 7,
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
    model.fit(store)
    torch.manual_seed(1)
    model.start_epoch(model.config.pretrain_epochs, store)
    return model


def drawn(model: BTH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, np.array([0, 3, 5, 21]), np.random.default_rng(seed))


# The network


def slow_hidden(model: BTH, clip: Tensor) -> Tensor:
    """Hidden states (T, W) of one clip: a pre-norm BERT block of one head, frame by frame."""
    block, width = model.block, model.config.width

    def norm(x: Tensor, layer: torch.nn.Module) -> Tensor:
        mean = x.sum() / width
        deviation = ((x - mean).square().sum() / (width - 1)).sqrt()
        return (x - mean) / (deviation + 1e-6) * layer.weight + layer.bias

    tokens = clip @ model.project.weight.T + model.project.bias + model.places
    normal = torch.stack([norm(token, block.norm1) for token in tokens])
    query, key, value = block.query(normal), block.key(normal), block.value(normal)
    states = []
    for t, token in enumerate(tokens):
        score = torch.stack([query[t] @ other for other in key]) / width**0.5
        attention = score.exp() / score.exp().sum()
        token = token + block.out(attention @ value)
        first, last = block.mlp[0], block.mlp[3]
        inner = first.weight @ norm(token, block.norm2) + first.bias
        cubic = (2 / math.pi) ** 0.5 * (inner + 0.044715 * inner**3)
        states.append(token + last.weight @ (0.5 * inner * (1 + cubic.tanh())) + last.bias)
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
    model = construct(4096, 64, frames=25, width=256, anchors=2000)
    attention = 4 * (256 * 256 + 256)
    ffn = 256 * 1024 + 1024 + 1024 * 256 + 256
    projections = (4096 * 256 + 256) + (256 * 64 + 64) + (64 * 4096 + 4096)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == attention + ffn + 2 * 2 * 256 + projections
    assert model.anchors.shape == (2000, 256)


# The two phases


def test_draw_of_the_first_phase_is_the_masked_batch(store: FeatureStore) -> None:
    model = construct()
    model.start_epoch(0, store)
    features, shown = drawn(model, store)
    assert (features.numpy() == store.clean[[2, 5, 7, 23]][:, SEEN]).all()
    assert features.dtype == torch.float32
    assert shown.shape == (4, FRAMES)
    again, other = drawn(model, store), drawn(model, store, seed=1)
    assert torch.equal(again[1], shown) and not torch.equal(other[1], shown)


def pretrained_states(model: BTH, store: FeatureStore) -> Tensor:
    clips = torch.from_numpy(store.clean[store.train][:, SEEN]).float()
    with torch.no_grad():
        return torch.stack([slow_hidden(model, clip).mean(dim=0) for clip in clips])


def test_draw_of_the_second_phase_adds_partners(store: FeatureStore) -> None:
    model = second_phase(store, anchors=16)
    training = torch.from_numpy(store.clean[store.train][:, SEEN]).float()
    states = pretrained_states(construct(), store)
    nearest, distance = nearest_anchors(states, model.anchors)
    graph = AnchorGraph(nearest.numpy(), distance.numpy())
    similarities = []
    for seed in range(60):
        features, shown, similarity, assigned = drawn(model, store, seed)
        assert features.shape == (8, FRAMES, WIDTH) and shown.shape == (8, FRAMES)
        rows = [int((training == clip).all(dim=2).all(dim=1).nonzero()) for clip in features]
        assert rows[:4] == [0, 3, 5, 21]
        alike = graph.are_similar(np.array(rows[:4]), np.array(rows[4:]))
        assert (alike == (similarity == 1).numpy()).all()
        assert assigned.tolist() == nearest[rows, 0].tolist()
        similarities += similarity.tolist()
    assert set(similarities) == {-1.0, 1.0}
    assert np.mean(similarities) == pytest.approx(0, abs=0.2)
    first, again = drawn(model, store), drawn(model, store)
    assert all(torch.equal(x, y) for x, y in zip(first, again, strict=True))


def test_anchors_are_centres_of_the_clean_training_clips(store: FeatureStore) -> None:
    model = second_phase(store)
    assert model.training  # though the states were taken without dropout
    states = pretrained_states(construct(), store)
    torch.manual_seed(1)
    torch.testing.assert_close(model.anchors, kmeans(states, 7)[1])
    before = model.anchors.clone()
    with torch.no_grad():
        model.project.weight.mul_(-1)
    model.start_epoch(3, store)
    assert torch.equal(model.anchors, before)  # they stay as they were found


def test_second_phase_begins_with_fresh_weights(store: FeatureStore) -> None:
    model = construct()
    model.fit(store)
    assert [model.phase_start(epoch) for epoch in range(4)] == [0, 0, 2, 2]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.3)
            parameter += 0.01 * torch.randn_like(parameter)
    trained = {name: value.clone() for name, value in model.named_parameters()}
    model.start_epoch(1, store)
    assert all(torch.equal(trained[name], value) for name, value in model.named_parameters())
    model.start_epoch(2, store)
    for name, value in model.named_parameters():
        if "norm" in name:
            assert (value == float("weight" in name)).all()
        elif name == "decoder.bias":
            assert torch.equal(value, model.mean)
        else:
            bound = 1 / model.get_submodule(name.rpartition(".")[0]).in_features ** 0.5
            assert value.abs().max() <= bound and value.std() > 0.4 * bound
    fresh = {name: value.clone() for name, value in model.named_parameters()}
    model.start_epoch(3, store)
    assert all(torch.equal(fresh[name], value) for name, value in model.named_parameters())


def test_loss_parts_against_a_slow_twin(store: FeatureStore) -> None:
    model = second_phase(store).eval()
    batch = drawn(model, store)
    before = [tensor.clone() for tensor in batch]
    parts = model.losses(*batch)
    assert all(torch.equal(x, y) for x, y in zip(batch, before, strict=True))

    features, shown, similarity, assigned = batch
    frames = [frame for clip in features for frame in clip]
    errors, codes, drifts = [], [], []
    with torch.no_grad():
        for n, clip in enumerate(features):
            seen = [torch.zeros(WIDTH) if k == HIDDEN else frames[k] for k in shown[n].tolist()]
            hidden = slow_hidden(model, torch.stack(seen))
            signs = slow_signs(model.hash(hidden))
            for t in range(FRAMES):  # all of them, against the clean frame
                guess = model.decoder.weight @ signs[t] + model.decoder.bias
                errors += [(guess[k] - clip[t, k]).item() ** 2 for k in range(WIDTH)]
            codes.append(signs.mean(dim=0))
            drifts += (hidden.mean(dim=0) - model.anchors[assigned[n]]).square().tolist()
        pairs = zip(similarity.tolist(), codes[:4], codes[4:], strict=True)
        gaps = [(s - float(first @ second) / BITS) ** 2 for s, first, second in pairs]
    expected = {
        "reconstruction": np.mean(errors),
        "neighbourhood": np.mean(gaps),
        "anchor": 2 * np.mean(drifts),  # the sum of both halves' means
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
    model = construct() if phase == 1 else second_phase(store)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    assert lowers_its_loss(model, drawn(model, store))
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all()
        assert not torch.equal(before[name], value), name


def test_dropout_acts_in_training_only(store: FeatureStore) -> None:
    model, features = construct(dropout=0.5), torch.randn(3, FRAMES, WIDTH)
    assert torch.equal(model.eval()._hidden(features), model._hidden(features))
    assert not torch.equal(model.train()._hidden(features), model._hidden(features))


@pytest.mark.parametrize("part", ["reconstruction", "neighbourhood", "anchor"])
def test_each_task_reaches_the_block(store: FeatureStore, part: str) -> None:
    model = second_phase(store)
    model.losses(*drawn(model, store))[part].backward()  # type: ignore[no-untyped-call]
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"project.weight", "block.mlp.0.weight"} <= reached
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
    first, then, afresh, last = history["reconstruction"]
    assert then < first and last < afresh


def test_state_dict_holds_all(store: FeatureStore, tmp_path: Path) -> None:
    """Encoding loads it into a model that has never seen the training set."""
    model = start(store)
    train(model, store, 0, CPU, tmp_path)
    state = model.state_dict()
    copy = construct()
    copy.load_state_dict(state)
    assert copy.nearest.shape == (40, 5) and same(copy, model)
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
        ({"pretrain_epochs": 4}, "methods.bth: pretrain_epochs 4 leaves none of 4 training.epochs"),
        ({"anchors": 4}, "methods.bth.anchors: .*greater than or equal to 5"),
        ({"width": 1}, "methods.bth.width: .*greater than or equal to 2"),
        ({"dropout": 1.0}, "methods.bth.dropout: .*less than 1"),
        ({"weights": {"anchor": -0.1}}, "methods.bth.weights.anchor: .*greater than or equal to 0"),
        ({"heads": 2}, "methods.bth.heads: unknown parameter; known: frames"),
        ({"training": None}, "methods.bth.training: "),
    ],
)
def test_bad_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        construct(**change)

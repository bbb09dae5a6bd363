import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.losses.debiased import debiased_contrastive
from chain.methods.wsch import WSCH, WSCHConfig
from chain.views.store import FeatureStore

WIDTH, BITS = 12, 16
PARAMETERS = {
    "frames": 8,
    "encoder": {"width": 16, "depth": 1, "heads": 4},
    "decoder": {"width": 8, "depth": 1, "heads": 2},
    "mask_ratio": 0.9,
    "second_mask_ratio": 0.6,
    "reconstruct_epochs": 2,
    "clusters": 4,
    "contrastive_weight": 0.7,
    "temperature": 0.5,
    "tau_plus": 0.1,
    "training": training(epochs=6),
}
ROWS = np.array([0, 3, 4, 9])


def build(**changes: object) -> WSCH:
    torch.manual_seed(0)
    config = parse(WSCHConfig, merge(PARAMETERS, changes), "methods.wsch")
    return WSCH(config, WIDTH, BITS)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    random = np.random.default_rng(0)
    clean = random.normal(size=(30, 11, WIDTH)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(30)}), clean, np.arange(2, 28), {})


def started(store: FeatureStore, epoch: int, **changes: object) -> WSCH:
    model = build(**changes)
    model.start_epoch(epoch, store)
    return model


def drawn(model: WSCH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def clean_frames(store: FeatureStore) -> Tensor:
    """(M, T, F) of the training clips."""
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    return torch.from_numpy(store.clean[2:28][:, middles]).float()


@pytest.mark.parametrize(
    ("epoch", "masked", "task"),
    [
        (0, 7, "contrastive"),
        (1, 7, "contrastive"),
        (2, 4, "cluster"),
        (3, 4, "contrastive"),
        (4, 4, "cluster"),
        (5, 4, "contrastive"),
    ],
)
def test_stages_and_turns(store: FeatureStore, epoch: int, masked: int, task: str) -> None:
    model = started(store, epoch)
    assert model.masked_frames == masked
    batch = drawn(model, store)
    assert list(model.losses(*batch)) == ["loss", "reconstruction", task]
    assert len(batch) == (3 if task == "cluster" else 2)


def test_first_stage_may_be_left_out(store: FeatureStore) -> None:
    model = started(store, 0, reconstruct_epochs=0)
    assert model.masked_frames == 4 and model.labels is not None


@pytest.mark.parametrize(("frames", "masked"), [(2, 1), (8, 7), (25, 22)])
def test_at_least_one_frame_is_seen(frames: int, masked: int) -> None:
    model = build(frames=frames)
    assert model.masked_frames == masked
    permutation = torch.rand(3, frames).argsort(dim=1)
    assert model.losses(torch.randn(3, frames, WIDTH), permutation)["loss"].isfinite()


@torch.no_grad()
def test_labels_are_clusters_of_the_current_codes(store: FeatureStore) -> None:
    model = build().train()
    torch.manual_seed(5)
    model.start_epoch(2, store)
    assert model.training and model.labels is not None
    codes = model.encode(clean_frames(store))
    assert torch.equal(torch.cdist(codes, model.centres).argmin(dim=1), model.labels)
    assert len(model.labels.unique()) == 4
    assert torch.equal(drawn(model, store)[2], model.labels[ROWS])
    labels = model.labels
    torch.manual_seed(5)
    model.start_epoch(2, store)
    assert torch.equal(model.labels, labels)
    model.hash.linear.weight.copy_(torch.randn(BITS, 16))
    model.start_epoch(2, store)
    assert not torch.equal(model.labels, labels)


def test_later_clusters_keep_their_numbers(store: FeatureStore) -> None:
    model = started(store, 2)
    labels = model.labels
    assert labels is not None
    for seed in range(5):
        torch.manual_seed(seed)
        model.start_epoch(4, store)
        assert model.labels is not None and torch.equal(model.labels, labels)
    with torch.no_grad():
        model.centres.copy_(model.centres.roll(1, dims=0))
    model.start_epoch(4, store)
    assert torch.equal(model.labels, (labels + 1) % 4)


def slow_code(model: WSCH, clip: Tensor, visible: list[int]) -> Tensor:
    """Frame codes (V, b) of the frames `visible`, in temporal order."""
    norm, linear = model.project
    tokens = []
    for t in sorted(visible):
        centred = clip[t] - clip[t].mean()
        unit = centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias
        tokens.append(linear(unit) + model.places[t])
    encoded = model.encoder(torch.stack(tokens)[None])[0]
    return torch.where(model.hash(model.head(encoded)) >= 0, 1.0, -1.0)


def slow_view(
    model: WSCH, clip: Tensor, visible: list[int], hidden: list[int]
) -> tuple[Tensor, float]:
    """Mean code and summed squared error of one clip."""
    codes = slow_code(model, clip, visible)
    tokens = [
        model.decoder_project.weight @ code + model.decoder_places[t]
        for code, t in zip(codes, sorted(visible), strict=True)
    ]
    tokens += [model.mask_token + model.decoder_places[t] for t in hidden]
    decoded = model.decoder(torch.stack(tokens)[None])[0, len(visible) :]
    error = (model.reconstruct(decoded) - clip[hidden]).square().sum()
    return codes.mean(dim=0), float(error)


@torch.no_grad()
@pytest.mark.parametrize(("epoch", "seen"), [(0, 1), (2, 4), (3, 4)])
def test_loss_parts_against_a_slow_twin(store: FeatureStore, epoch: int, seen: int) -> None:
    model = started(store, epoch)
    model.project[0].weight += torch.randn(WIDTH) / 4
    features, permutation, *labels = drawn(model, store)
    parts = model.losses(features, permutation, *labels)
    codes: tuple[list[Tensor], list[Tensor]] = ([], [])
    reconstruction = cross_entropy = 0.0
    for k, (clip, order) in enumerate(zip(features, permutation.tolist(), strict=True)):
        views = [(order[:seen], order[seen:]), (order[-seen:], order[:-seen])]
        for view, (visible, hidden) in enumerate(views):
            code, error = slow_view(model, clip, visible, hidden)
            codes[view].append(code)
            reconstruction += error / (4 * len(hidden) * WIDTH)
            if labels:
                logits = model.cluster_head(code).tolist()
                total = sum(math.exp(x) for x in logits)
                cross_entropy -= math.log(math.exp(logits[int(labels[0][k])]) / total) / 8
    assert parts["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-4)
    if labels:
        assert parts["cluster"].item() == pytest.approx(cross_entropy, rel=1e-4)
        assert parts["loss"].item() == pytest.approx(reconstruction + cross_entropy, rel=1e-4)
    else:
        first, second = (torch.stack(view) for view in codes)
        contrastive = debiased_contrastive(first, second, 0.5, 0.1).item()
        assert parts["contrastive"].item() == pytest.approx(contrastive, rel=1e-4)
        assert parts["loss"].item() == pytest.approx(reconstruction + 0.7 * contrastive, rel=1e-4)


@torch.no_grad()
def test_encode_is_the_mean_code_of_all_frames_in_order(store: FeatureStore) -> None:
    features = clean_frames(store)
    first, last = started(store, 0), started(store, 5)
    codes = first.encode(features)
    assert codes.shape == (26, BITS)
    for clip, code in zip(features, codes, strict=True):
        torch.testing.assert_close(code, slow_code(first, clip, list(range(8))).mean(dim=0))
    assert torch.equal(last.encode(features), codes)  # whatever the stage
    assert not torch.equal(first.encode(features.flip(1)), codes)


def test_a_few_steps_train_every_parameter(store: FeatureStore) -> None:
    model = build()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    for epoch in (0, 2, 3):
        model.start_epoch(epoch, store)
        batch, losses = drawn(model, store), []
        for _ in range(20):
            loss = model.losses(*batch)["loss"]
            optimiser.zero_grad()
            loss.backward()
            idle = {name for name, p in model.named_parameters() if p.grad is None}
            head = {name for name in before if name.startswith("cluster_head.")}
            assert idle == (set() if epoch == 2 else head)
            assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


def test_too_few_training_clips(store: FeatureStore) -> None:
    build(clusters=25).fit(store)
    with pytest.raises(InputError, match=r"methods.wsch.clusters is 26, but there are only 26"):
        build(clusters=26).fit(store)


def test_broken_weights_are_not_clustered(store: FeatureStore) -> None:
    model = build()
    with torch.no_grad():
        model.head.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"codes are no longer numbers; lower training.lr"):
        model.start_epoch(2, store)


def test_needs_its_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        drawn(build(frames=12), store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_ratio": 0.1}, "methods.wsch: mask_ratio 0.1 of 8 frames masks none$"),
        ({"second_mask_ratio": 0.1}, "methods.wsch: second_mask_ratio 0.1 of 8 frames masks none$"),
        ({"second_mask_ratio": 1.0}, "methods.wsch.second_mask_ratio: .*less than 1"),
        ({"clusters": 1}, "methods.wsch.clusters: .*greater than or equal to 2"),
        ({"reconstruct_epochs": -1}, "methods.wsch.reconstruct_epochs: .*than or equal to 0"),
        (
            {"reconstruct_epochs": 6},
            "methods.wsch: reconstruct_epochs 6 leaves none of the 6 training.epochs",
        ),
        ({"encoder": {"heads": 17}}, "methods.wsch.encoder: 17 heads don't fit in width 16$"),
        ({"training": None}, "methods.wsch.training: "),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

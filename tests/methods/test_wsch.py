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
    "encoder": {"width": 16, "heads": 4},
    "decoder": {"width": 8, "heads": 2},
    "first_mask_ratio": 0.9,
    "second_mask_ratio": 0.6,
    "warmup_epochs": 2,
    "clusters": 4,
    "cluster_temperature": 0.2,
    "temperature": 0.5,
    "tau_plus": 0.1,
    "weights": {"cluster": 0.3, "contrastive": 0.7},
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
    for past in range(epoch + 1):
        model.start_epoch(past, store)
    return model


def drawn(model: WSCH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def clean_frames(store: FeatureStore) -> Tensor:
    """(M, T, F) of the training clips."""
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    return torch.from_numpy(store.clean[2:28][:, middles]).float()


@pytest.mark.parametrize(
    ("epoch", "masked", "tasks"),
    [
        (0, 7, []),
        (1, 7, []),
        (2, 4, ["cluster"]),
        (3, 4, ["contrastive"]),
        (4, 4, ["cluster"]),
        (5, 4, ["contrastive"]),
    ],
)
def test_stages_and_turns(store: FeatureStore, epoch: int, masked: int, tasks: list[str]) -> None:
    model = started(store, epoch)
    assert model.masked_frames == masked
    assert list(model.losses(*drawn(model, store))) == ["loss", "reconstruction", *tasks]


def test_first_stage_may_be_left_out(store: FeatureStore) -> None:
    model = started(store, 0, warmup_epochs=0)
    assert model.masked_frames == 4 and model.task == "cluster"


@pytest.mark.parametrize(("frames", "masked"), [(2, 1), (8, 7), (25, 22)])
def test_at_least_one_frame_is_seen(frames: int, masked: int) -> None:
    model = build(frames=frames)
    assert model.masked_frames == masked
    permutation = torch.rand(3, frames).argsort(dim=1)
    assert model.losses(torch.randn(3, frames, WIDTH), permutation)["loss"].isfinite()


@torch.no_grad()
def test_centres_are_signs_of_clusters_of_views_of_few_frames(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def kmeans(points: Tensor, clusters: int, start: Tensor | None) -> tuple[Tensor, Tensor]:
        calls.append((points, start))
        return torch.zeros(len(points)), torch.linspace(-1, 1, clusters * BITS).view(clusters, -1)

    monkeypatch.setattr("chain.methods.wsch.kmeans", kmeans)
    model = started(store, 5)
    assert torch.equal(model.centres, torch.tensor([[-1.0], [-1.0], [1.0], [1.0]]).expand(4, BITS))
    (points, first), (_, second) = calls
    assert first is None and torch.equal(second, model.centres)
    assert points.shape == (2 * 26, BITS) and points.abs().unique().tolist() == [1]
    features = clean_frames(store)  # a view has one frame, so a point is the code of that frame
    alone = [slow_code(model, clip, [t])[0] for clip in features for t in range(8)]
    frames = torch.stack(alone).view(26, 8, BITS)
    views = points.view(26, 2, BITS)
    assert (views[:, :, None] == frames[:, None]).all(dim=3).any(dim=2).all()
    assert (views[:, 0] != views[:, 1]).any()


def slow_code(model: WSCH, clip: Tensor, visible: list[int]) -> Tensor:
    """Frame codes (V, b) of the frames `visible`, in temporal order."""
    norm, linear = model.project
    tokens = []
    for t in sorted(visible):
        centred = clip[t] - clip[t].mean()
        unit = centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias
        tokens.append(linear(unit))
    encoded = model.encoder(torch.stack(tokens)[None])[0]
    return torch.where(model.hash(encoded) >= 0, 1.0, -1.0)


def slow_view(
    model: WSCH, clip: Tensor, visible: list[int], hidden: list[int]
) -> tuple[Tensor, float]:
    """Mean code and summed cosine of one clip."""
    codes = slow_code(model, clip, visible)
    tokens = torch.cat([codes, model.mask_token.repeat(len(hidden), 1)])
    decoded = tokens[None]
    for layer in model.decoder:  # each masked frame is computed, though all are alike
        decoded = layer(decoded)
    decoded = decoded[0, len(visible) :]
    cosine = sum(
        float(found @ clip[t] / found.norm() / clip[t].norm())
        for found, t in zip(decoded, sorted(hidden), strict=True)
    )
    return codes.mean(dim=0), cosine


def slow_nearest(code: Tensor, centres: Tensor) -> float:
    cosines = [float(code @ centre / code.norm() / centre.norm()) / 0.2 for centre in centres]
    return math.log(sum(math.exp(x) for x in cosines)) - max(cosines)


@torch.no_grad()
@pytest.mark.parametrize(("epoch", "seen"), [(0, 1), (2, 4), (3, 4)])
def test_loss_parts_against_a_slow_twin(store: FeatureStore, epoch: int, seen: int) -> None:
    model = started(store, epoch)
    model.project[0].weight += torch.randn(WIDTH) / 4
    model.mask_token += torch.randn(BITS)
    features, permutation = drawn(model, store)
    parts = model.losses(features, permutation)
    codes: tuple[list[Tensor], list[Tensor]] = ([], [])
    reconstruction, cluster = 2.0, 0.0
    for clip, order in zip(features, permutation.tolist(), strict=True):
        views = [(order[:seen], order[seen:]), (order[-seen:], order[:-seen])]
        for view, (visible, hidden) in enumerate(views):
            code, cosine = slow_view(model, clip, visible, hidden)
            codes[view].append(code)
            reconstruction -= cosine / (4 * len(hidden))
            if epoch == 2:
                cluster += slow_nearest(code, model.centres) / 4
    assert parts["reconstruction"].item() == pytest.approx(reconstruction, rel=1e-4)
    total = reconstruction
    if epoch == 2:
        assert parts["cluster"].item() == pytest.approx(cluster, rel=1e-4)
        total += 0.3 * cluster
    if epoch == 3:
        first, second = (torch.stack(view) for view in codes)
        contrastive = debiased_contrastive(first, second, 0.5, 0.1).item()
        assert parts["contrastive"].item() == pytest.approx(contrastive, rel=1e-4)
        total += 0.7 * contrastive
    assert parts["loss"].item() == pytest.approx(total, rel=1e-4)


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
            assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
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
        model.hash.linear.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"wsch: the codes are no longer numbers; lower training"):
        model.start_epoch(2, store)


def test_needs_its_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        drawn(build(frames=12), store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_mask_ratio": 0.1}, "wsch: first_mask_ratio 0.1 of 8 frames masks none$"),
        ({"second_mask_ratio": 0.1}, "wsch: second_mask_ratio 0.1 of 8 frames masks none$"),
        ({"second_mask_ratio": 1.0}, "methods.wsch.second_mask_ratio: .*less than 1"),
        ({"clusters": 1}, "methods.wsch.clusters: .*greater than or equal to 2"),
        ({"warmup_epochs": -1}, "methods.wsch.warmup_epochs: .*than or equal to 0"),
        ({"warmup_epochs": 6}, "wsch: warmup_epochs 6 leaves none of the 6 training.epochs"),
        ({"encoder": {"heads": 3}}, "methods.wsch.encoder: 3 heads don't divide width 16$"),
        (
            {"encoder": {"width": 194, "heads": 2}},
            "methods.wsch.encoder: width 194 makes no whole heads; take a multiple of 64$",
        ),
        ({"training": None}, "methods.wsch.training: "),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

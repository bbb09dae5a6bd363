import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.mcmsh import MCMSH, MCMSHConfig, Partners, quadruplet
from chain.models.kmeans import cluster_means
from chain.views.store import FeatureStore

WIDTH, BITS = 12, 16
PARAMETERS = {
    "frames": 8,
    "width": 16,
    "depth": 2,
    "clusters": 4,
    "margin": 0.3,
    "weights": {"cluster": 0.8, "similarity": 0.1, "quantisation": 0.02, "quadruplet": 0.03},
    "training": training(),
}


def build(**changes: object) -> MCMSH:
    torch.manual_seed(0)
    config = parse(MCMSHConfig, merge(PARAMETERS, changes), "methods.mcmsh")
    return MCMSH(config, WIDTH, BITS)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    random = np.random.default_rng(0)
    clean = random.normal(size=(30, 11, WIDTH)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(30)}), clean, np.arange(2, 28), {})


@pytest.fixture
def model(store: FeatureStore) -> MCMSH:
    """Fitted and in its fourth epoch."""
    model = build()
    model.fit(store)
    model.start_epoch(3, store)
    return model


ROWS = np.array([0, 3, 4, 9, 12, 25])


def drawn(model: MCMSH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, ROWS, np.random.default_rng(seed))


def clean_frames(store: FeatureStore) -> Tensor:
    """(M, T, F) of the training clips."""
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    return torch.from_numpy(store.clean[2:28][:, middles]).float()


def test_fit_clusters_mean_features(store: FeatureStore, model: MCMSH) -> None:
    pooled = clean_frames(store).mean(dim=1)
    centres = cluster_means(pooled, model.labels, 4)
    assert torch.equal(torch.cdist(pooled, centres).argmin(dim=1), model.labels)
    again = build()
    again.fit(store)
    assert torch.equal(again.labels, model.labels)


def test_draw_gives_each_clip_a_partner(store: FeatureStore, model: MCMSH) -> None:
    every = clean_frames(store)
    for seed in range(20):
        features, similar, centres = drawn(model, store, seed)
        assert features.shape == (12, 8, WIDTH) and similar.sum() == 3
        assert torch.equal(features[:6], every[ROWS])
        found = [int((every == clip).all(dim=2).all(dim=1).nonzero()) for clip in features]
        labels = model.labels[found]
        assert torch.equal(labels[:6] == labels[6:], similar)
        assert torch.equal(centres, model.centres[labels])
    first, again, other = (drawn(model, store, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_any_partner_may_be_drawn() -> None:
    labels = np.array([2, 0, 2, 2, 1, 0, 2])
    partners, random = Partners(labels), np.random.default_rng(0)
    for clip, label in enumerate(labels):
        rows, many = np.full(200, clip), np.ones(200, bool)
        alike = set(np.flatnonzero(labels == label).tolist())
        others = set(range(7)) - alike
        assert set(partners.draw(rows, many, random).tolist()) == (alike - {clip} or {clip})
        assert set(partners.draw(rows, ~many, random).tolist()) == others


def test_quadruplet_by_hand() -> None:
    """Distances 0.1 and 0.4 of similar pairs, 0.5 and 0.2 of dissimilar ones; margin 0.2."""
    agreement = torch.tensor([0.8, 0.0, 0.2, 0.6])
    similar = torch.tensor([True, False, True, False])
    # 0.2 + 0.1 − 0.5 < 0, 0.2 + 0.1 − 0.2 = 0.1, 0.2 + 0.4 − 0.5 = 0.1, 0.2 + 0.4 − 0.2 = 0.4
    assert quadruplet(agreement, similar, 0.2).item() == pytest.approx(0.6 / 4)
    assert quadruplet(-agreement, ~similar, 0.0).item() == pytest.approx(0.2 / 4)


def slow_code(model: MCMSH, clip: Tensor) -> tuple[list[float], Tensor]:
    """Code and mean hidden state of one clip (T, F)."""
    hidden = model.mixer(clip[None])[0]
    slope = float(model.slope)
    frames = [[math.tanh(slope * x) for x in model.hash(state).tolist()] for state in hidden]
    return [sum(bit) / len(frames) for bit in zip(*frames, strict=True)], hidden.mean(dim=0)


@torch.no_grad()
def test_loss_parts_against_a_slow_twin(store: FeatureStore, model: MCMSH) -> None:
    model.eval()
    features, similar, centres = drawn(model, store)
    parts = model.losses(features, similar, centres)
    codes, cluster, quantisation = [], 0.0, 0.0
    for clip, centre in zip(features, centres, strict=True):
        code, mean = slow_code(model, clip)
        codes.append(code)
        cluster += float((mean - centre).square().mean()) / 12
        quantisation += sum((abs(h) - 1) ** 2 for h in code) / BITS / 12
    agreement = [
        sum(a * b for a, b in zip(codes[k], codes[k + 6], strict=True)) / BITS for k in range(6)
    ]
    signs = [1 if alike else -1 for alike in similar]
    similarity = sum((s - a) ** 2 for s, a in zip(signs, agreement, strict=True)) / 6
    hinges = [
        max(0.0, 0.3 + (1 - agreement[i]) / 2 - (1 - agreement[j]) / 2)
        for i in range(6)
        for j in range(6)
        if similar[i] and not similar[j]
    ]
    expected = {
        "cluster": cluster,
        "similarity": similarity,
        "quantisation": quantisation,
        "quadruplet": sum(hinges) / 9,
    }
    weights = PARAMETERS["weights"]
    expected["loss"] = sum(weights[name] * value for name, value in expected.items())
    assert {name: value.item() for name, value in parts.items()} == pytest.approx(expected, 1e-4)


@torch.no_grad()
def test_epoch_sets_slope_and_centres(store: FeatureStore, model: MCMSH) -> None:
    every = clean_frames(store)
    model.train()
    for epoch, slope in ((0, 1.0), (3, 2.0), (8, 3.0)):
        model.hash.weight += 0.1
        model.mixer[0].weight += 0.1
        model.start_epoch(epoch, store)
        assert model.training and model.state_dict()["slope"] == slope
        model.eval()
        hidden = torch.stack([slow_code(model, clip)[1] for clip in every])
        torch.testing.assert_close(model.centres, cluster_means(hidden, model.labels, 4))
        codes = torch.tensor([slow_code(model, clip)[0] for clip in every])
        torch.testing.assert_close(model.encode(every), codes)
        model.train()


def test_slope_hardens_the_codes(store: FeatureStore, model: MCMSH) -> None:
    every = clean_frames(store)
    model.eval()
    soft = model.encode(every)
    assert soft.shape == (26, BITS)
    model.start_epoch(399, store)
    assert model.encode(every).abs().mean() > soft.abs().mean()


def test_published_sizes() -> None:
    model = build(frames=25, width=256, depth=1)

    def gates(channels: int, inner: int) -> int:
        down, up = channels * inner + inner, inner * channels + channels
        narrow = 3 * channels * inner + inner + up
        return down + up + 2 * narrow

    def mlp(width: int) -> int:
        return 4 * width * width + 3 * width

    block = 4 * 256 + mlp(25) + gates(25, 6) + mlp(256) + gates(256, 16)
    total = WIDTH * 256 + 256 + block + 2 * 256 + 256 * BITS + BITS
    assert sum(parameter.numel() for parameter in model.parameters()) == total


def test_a_few_steps_train_every_parameter(store: FeatureStore, model: MCMSH) -> None:
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    batch, losses = drawn(model, store), []
    for _ in range(30):
        loss = model.losses(*batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])
    assert all(not torch.equal(before[name], value) for name, value in model.named_parameters())


def test_batch_of_two_has_both_kinds_of_pairs(store: FeatureStore, model: MCMSH) -> None:
    batch = model.draw(store, np.array([1, 2]), np.random.default_rng(0))
    assert sorted(batch[1].tolist()) == [False, True]
    assert model.losses(*batch)["loss"].isfinite()


def test_too_few_training_clips(store: FeatureStore) -> None:
    build(clusters=25).fit(store)
    with pytest.raises(InputError, match=r"methods.mcmsh.clusters is 26, but there are only 26"):
        build(clusters=26).fit(store)


def test_training_clips_all_alike() -> None:
    clean = np.ones((9, 8, WIDTH), np.float16)
    alike = FeatureStore(pd.DataFrame({"id": range(9)}), clean, np.arange(9), {})
    with pytest.raises(InputError, match="all training clips have the same features"):
        build().fit(alike)


def test_needs_its_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        build(frames=12).fit(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": 1}, "methods.mcmsh.clusters: .*greater than or equal to 2"),
        ({"margin": 1.5}, "methods.mcmsh.margin: .*less than or equal to 1"),
        ({"depth": 0}, "methods.mcmsh.depth: .*greater than or equal to 1"),
        ({"weights": {"cluster": -1.0}}, "methods.mcmsh.weights.cluster: "),
        ({"training": None}, "methods.mcmsh.training: "),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

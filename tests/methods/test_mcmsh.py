import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import lowers_its_loss, training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.mcmsh import MCMSH, MCMSHConfig, principal_coordinates, quadruplet
from chain.models.kmeans import kmeans
from chain.views.masking import HIDDEN
from chain.views.store import FeatureStore

WIDTH, BITS = 12, 16
PARAMETERS = {
    "frames": 8,
    "width": 16,
    "clusters": 12,
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


def test_targets_are_the_nearest_centres_of_the_mean_features(
    store: FeatureStore, model: MCMSH
) -> None:
    pooled = clean_frames(store).mean(dim=1)
    fitted = build()
    torch.manual_seed(5)
    labels, centres = kmeans(pooled, 12)
    torch.manual_seed(5)
    fitted.fit(store)
    torch.testing.assert_close(fitted.targets, principal_coordinates(centres, 16)[labels])
    before = fitted.targets.clone()
    fitted.start_epoch(3, store)
    assert torch.equal(fitted.targets, before)  # they are fixed


def test_principal_coordinates_keep_distances_and_order() -> None:
    points = torch.randn(6, 20) * torch.arange(1, 21)
    found = principal_coordinates(points, 16)
    assert found.shape == (6, 16) and found.dtype == points.dtype
    torch.testing.assert_close(torch.pdist(found), torch.pdist(points))
    torch.testing.assert_close(found.sum(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    variance = found.var(dim=0)
    assert (variance[:-1] >= variance[1:]).all() and (found[:, 5:] == 0).all()
    left, values, _ = torch.linalg.svd((points - points.mean(dim=0)).double())
    expected = (left[:, :3] * values[:3]).float()
    narrow = principal_coordinates(points, 3)
    torch.testing.assert_close(narrow.abs(), expected.abs(), atol=1e-4, rtol=1e-4)
    assert (narrow.gather(0, narrow.abs().argmax(dim=0, keepdim=True)) > 0).all()
    assert (principal_coordinates(torch.ones(4, 3), 5) == 0).all()


def test_draw_gives_each_clip_four_others(store: FeatureStore, model: MCMSH) -> None:
    every, alike = clean_frames(store), []
    independent, redrawn, random = 0, 0, np.random.default_rng(0)
    for seed in range(60):
        features, shown, similarity, centres = drawn(model, store, seed)
        assert features.shape == (30, 8, WIDTH) and shown.shape == (12, 8)
        found = [int((every == clip).all(dim=2).all(dim=1).nonzero()) for clip in features]
        rows, partners, similar, first, second = np.array(found).reshape(5, 6)
        assert (rows == ROWS).all()
        pairs = model.graph.are_similar(rows, partners)
        assert (pairs == (similarity == 1).numpy()).all()
        assert model.graph.are_similar(rows, similar).all()
        assert not model.graph.are_similar(rows, first).any()
        assert not model.graph.are_similar(rows, second).any()
        redrawn += model.graph.are_similar(first, second).sum()
        two = (model.graph.dissimilar(rows, random) for _ in range(2))
        independent += model.graph.are_similar(*two).sum()
        assert torch.equal(centres, model.targets[found[:12]])
        alike += similarity.tolist()
    assert set(alike) == {-1.0, 1.0} and np.mean(alike) == pytest.approx(0, abs=0.2)
    # Two dissimilar clips are drawn once more if they are similar to each other.
    assert 0 < redrawn < 0.97 * independent
    one, same, other = (drawn(model, store, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


def test_quadruplet_by_hand() -> None:
    """32 bits, so margins of 8 and 0.5."""
    clip = torch.zeros(2, 32)
    similar, first, second = clip.clone(), clip.clone(), clip.clone()
    similar[:, 0] = 1  # 1 from the clip
    first[0, :5] = 1  # 5 from it: 8 + 1 − 5 = 4
    second[0, :5] = 2  # 5 from the first: 0.5 + 1 − 5 < 0
    first[1, :16] = 1  # 8 + 1 − 16 < 0
    second[1, 1:16] = 1  # 1 from the first: 0.5 + 1 − 1 = 0.5
    assert quadruplet(clip, similar, first, second).item() == pytest.approx((4 + 0.5) / 2)


def slow_code(model: MCMSH, clip: Tensor) -> tuple[list[float], Tensor]:
    """Code and mean hidden state of one clip (T, F)."""
    hidden = model.mixer(model.project(clip)[None])[0]
    slope = float(model.slope)
    frames = [[math.tanh(slope * x) for x in model.hash(state).tolist()] for state in hidden]
    return [sum(bit) / len(frames) for bit in zip(*frames, strict=True)], hidden.mean(dim=0)


@torch.no_grad()
def test_loss_parts_against_a_slow_twin(store: FeatureStore, model: MCMSH) -> None:
    model.eval()
    features, shown, similarity, centres = drawn(model, store)
    parts = model.losses(features, shown, similarity, centres)
    frames = features[:12].flatten(0, 1)
    codes, cluster, quantisation = [], 0.0, 0.0
    for number, clip in enumerate(features):
        if number < 12:  # clips and partners are masked, the others are not
            places = shown[number].tolist()
            clip = torch.stack([frames[k] if k != HIDDEN else torch.zeros(WIDTH) for k in places])
        code, mean = slow_code(model, clip)
        codes.append(code)
        if number < 12:
            cluster += float((mean - centres[number]).square().mean()) / 6
            quantisation += sum((abs(h) - 1) ** 2 for h in code) / BITS / 6

    def between(one: int, other: int) -> float:
        return sum((a - b) ** 2 for a, b in zip(codes[one], codes[other], strict=True))

    gaps, hinges = 0.0, 0.0
    for k in range(6):
        agreement = sum(a * b for a, b in zip(codes[k], codes[k + 6], strict=True)) / BITS
        gaps += (float(similarity[k]) - agreement) ** 2 / 6
        near = between(k, k + 12)
        hinges += max(0.0, BITS / 4 + near - between(k, k + 18)) / 6
        hinges += max(0.0, BITS / 64 + near - between(k + 18, k + 24)) / 6
    expected = {
        "cluster": cluster,
        "similarity": gaps,
        "quantisation": quantisation,
        "quadruplet": hinges,
    }
    weights = PARAMETERS["weights"]
    expected["loss"] = sum(weights[name] * value for name, value in expected.items())
    assert {name: value.item() for name, value in parts.items()} == pytest.approx(expected, 1e-4)


@torch.no_grad()
def test_epoch_sets_the_slope(store: FeatureStore, model: MCMSH) -> None:
    every = clean_frames(store)
    for epoch, slope in ((0, 1.0), (3, 2.0), (8, 3.0)):
        model.start_epoch(epoch, store)
        assert model.state_dict()["slope"] == slope
        codes = torch.tensor([slow_code(model.eval(), clip)[0] for clip in every])
        torch.testing.assert_close(model.encode(every), codes)


def test_each_kind_of_clip_has_batch_statistics_of_its_own(
    store: FeatureStore, model: MCMSH
) -> None:
    batch = drawn(model, store)
    model.train().losses(*batch)
    counted = [v for name, v in model.named_buffers() if name.endswith("num_batches_tracked")]
    assert len(counted) == 18 and all(int(value) == 5 for value in counted)


def test_slope_hardens_the_codes(store: FeatureStore, model: MCMSH) -> None:
    every = clean_frames(store)
    model.eval()
    soft = model.encode(every)
    assert soft.shape == (26, BITS)
    model.start_epoch(399, store)
    assert model.encode(every).abs().mean() > soft.abs().mean()


def test_published_sizes() -> None:
    """The mixer's own parameters are counted in `tests/models/test_mc_mlp.py`."""
    model = build(frames=25, width=256)
    mixer = sum(parameter.numel() for parameter in model.mixer.parameters())
    total = WIDTH * 256 + 256 + mixer + 256 * BITS + BITS
    assert sum(parameter.numel() for parameter in model.parameters()) == total
    assert len(model.mixer.blocks) == 1


def test_a_few_steps_train_every_parameter(store: FeatureStore, model: MCMSH) -> None:
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    assert lowers_its_loss(model, drawn(model, store))
    for name, value in model.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all()
        assert not torch.equal(before[name], value), name


def test_smallest_batch(store: FeatureStore, model: MCMSH) -> None:
    batch = model.draw(store, np.array([1, 2]), np.random.default_rng(0))
    assert model.train().losses(*batch)["loss"].isfinite()


def test_too_few_training_clips(store: FeatureStore) -> None:
    build(clusters=25).fit(store)
    with pytest.raises(InputError, match=r"methods.mcmsh.clusters is 26, but there are only 26"):
        build(clusters=26).fit(store)


def test_training_clips_all_alike() -> None:
    clean = np.ones((9, 8, WIDTH), np.float16)
    alike = FeatureStore(pd.DataFrame({"id": range(9)}), clean, np.arange(9), {})
    with pytest.raises(InputError, match="all training clips have the same features"):
        build(clusters=6).fit(alike)


def test_needs_its_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        build(frames=12).fit(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": 4}, "methods.mcmsh.clusters: .*greater than or equal to 5"),
        ({"width": 50}, "methods.mcmsh.width: width 50 does not make 3 groups; take a multiple"),
        ({"depth": 2}, "methods.mcmsh.depth: unknown parameter"),
        ({"weights": {"cluster": -1.0}}, "methods.mcmsh.weights.cluster: "),
        ({"training": None}, "methods.mcmsh.training: "),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

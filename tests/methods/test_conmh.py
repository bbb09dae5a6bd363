import math

import numpy as np
import pandas as pd
import pytest
import torch
from small_methods import training
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.conmh import ConMH, ConMHConfig
from chain.views.store import FeatureStore
from chain.views.two_views import take

WIDTH, BITS = 12, 16
PARAMETERS = {
    "frames": 8,
    "encoder": {"width": 16, "depth": 2, "heads": 2},
    "decoder": {"width": 8, "depth": 1, "heads": 2},
    "mask_ratio": 0.75,
    "contrastive_weight": 0.7,
    "temperature": 0.5,
    "tau_plus": 0.1,
    "training": training(),
}


def build(width: int = WIDTH, bits: int = BITS, **changes: object) -> ConMH:
    torch.manual_seed(0)
    config = parse(ConMHConfig, merge(PARAMETERS, changes), "methods.conmh")
    return ConMH(config, width, bits)


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    random = np.random.default_rng(0)
    clean = random.normal(size=(9, 11, WIDTH)).astype(np.float16)
    return FeatureStore(pd.DataFrame({"id": range(9)}), clean, np.array([1, 2, 4, 5, 7, 8]), {})


def drawn(model: ConMH, store: FeatureStore, seed: int = 0) -> tuple[Tensor, ...]:
    return model.draw(store, np.array([0, 2, 3, 5]), np.random.default_rng(seed))


def test_draw_gives_clean_frames_and_a_permutation(store: FeatureStore) -> None:
    features, permutation = drawn(build(), store)
    middles = [int((k + 0.5) * 11 / 8) for k in range(8)]
    expected = store.clean[[1, 4, 5, 8]][:, middles].astype(np.float32)
    assert (features.numpy() == expected).all()
    assert torch.equal(permutation.sort(dim=1).values, torch.arange(8).expand(4, -1))
    assert len({tuple(row) for row in permutation.tolist()}) > 1
    again, other = drawn(build(), store), drawn(build(), store, seed=1)
    assert torch.equal(again[1], permutation) and not torch.equal(other[1], permutation)


def test_draw_needs_its_frames(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"frames is 12, but decode.frames keeps only 11"):
        drawn(build(frames=12), store)


@pytest.mark.parametrize(("frames", "ratio", "masked"), [(8, 0.75, 6), (25, 0.75, 18), (7, 0.5, 3)])
def test_views_partition_the_clip(
    monkeypatch: pytest.MonkeyPatch, frames: int, ratio: float, masked: int
) -> None:
    model = build(frames=frames, mask_ratio=ratio)
    assert model.config.masked_frames == masked
    views = []
    original = model._view

    def seen(features: Tensor, visible: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        views.append((visible, hidden))
        return original(features, visible, hidden)

    monkeypatch.setattr(model, "_view", seen)
    permutation = torch.rand(3, frames).argsort(dim=1)
    model.losses(torch.randn(3, frames, WIDTH), permutation)
    (first, _), (second, _) = views
    assert torch.equal(first, permutation[:, : frames - masked])
    assert torch.equal(second, permutation[:, masked:])
    for visible, hidden in views:
        assert hidden.shape == (3, masked)
        whole = torch.cat([visible, hidden], dim=1).sort(dim=1).values
        assert torch.equal(whole, torch.arange(frames).expand(3, -1))
    if masked * 2 >= frames:  # then no frame is seen twice
        for row in range(3):
            assert not set(first[row].tolist()) & set(second[row].tolist())


def slow_view(model: ConMH, clip: Tensor, visible: list[int], hidden: list[int]) -> list[Tensor]:
    """Mean code and summed squared error of one clip, frame by frame where frames do not mix."""
    tokens = torch.stack([model.project(clip[t]) + model.places[t] for t in visible])
    encoded = model.encoder(tokens[None])[0]
    codes = []
    for row in encoded:
        unit = ((model.hash(model.head(row)) + 1) / 2).clamp(0, 1)
        codes.append(2 * unit.round() - 1)
    tokens = [
        model.decoder_project.weight @ code + model.decoder_places[t]
        for code, t in zip(codes, visible, strict=True)
    ]
    tokens += [model.mask_token + model.decoder_places[t] for t in hidden]
    decoded = model.decoder(torch.stack(tokens)[None])[0]
    error = sum(
        (model.reconstruct(decoded[len(visible) + k]) - clip[t]).square().sum()
        for k, t in enumerate(hidden)
    )
    return [sum(codes) / len(codes), error]


def slow_debiased(first: list[Tensor], second: list[Tensor], t: float, tau: float) -> float:
    views = [code / code.norm() for code in first + second]
    count, total = len(first), 0.0
    for i, anchor in enumerate(views):
        partner = (i + count) % (2 * count)
        pos = math.exp(float(anchor @ views[partner]) / t)
        others = sum(
            math.exp(float(anchor @ other) / t)
            for j, other in enumerate(views)
            if j not in (i, partner)
        )
        negatives = 2 * count - 2
        ng = max((others - tau * negatives * pos) / (1 - tau), negatives * math.exp(-1 / t))
        total -= math.log(pos / (pos + ng))
    return total / len(views)


def test_loss_parts_against_a_slow_twin(store: FeatureStore) -> None:
    model = build()
    features, permutation = drawn(model, store)
    parts = model.losses(features, permutation)
    codes: tuple[list[Tensor], list[Tensor]] = ([], [])
    errors = [0.0, 0.0]
    with torch.no_grad():
        for clip, order in zip(features, permutation.tolist(), strict=True):
            for view, (visible, hidden) in enumerate(
                [(order[:2], order[2:]), (order[6:], order[:6])]
            ):
                code, error = slow_view(model, clip, visible, hidden)
                codes[view].append(code)
                errors[view] += float(error) / (4 * 6 * WIDTH)
    contrastive = slow_debiased(*codes, t=0.5, tau=0.1)
    assert parts["reconstruction"].item() == pytest.approx(sum(errors), rel=1e-4)
    assert parts["contrastive"].item() == pytest.approx(contrastive, rel=1e-4)
    assert parts["loss"].item() == pytest.approx(sum(errors) + 0.7 * contrastive, rel=1e-4)
    assert list(parts) == ["loss", "reconstruction", "contrastive"]


def test_encode_is_the_mean_code_of_all_frames(store: FeatureStore) -> None:
    model = build().eval()
    features, permutation = drawn(model, store)
    codes = model.encode(features)
    assert codes.shape == (4, BITS)
    for clip, got in zip(features, codes, strict=True):
        expected, _ = slow_view(model, clip, list(range(8)), [0])
        torch.testing.assert_close(got, expected)
    # Each frame takes its position along, so the order in which they are given is no matter.
    frames = take(features, permutation)
    shuffled = model._frame_codes(frames, model.places[permutation]).mean(dim=1)
    torch.testing.assert_close(shuffled, codes)
    changed = features.clone()
    changed[:, -1] += 3
    assert not torch.equal(model.encode(changed), codes)


def test_published_sizes() -> None:
    model = build(
        4096,
        64,
        frames=25,
        encoder={"width": 256, "depth": 12, "heads": 6},
        decoder={"width": 192, "depth": 2, "heads": 3},
    )

    def block(width: int, inner: int) -> int:
        attention = width * 3 * inner + 3 * inner + inner * width + width
        return attention + 8 * width * width + 5 * width + 4 * width

    encoder = 12 * block(256, 252) + 2 * 256
    decoder = 2 * block(192, 192) + 2 * 192
    projections = (4096 * 256 + 256) + (256 * 256 + 256) + 192 * 64 + (192 * 4096 + 4096)
    hashing = 256 * 64 + 64 + 2 * 64
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == encoder + decoder + projections + hashing + 192
    assert model.decoder_project.bias is None
    assert model.encoder.blocks[0].attention.heads == 6
    assert model.decoder.blocks[0].attention.heads == 3


def test_initial_weights_are_those_of_the_released_code() -> None:
    """Xavier's bound is √(6 / (in + out)), PyTorch's default 1 / √in."""
    model = build(40, 16)
    for name, layer in model.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        inside, outside = layer.in_features, layer.out_features
        default = name in ("hash.linear", "decoder_project")
        bound = inside**-0.5 if default else (6 / (inside + outside)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound, name
        if layer.bias is not None:
            assert layer.bias.any() == default, name
    assert 0 < model.mask_token.abs().max() < 0.1


def test_a_few_steps_train_every_parameter(store: FeatureStore) -> None:
    model = build()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_ratio": 0.1}, "methods.conmh: mask_ratio 0.1 of 8 frames masks none$"),
        ({"mask_ratio": 0.0}, "methods.conmh.mask_ratio: .*greater than 0"),
        ({"mask_ratio": 1.0}, "methods.conmh.mask_ratio: .*less than 1"),
        ({"frames": 1}, "methods.conmh: mask_ratio 0.75 of 1 frames masks none$"),
        ({"tau_plus": 1.0}, "methods.conmh.tau_plus: .*less than 1"),
        ({"decoder": {"heads": 9}}, "methods.conmh.decoder: 9 heads don't fit in width 8$"),
        ({"training": None}, "methods.conmh.training: "),
    ],
)
def test_bad_parameters(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(**change)

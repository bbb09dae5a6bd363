import numpy as np
import pytest
import torch
from torch import Tensor

from chain.core.errors import InputError
from chain.core.params import parse
from chain.views.stand_in import KINDS, StandInConfig, disturb


def views(count: int = 64, frames: int = 3, width: int = 50) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.5, 5, width)
    return 2 + spread * torch.randn(count, frames, width, generator=generator)


def moved(kind: str, strength: float, features: Tensor, seed: int = 0) -> Tensor:
    config = StandInConfig(kind=kind, strength=strength)
    return disturb(features.clone(), config, np.random.default_rng(seed))


def test_dropout_keeps_the_expectation_and_the_same_channels_in_all_frames() -> None:
    features = views()
    found = moved("dropout", 0.25, features)
    kept = found != 0
    assert (kept == kept[:, :1]).all()
    assert torch.allclose(found[kept], features[kept] / 0.75)
    assert abs(float(kept.float().mean()) - 0.75) < 0.02


def test_noise_is_one_draw_a_view_as_wide_as_its_channel() -> None:
    features = views(count=2000)
    noise = moved("noise", 0.5, features) - features
    assert torch.allclose(noise, noise[:, :1].expand_as(noise), atol=1e-5)
    ratio = noise[:, 0].std(dim=0) / features.flatten(0, 1).std(dim=0)
    assert torch.allclose(ratio, torch.full_like(ratio, 0.5), atol=0.05)


def test_mixing_goes_towards_another_mean_by_hand() -> None:
    features = torch.tensor([[[0.0], [2.0]], [[5.0], [5.0]]])
    shares = set()
    for seed in range(20):
        found = moved("mix", 0.5, features, seed)
        share = (found[0, 0, 0] - features[0, 0, 0]) / 5  # towards the second clip, if at all
        if share > 0.2:  # not mixed with itself, whose mean is 1
            shares.add(round(float(share), 4))
            assert torch.allclose(found[0], torch.lerp(features[0], torch.tensor(5.0), share))
    assert shares and max(shares) <= 0.5


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_strength_no_change_and_a_seed_decides(kind: str) -> None:
    features = views()
    assert torch.allclose(moved(kind, 0, features), features)
    assert torch.equal(moved(kind, 0.5, features, 3), moved(kind, 0.5, features, 3))
    assert not torch.equal(moved(kind, 0.5, features, 3), moved(kind, 0.5, features, 4))
    config = StandInConfig(kind=kind, strength=0.5)
    assert disturb(features, config, np.random.default_rng(0)) is features


@pytest.mark.parametrize(("key", "value"), [("kind", "blur"), ("strength", 1.0), ("strength", -1)])
def test_bad_parameters(key: str, value: object) -> None:
    good = {"kind": "noise", "strength": 0.5}
    with pytest.raises(InputError, match=f"stand_in.{key}"):
        parse(StandInConfig, good | {key: value}, "stand_in")

import pytest
import torch

from chain.core.errors import InputError
from chain.core.params import parse
from chain.models.encoders import EncoderConfig, TemporalEncoder
from chain.models.mc_mlp import MCMLP
from chain.models.positions import sinusoid

KINDS = ["transformer", "lstm", "mc_mlp"]


def encoder(kind: str, frames: int = 6, depth: int = 2, dropout: float = 0.0) -> TemporalEncoder:
    torch.manual_seed(0)
    config = EncoderConfig(kind=kind, width=16, depth=depth, heads=2, dropout=dropout)
    return TemporalEncoder(config, feature_width=10, frames=frames).eval()


@pytest.mark.parametrize("frames", [1, 2, 6, 25])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_in_and_representations_out(kind: str, frames: int) -> None:
    hidden = encoder(kind, frames)(torch.randn(3, frames, 10))
    assert hidden.shape == (3, frames, 16) and hidden.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_clips_do_not_mix_and_frames_do(kind: str) -> None:
    network, features = encoder(kind), torch.randn(3, 6, 10)
    hidden = network(features)
    torch.testing.assert_close(network(features[1:2])[0], hidden[1])
    changed = features.clone()
    changed[1, 4] += 1.0
    difference = (network(changed) - hidden).abs().amax(dim=2)
    assert (difference[1] > 1e-6).all() and not difference[[0, 2]].any()


def test_without_positions_the_transformer_can_not_tell_the_order() -> None:
    network, features = encoder("transformer"), torch.randn(4, 6, 10)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    hidden = network(features, ordered=False)
    shuffled = network(features[:, order], ordered=False)
    torch.testing.assert_close(shuffled, hidden[:, order], atol=1e-5, rtol=0)
    with_places = network(features[:, order])
    assert (with_places - network(features)[:, order]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["lstm", "mc_mlp"])
def test_the_others_know_the_order_by_construction(kind: str) -> None:
    network, features = encoder(kind), torch.randn(4, 6, 10)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = network(features[:, order])
    assert (shuffled - network(features)[:, order]).abs().max() > 0.01
    assert torch.equal(network(features, ordered=False), network(features))


def test_positions_are_added_to_the_projected_frames() -> None:
    network, features = encoder("transformer"), torch.randn(2, 6, 10)
    tokens = network.project(features) + sinusoid(6, 16)
    torch.testing.assert_close(network(features), network.mix(tokens))
    assert "places" not in network.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_on_the_features_in_training_only(kind: str) -> None:
    network, features = encoder(kind, dropout=0.5), torch.randn(2, 6, 10)
    assert torch.equal(network(features), network(features))
    network.dropout.train()
    torch.manual_seed(1)
    first = network(features)
    torch.manual_seed(1)
    assert torch.equal(network(features), first)
    assert not torch.equal(network(features), first)


def test_mc_mlp_is_the_mixer_of_mcmsh() -> None:
    network, features = encoder("mc_mlp", depth=1), torch.randn(2, 6, 10)
    assert isinstance(network.mix, MCMLP)
    assert len(network.mix.blocks) == 1
    torch.testing.assert_close(network(features), network.mix(network.project(features)))
    gate = network.mix.gates.long.gate.bottleneck[0].weight
    assert gate.std().item() == pytest.approx(
        0.001, rel=0.5
    )  # its own initialisation, not Xavier's


def test_width_that_makes_no_groups() -> None:
    size = {"width": 34, "depth": 1, "heads": 2, "dropout": 0.0}
    parse(EncoderConfig, size | {"kind": "lstm"}, "encoder")
    with pytest.raises(InputError, match="encoder: width 50 does not make 3 groups; take a multi"):
        parse(EncoderConfig, size | {"kind": "mc_mlp", "width": 50}, "encoder")

"""MCMSH against numbers that the authors' code computed."""

import pytest
import torch
from golden_numbers import agree, golden
from small_methods import small_store, training, without_dropout
from torch import Tensor

from chain.methods.mcmsh import MCMSH, MCMSHConfig
from chain.models.hash_layer import sign

GOLDEN = golden("mcmsh")
TERMS = ["cluster", "similarity", "quantisation", "quadruplet"]
OURS = {  # beginning of an official name -> ours
    "binary": "hash",
    "mc_mlp.preproj": "project",
    "mc_mlp.token_mixer.mlp.fc1": "mixer.blocks.0.tokens.0",
    "mc_mlp.token_mixer.mlp.fc2": "mixer.blocks.0.tokens.3",
    "mc_mlp.channel_mixer.mlp.fc1": "mixer.blocks.0.channels.0",
    "mc_mlp.channel_mixer.mlp.fc2": "mixer.blocks.0.channels.3",
}
GATES = {
    "mc_mlp.token_mixer": "mixer.blocks.0.token_gates",
    "mc_mlp.channel_mixer": "mixer.blocks.0.channel_gates",
    "mc_mlp": "mixer.gates",
}
KINDS = {
    "lrd": ("long", "gate.bottleneck"),
    "mrd": ("middle", "gate.1"),
    "srd": ("short", "gate"),
}
LAYERS = {"conv": 0, "bn1": 1, "deconv": 3, "bn2": 4}
for official, ours in GATES.items():
    for kind, (name, bottleneck) in KINDS.items():
        for mix in ("fc1", "fc2"):
            OURS[f"{official}.{kind}.{mix}"] = f"{ours}.{name}.{mix}"
        for layer, place in LAYERS.items():
            OURS[f"{official}.{kind}.{layer}"] = f"{ours}.{name}.{bottleneck}.{place}"


def ours_of(official: str) -> str:
    module, _, parameter = official.rpartition(".")
    return f"{OURS[module]}.{parameter}"


@pytest.fixture
def model() -> MCMSH:
    """With the authors' weights, in their fourth epoch and without dropout."""
    weights = {"cluster": 0.8, "similarity": 0.1, "quantisation": 0.01, "quadruplet": 0.01}
    config = MCMSHConfig(frames=8, width=64, clusters=5, weights=weights, training=training())
    model = MCMSH(config, 32, 16)
    state = model.state_dict()
    names = [key.removeprefix("weights.") for key in GOLDEN if key.startswith("weights.")]
    for name in names:  # fc1 and fc2 are convolutions of length 1 there
        state[ours_of(name)] = GOLDEN[f"weights.{name}"].reshape(state[ours_of(name)].shape)
    counters = sum(name.endswith("num_batches_tracked") for name in state)
    assert len(names) == len(state) - counters - 1  # the slope
    model.load_state_dict(state)
    model.start_epoch(int(GOLDEN["input.epoch"]), small_store())
    without_dropout(model)
    return model.eval()


def seen() -> Tensor:
    """(20, 8, 32): clips, partners, similar, first and second dissimilar ones."""
    pair, triple = GOLDEN["input.pair"].chunk(2, dim=1), GOLDEN["input.triple"].chunk(3, dim=1)
    return torch.cat([*pair, *triple])


def terms(model: MCMSH) -> dict[str, Tensor]:
    centres = torch.cat([GOLDEN["input.centre_1"], GOLDEN["input.centre_2"]])
    return model.terms(seen(), GOLDEN["input.is_similar"], centres)


def gradients(model: MCMSH, loss: Tensor) -> dict[str, Tensor]:
    parameters = [model.project.weight, model.hash.weight]
    found = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return dict(zip(["mc_mlp.preproj.weight", "binary.weight"], found, strict=True))


def test_hidden_states_and_codes(model: MCMSH) -> None:
    clips = seen()
    agree(model.mixer(model.project(clips[:4])), GOLDEN["output.view1.hidden"])
    kinds = ["view1", "view2", "similar", "dissimilar1", "dissimilar2"]
    for kind, code in zip(kinds, model.encode(clips).chunk(5), strict=True):
        agree(code, GOLDEN[f"output.{kind}.soft_code"])
        if kind.startswith("view"):
            assert torch.equal(sign(code), GOLDEN[f"output.{kind}.binary_code"])


def test_codes_of_their_stand_alone_evaluation(model: MCMSH) -> None:
    model.slope.fill_(1.0)
    codes = model.encode(seen()[:4])
    agree(codes, GOLDEN["output.view1.soft_code_alpha1"])
    assert torch.equal(sign(codes), GOLDEN["output.view1.video_code_alpha1"])


def test_losses_and_gradients(model: MCMSH) -> None:
    found = terms(model)
    for name in TERMS:
        agree(found[name], GOLDEN[f"output.loss.{name}"])
    agree(found["loss"], GOLDEN["output.loss.total"])
    for name, gradient in gradients(model, found["loss"]).items():
        agree(gradient, GOLDEN[f"output.grad.{name}"])


@pytest.mark.parametrize("term", TERMS)
def test_gradient_of_each_term(model: MCMSH, term: str) -> None:
    held = 0
    for name, gradient in gradients(model, terms(model)[term]).items():
        expected = GOLDEN.get(f"output.{term}_only.grad.{name}")
        if expected is not None:
            agree(gradient, expected)
            held += 1
    assert held
    if term == "quantisation":  # the sign passes it on, so that it cancels
        assert not any(gradient.any() for gradient in gradients(model, terms(model)[term]).values())


def test_batch_statistics(model: MCMSH) -> None:
    """Five passes, each with its own; those of four clips amplify rounding in the gradient."""
    found = terms(model.train())
    for name in TERMS:
        agree(found[name], GOLDEN[f"output.batch_statistics.loss.{name}"])
    agree(found["loss"], GOLDEN["output.batch_statistics.loss.total"])
    for name, gradient in gradients(model, found["loss"]).items():
        agree(gradient, GOLDEN[f"output.batch_statistics.grad.{name}"], share=2e-4)
    after = "output.batch_statistics.after."
    running = [key.removeprefix(after) for key in GOLDEN if key.startswith(after)]
    assert len(running) == 12
    for name in running:
        agree(model.state_dict()[ours_of(name)], GOLDEN[after + name])

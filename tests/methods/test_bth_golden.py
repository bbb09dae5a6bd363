"""BTH against numbers that the authors' code computed."""

import pytest
import torch
from golden_numbers import agree, golden
from small_methods import training
from torch import Tensor

from chain.methods.bth import BTH, BTHConfig
from chain.models.hash_layer import sign

GOLDEN = golden("bth")
BLOCK = "bert.transformer_blocks.0."
OURS = {  # official module -> ours
    "bert.embedding.frame_map": "project",
    BLOCK + "input_sublayer.norm": "block.norm1",
    BLOCK + "attention.linear_layers.0": "block.query",
    BLOCK + "attention.linear_layers.1": "block.key",
    BLOCK + "attention.linear_layers.2": "block.value",
    BLOCK + "attention.output_linear": "block.out",
    BLOCK + "output_sublayer.norm": "block.norm2",
    BLOCK + "feed_forward.w_1": "block.mlp.0",
    BLOCK + "feed_forward.w_2": "block.mlp.3",
    "binary": "hash",
    "restore": "decoder",
}
PARAMETER = {"weight": "weight", "bias": "bias", "a_2": "weight", "b_2": "bias"}
POSITIONS = "bert.embedding.position.pe"


@pytest.fixture(scope="module")
def model() -> BTH:
    """With the authors' weights; clean and corrupted clips are the inputs of the tests."""
    weights = {"reconstruction": 0.92, "neighbourhood": 0.08, "anchor": 0.8}
    config = BTHConfig(
        frames=8,
        width=32,
        dropout=0.1,
        pretrain_epochs=1,
        anchors=5,
        weights=weights,
        training=training(epochs=2),
    )
    model = BTH(config, 32, 16).eval()
    state = model.state_dict()
    names = [key.removeprefix("weights.") for key in GOLDEN if key.startswith("weights.")]
    names.remove(POSITIONS)
    for name in names:
        module, _, parameter = name.rpartition(".")
        state[f"{OURS[module]}.{PARAMETER[parameter]}"] = GOLDEN[f"weights.{name}"]
    assert len(names) == len(list(model.parameters()))
    model.load_state_dict(state)
    return model


def clips(kind: str) -> Tensor:
    """(8, 8, 32): the four first clips of the pairs, then the four second ones."""
    return torch.cat(GOLDEN[f"input.{kind}"].chunk(2, dim=1))


def parts(model: BTH, target: Tensor, pairs: bool = True) -> dict[str, Tensor]:
    anchors = torch.cat([GOLDEN["input.anchor_1"], GOLDEN["input.anchor_2"]])
    given = (GOLDEN["input.is_similar"], anchors) if pairs else ()
    return model.tasks(clips("corrupted"), target, *given)


def gradients(model: BTH, loss: Tensor) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, [model.project.weight, model.hash.weight])
    return dict(zip(["bert.embedding.frame_map.weight", "binary.weight"], found, strict=True))


def test_positions(model: BTH) -> None:
    agree(model.places, GOLDEN[f"weights.{POSITIONS}"][0])


def test_clean_clips(model: BTH) -> None:
    hidden = model._hidden(clips("clean")[:4])
    agree(hidden, GOLDEN["output.clean.hidden"])
    agree(hidden.mean(dim=1), GOLDEN["output.clean.mean_hidden"])
    before = model.hash(hidden)
    agree(before, GOLDEN["output.clean.frame_code_before_sign"])
    agree(sign(before), GOLDEN["output.clean.frame_code"])
    agree(model.decoder(sign(before)), GOLDEN["output.clean.reconstruction"])


def test_codes_but_for_the_sign_of_zero(model: BTH) -> None:
    codes = model.encode(clips("clean")[:4])
    agree(codes, GOLDEN["output.clean.mean_code"])
    released = GOLDEN["output.clean.video_code"]
    assert (released == 0).any()  # theirs are ternary there, ours is +1
    assert torch.equal(sign(codes), torch.where(released == 0, 1.0, released))


@pytest.mark.parametrize("view", [1, 2])
def test_corrupted_clips(model: BTH, view: int) -> None:
    hidden = model._hidden(clips("corrupted").chunk(2)[view - 1])
    agree(hidden, GOLDEN[f"output.view{view}.hidden"])
    codes = sign(model.hash(hidden))
    agree(codes.mean(dim=1), GOLDEN[f"output.view{view}.mean_code"])
    agree(model.decoder(codes), GOLDEN[f"output.view{view}.reconstruction"])


def test_losses_and_gradients_with_the_released_target(model: BTH) -> None:
    found = parts(model, clips("corrupted"))
    for name in ("reconstruction", "neighbourhood", "anchor"):
        agree(found[name], GOLDEN[f"output.loss.{name}"])
    agree(found["loss"], GOLDEN["output.loss.total"])
    for name, gradient in gradients(model, found["loss"]).items():
        agree(gradient, GOLDEN[f"output.grad.{name}"])


def test_first_phase(model: BTH) -> None:
    found = parts(model, clips("corrupted"), pairs=False)
    agree(found["loss"], 0.92 * GOLDEN["output.loss.reconstruction"])
    for name, gradient in gradients(model, found["reconstruction"]).items():
        agree(gradient, GOLDEN[f"output.pretraining.grad.{name}"])


def test_losses_and_gradients_with_the_clean_target(model: BTH) -> None:
    """The one that we train with."""
    found = parts(model, clips("clean"))
    agree(found["reconstruction"], GOLDEN["output.clean_target.loss.reconstruction"])
    agree(found["loss"], GOLDEN["output.clean_target.loss.total"])
    for name, gradient in gradients(model, found["loss"]).items():
        agree(gradient, GOLDEN[f"output.clean_target.grad.{name}"])

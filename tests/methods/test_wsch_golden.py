"""WSCH against numbers that the authors' code computed.

`golden/wsch.npz` holds the inputs, the outputs and the small weights. The matrices were drawn from
a normal distribution with torch's generator, seeded by `input.seed`, and divided by the root of the
number of their inputs. So they are drawn again here, and their first entries are compared with
those that were used.
"""

import pytest
import torch
from golden_numbers import agree, golden
from small_methods import training
from torch import Tensor

from chain.losses.nearest_centre import nearest_centre
from chain.methods.wsch import WSCH, WSCHConfig
from chain.models.hash_layer import sign
from chain.views.two_views import take, two_views

GOLDEN = golden("wsch")
ATTENTION = {f"linear_{name}.weight": (128, 128) for name in ("q", "k", "v", "output")}
SHAPES: dict[str, tuple[int, ...]] = {  # of the authors' parameters, in the order of their drawing
    "En.Norm.weight": (32,),
    "En.Norm.bias": (32,),
    "En.Norm1.weight": (128,),
    "En.in_proj.weight": (128, 32),
    "En.expand_proj.weight": (512, 128),
    "En.conv.weight": (256, 2, 4),
    "En.ssm.dt_bias": (2,),
    "En.ssm.A_log": (2,),
    "En.ssm.D": (2,),
    "En.ssm.x_proj.weight": (130, 256),
    "En.out_proj.weight": (128, 256),
    "En.out_proj.bias": (128,),
    "En.norm1.weight": (128,),
    "En.norm1.bias": (128,),
    **{f"En.att1.{name}": shape for name, shape in ATTENTION.items()},
    "En.att1.linear_output.bias": (128,),
    "De.mask_token": (1, 1, 16),
    "De.encoder_to_decoder.weight": (96, 16),
    "De.norm.weight": (96,),
    "De.norm.bias": (96,),
    **{f"De.att.{name}": (96, 96) for name in ATTENTION},
    "De.att.linear_output.bias": (96,),
    "De.out_proj.weight": (32, 96),
    "De.out_proj.bias": (32,),
    "hash.linear.weight": (16, 128),
    "hash.linear.bias": (16,),
    "hash.ln.weight": (16,),
    "hash.ln.bias": (16,),
}
OURS = {  # our parameter -> the authors', but for query, key and value
    "mask_token": "De.mask_token",
    "centres": "cluster_centers",
    "project.0.weight": "En.Norm.weight",
    "project.0.bias": "En.Norm.bias",
    "project.1.weight": "En.in_proj.weight",
    "encoder.0.step_bias": "En.ssm.dt_bias",
    "encoder.0.log_rate": "En.ssm.A_log",
    "encoder.0.skip": "En.ssm.D",
    "encoder.0.norm.weight": "En.Norm1.weight",
    "encoder.0.expand.weight": "En.expand_proj.weight",
    "encoder.0.convolution.weight": "En.conv.weight",
    "encoder.0.read.weight": "En.ssm.x_proj.weight",
    "encoder.0.out.weight": "En.out_proj.weight",
    "encoder.0.out.bias": "En.out_proj.bias",
    "encoder.1.norm.weight": "En.norm1.weight",
    "encoder.1.norm.bias": "En.norm1.bias",
    "encoder.1.attention.out.weight": "En.att1.linear_output.weight",
    "encoder.1.attention.out.bias": "En.att1.linear_output.bias",
    "hash.linear.weight": "hash.linear.weight",
    "hash.linear.bias": "hash.linear.bias",
    "hash.norm.weight": "hash.ln.weight",
    "hash.norm.bias": "hash.ln.bias",
    "decoder.0.weight": "De.encoder_to_decoder.weight",
    "decoder.1.norm.weight": "De.norm.weight",
    "decoder.1.norm.bias": "De.norm.bias",
    "decoder.1.attention.out.weight": "De.att.linear_output.weight",
    "decoder.1.attention.out.bias": "De.att.linear_output.bias",
    "decoder.2.weight": "De.out_proj.weight",
    "decoder.2.bias": "De.out_proj.bias",
}
QKV = {"encoder.1.attention.qkv.weight": "En.att1", "decoder.1.attention.qkv.weight": "De.att"}
WATCHED = {
    "En.in_proj.weight": "project.1.weight",
    "hash.linear.weight": "hash.linear.weight",
    "De.encoder_to_decoder.weight": "decoder.0.weight",
    "De.mask_token": "mask_token",
}
TASKS = [(1, None), (2, "cluster"), (2, "contrastive")]


def official_weights() -> dict[str, Tensor]:
    """The weights that the authors' code was given, by its own names."""
    generator = torch.Generator().manual_seed(int(GOLDEN["input.seed"]))
    weights = {"cluster_centers": GOLDEN["weights.cluster_centers"]}
    for name, shape in SHAPES.items():
        draw = torch.rand if name == "En.ssm.A_log" else torch.randn
        drawn = draw(shape, generator=generator)
        if f"weights.{name}" in GOLDEN:
            weights[name] = GOLDEN[f"weights.{name}"]
        else:
            weights[name] = drawn / drawn[0].numel() ** 0.5
            agree(weights[name].flatten()[:8], GOLDEN[f"begins.{name}"], 1e-6)
    return weights


@pytest.fixture(scope="module")
def model() -> WSCH:
    config = WSCHConfig.model_validate(
        {
            "frames": 10,
            "encoder": {"width": 128, "heads": 4},
            "decoder": {"width": 96, "heads": 4},
            "first_mask_ratio": 0.9,
            "second_mask_ratio": 0.6,
            "warmup_epochs": 1,
            "clusters": 7,
            "cluster_temperature": 0.2,
            "temperature": 0.5,
            "tau_plus": 0.1,
            "weights": {"cluster": 0.02, "contrastive": 1.0},
            "training": training(epochs=3),
        }
    )
    model, official = WSCH(config, 32, 16), official_weights()
    state = {ours: official[theirs] for ours, theirs in OURS.items()}
    state["mask_token"] = state["mask_token"].flatten()
    for ours, theirs in QKV.items():
        state[ours] = torch.cat([official[f"{theirs}.linear_{name}.weight"] for name in "qkv"])
    model.load_state_dict(state)
    return model


def at(model: WSCH, stage: int, task: str | None) -> Tensor:
    """Bring the model to a stage and a task; the permutation of that stage."""
    ratio = model.config.second_mask_ratio if stage == 2 else model.config.first_mask_ratio
    model.masked_frames, model.task = int(ratio * 10), task
    return GOLDEN[f"input.permutation_stage{stage}"]


def gradients(model: WSCH, loss: Tensor) -> dict[str, Tensor]:
    watched = [model.get_parameter(name) for name in WATCHED.values()]
    found = torch.autograd.grad(loss, watched, allow_unused=True)
    return dict(zip(WATCHED, found, strict=True))


@torch.no_grad()
def test_all_frames(model: WSCH) -> None:
    features = GOLDEN["input.features"]
    hidden = model.encoder(model.project(features))
    agree(hidden, GOLDEN["output.all_frames.hidden"])
    agree(model.hash(hidden), GOLDEN["output.all_frames.frame_code_before_sign"])
    unit = torch.nn.functional.normalize(model.encode(features), dim=1)
    agree(unit, GOLDEN["output.all_frames.mean_code_unit"])


@torch.no_grad()
@pytest.mark.parametrize("stage", [1, 2])
def test_views(model: WSCH, stage: int) -> None:
    features, permutation = GOLDEN["input.features"], at(model, stage, None)
    views = two_views(permutation, model.masked_frames)
    for number, (visible, _) in enumerate(views, start=1):
        prefix = f"output.stage{stage}.view{number}."
        states = model.encoder(model.project(take(features, visible)))
        agree(states, GOLDEN[prefix + "hidden"])
        agree(model.hash(states), GOLDEN[prefix + "frame_code_before_sign"])
        codes = sign(model.hash(states))
        assert torch.equal(codes, GOLDEN[prefix + "frame_code"])
        tokens = torch.cat([model.mask_token.expand(len(codes), 1, -1), codes], dim=1)
        decoded = model.decoder(tokens, model.masked_frames)
        every = decoded.expand(-1, model.masked_frames, -1)  # one for all masked frames
        agree(every, GOLDEN[prefix + "reconstruction"])


@pytest.mark.parametrize(("stage", "task"), TASKS)
def test_losses_and_gradients(model: WSCH, stage: int, task: str | None) -> None:
    permutation = at(model, stage, task)
    parts = model.losses(GOLDEN["input.features"], permutation)
    prefix = f"output.stage{stage}."
    agree(parts["reconstruction"], GOLDEN[prefix + "loss.reconstruction"])
    if task:
        agree(parts[task], GOLDEN[prefix + f"loss.{task}"])
        agree(parts["loss"], GOLDEN[prefix + f"loss.total_{task}_pass"])
        prefix += f"{task}_pass."
    for name, gradient in gradients(model, parts["loss"]).items():
        expected = GOLDEN[f"{prefix}grad.{name}"]
        agree(gradient, expected.view_as(gradient))


@pytest.mark.parametrize("task", ["cluster", "contrastive"])
def test_gradients_of_one_term(model: WSCH, task: str) -> None:
    parts = model.losses(GOLDEN["input.features"], at(model, 2, task))
    found = gradients(model, parts[task])
    for name in ("En.in_proj.weight", "hash.linear.weight"):
        agree(found[name], GOLDEN[f"output.stage2.{task}_only.grad.{name}"])
    assert found["De.mask_token"] is None


def test_cluster_term_of_each_view(model: WSCH) -> None:
    for view in (1, 2):
        code = GOLDEN[f"output.stage2.view{view}.mean_code_unit"]
        term = nearest_centre(code, model.centres, 0.2)
        agree(term, GOLDEN[f"output.stage2.loss.cluster_view{view}"])


def test_other_weights_do_not_agree(model: WSCH) -> None:
    """The numbers see the taps of the convolution, the decay of the state and the gate."""
    features = GOLDEN["input.features"]
    for name in ("convolution.weight", "log_rate", "expand.weight"):
        changed = WSCH(model.config, 32, 16)
        changed.load_state_dict(model.state_dict())
        with torch.no_grad():
            parameter = changed.encoder[0].get_parameter(name)
            parameter.copy_(parameter.flip(0))
            hidden = changed.encoder(changed.project(features))
        with pytest.raises(AssertionError):
            agree(hidden, GOLDEN["output.all_frames.hidden"])

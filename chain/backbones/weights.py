"""A backbone's weights, by name, from a file or from a URL, and the input that they expect."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
import torchvision
from torch import Tensor, nn

from chain.backbones import efficientnet_lite, open_clip
from chain.backbones.networks import (
    PRETRAIN,
    BackboneConfig,
    DeclaredBackbone,
    build,
    origin,
    weight_names,
)
from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.manifest import file_sha256
from chain.downloads.fetch import fetch

IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TRANSFORMERS = (open_clip.PREFIX, "vit_", "maxvit_")
"""Networks whose names begin with these embed the positions of one input size."""


def backbone_config(tree: Any, key: str, file: str | Path = "params.yaml") -> BackboneConfig:
    """Check and complete the parameters `tree`, which stand at `key` of `file`."""
    return resolve(parse(DeclaredBackbone, tree, key, file), key, file)


def resolve(
    declared: DeclaredBackbone, key: str, file: str | Path = "params.yaml"
) -> BackboneConfig:
    """Complete size, mean and std from what named weights say of themselves; nothing is loaded.

    Weights that are learned here have ImageNet's mean and std, unless others are given. The size
    may be any, except for networks that embed positions. Raises InputError, with the file and the
    parameter below `key`, if a value is missing that the weights do not tell, or differs from what
    they tell.
    """
    source = origin(declared)
    positions = declared.name.startswith(TRANSFORMERS)
    if positions and source == "pretrain":
        raise InputError(f"{file}: {key}.weights: {PRETRAIN!r} is for convolutional networks")
    if declared.sha256 and source in ("pretrain", "name"):
        raise InputError(f"{file}: {key}.sha256: only for weights from a file or a URL")
    own = known_input(declared)
    given = {name: getattr(declared, name) for name in ("size", "mean", "std")}
    for name, value in given.items():
        place = f"{file}: {key}.{name}"
        if value is None and name not in own:
            raise InputError(f"{place}: missing; only weights with a name say what they expect")
        fixed = name in own and source != "pretrain" and (positions or name != "size")
        if value is not None and fixed and value != own[name]:
            raise InputError(f"{place}: {value}, but the weights expect {own[name]} (or leave out)")
        given[name] = own[name] if value is None else value
    return BackboneConfig(**declared.model_dump() | given)


def known_input(config: DeclaredBackbone) -> dict[str, Any]:
    """Return what is known of `size`, `mean` and `std` without loading anything."""
    source = origin(config)
    named = source == "name"
    if config.name.startswith(open_clip.PREFIX):
        own = {"size": open_clip.model_config(config.name)["vision_cfg"]["image_size"]}
        expected = open_clip.pretrained_config(config.name, config.weights) if named else {}
        return own | {name: list(expected[name]) for name in ("mean", "std") if named}
    if not named:
        return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD} if source == "pretrain" else {}
    if size := efficientnet_lite.SIZES.get(config.name):
        return {"size": size, "mean": efficientnet_lite.MEAN, "std": efficientnet_lite.STD}
    expected = torchvision.models.get_model_weights(config.name)[config.weights].transforms()
    return {
        "size": expected.crop_size[0],
        "mean": list(expected.mean),
        "std": list(expected.std),
    }


def check_source(config: DeclaredBackbone, key: str) -> None:
    """Raise InputError if `config.weights` is neither a name nor a file that is there.

    The package that named weights of EfficientNet-Lite come with has to be installed.
    """
    if origin(config) == "name" and config.name in efficientnet_lite.SIZES:
        efficientnet_lite.weights_file(config.name)
    if origin(config) == "file" and not Path(config.weights).is_file():
        raise InputError(
            f"{key}.weights: {config.weights!r} is neither a file nor weights of {config.name} "
            f"({', '.join(weight_names(config.name))}); {_choices(config)}"
        )


def load_weights(config: BackboneConfig) -> dict[str, Tensor]:
    """Load the state dict of `config.weights` for the network that `build` gives.

    A file may hold more than that, such as a classifier of any width or the whole CLIP. Pickled
    code is never run (`weights_only=True`). Raises InputError if

    * the name is unknown, or the file is missing or can't be downloaded;
    * the file has another hash;
    * it is not a state dict of this backbone, or holds weights that are not finite.
    """
    check_source(config, "backbone")
    state = _state(config)
    try:
        network = build(config)
        network.load_state_dict(_part(state, config.name, network))
    except (AssertionError, AttributeError, RuntimeError, TypeError) as error:
        raise InputError(
            f"{config.weights}: not weights of {config.name}: {_line(error)}"
        ) from None
    if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
        raise InputError(f"{config.weights}: some weights of {config.name} are no numbers")
    return network.state_dict()


def _part(state: dict[str, Tensor], name: str, network: nn.Module) -> dict[str, Tensor]:
    """Leave out what belongs to CLIP's text branch, or to the classifier."""
    if name.startswith(open_clip.PREFIX):
        branch = {
            key.removeprefix(open_clip.BRANCH): tensor
            for key, tensor in state.items()
            if key.startswith(open_clip.BRANCH)
        }
        return branch or state
    cut = {key for key, layer in network.named_modules() if isinstance(layer, nn.Identity)}
    return {key: tensor for key, tensor in state.items() if key.rpartition(".")[0] not in cut}


def _state(config: BackboneConfig) -> dict[str, Tensor]:
    named = origin(config) == "name"
    if named and config.name in efficientnet_lite.SIZES:
        return _read(efficientnet_lite.weights_file(config.name))
    if named and not config.name.startswith(open_clip.PREFIX):
        return _torchvision_state(config)
    return _read(_file(config))


def _torchvision_state(config: BackboneConfig) -> dict[str, Tensor]:
    weights = torchvision.models.get_model_weights(config.name)[config.weights]
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except Exception as error:  # without a network, or if damaged: many types
        raise _no_download(config, error) from None


def _file(config: BackboneConfig) -> Path:
    """Return the file of the weights, downloaded if need be, once its hash is found right."""
    source = origin(config)
    if source == "name":
        try:
            return open_clip.download(config.name, config.weights)
        except Exception as error:  # huggingface_hub and urllib raise many types
            raise _no_download(config, error) from None
    if source == "url":
        assert config.sha256 is not None
        name = f"{config.sha256[:16]}-{Path(urlsplit(config.weights).path).name}"
        path = Path(torch.hub.get_dir(), "checkpoints", name)
        fetch(config.weights, config.sha256, path)
        return path
    path = Path(config.weights)
    if config.sha256:
        found = file_sha256(path)
        if found != config.sha256:
            raise InputError(f"{path}: its SHA-256 is {found}, not backbone.sha256")
    return path


def _read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state-dict file, torch's or, by its suffix, safetensors'."""
    try:
        if path.suffix == ".safetensors":
            return dict(open_clip.library("safetensors.torch").load_file(path))
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except InputError:
        raise
    except Exception as error:  # torch raises many types here
        raise InputError(f"{path}: not a state-dict file of tensors: {_line(error)}") from None


def _no_download(config: BackboneConfig, error: Exception) -> InputError:
    return InputError(
        f"backbone.weights: {config.weights!r} can't be downloaded ({_line(error)}); "
        f"{_choices(config)}"
    )


def _choices(config: DeclaredBackbone) -> str:
    own = "" if config.name.startswith(TRANSFORMERS) else f"{PRETRAIN!r}, "
    return f"use {own}a state-dict file, a URL of one with its sha256, or a name"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

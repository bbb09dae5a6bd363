"""2D CNN backbones: any torchvision classification model, cut at its penultimate layer."""

import logging
from pathlib import Path
from typing import Annotated

import torch
import torchvision
from pydantic import Field, field_validator
from torch import Tensor, nn

from chain.errors import InputError
from chain.params import Parameters

log = logging.getLogger(__name__)

PRETRAIN = "pretrain"
IMAGENET_CLASSES = 1000


class BackboneConfig(Parameters):
    """Which CNN, with which weights, at which input."""

    name: str
    """A torchvision classification model, e.g. `resnet50`."""
    weights: str
    """`pretrain`, a torchvision weights name such as `IMAGENET1K_V2`, or a state-dict file."""
    size: Annotated[int, Field(ge=32)]
    """Side of the square input, pixels."""
    mean: list[float]
    """RGB mean that the weights expect, in [0, 1]."""
    std: list[Annotated[float, Field(gt=0)]]

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise ValueError(f"unknown backbone; torchvision has {', '.join(known)}")
        return name

    @field_validator("mean", "std")
    @classmethod
    def _is_rgb(cls, values: list[float]) -> list[float]:
        if len(values) != 3:
            raise ValueError("expected three numbers, one each for red, green and blue")
        return values


class Backbone(nn.Module):
    """RGB frames (N, 3, H, W) in [0, 1] -> penultimate features (N, F)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)
        self.network = torchvision.models.get_model(config.name, weights=None)
        remove_classifier(self.network)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor) -> Tensor:
        frames = (frames - self.mean) / self.std
        features: Tensor = self.network(frames.contiguous(memory_format=torch.channels_last))
        return features


def remove_classifier(network: nn.Module) -> None:
    """Put the identity in place of the layer, Linear or 1×1 Conv2d, that gives 1,000 scores."""
    for name, layer in reversed(list(network.named_modules())):
        scores = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if isinstance(layer, nn.Linear | nn.Conv2d) and scores == IMAGENET_CLASSES:
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Identity())
            return
    raise InputError(f"{type(network).__name__} has no classification layer to cut off")


def load_weights(config: BackboneConfig) -> dict[str, Tensor]:
    """The state dict of `config.weights` (a torchvision name or a file), classifier left out.

    A file may lack the classifier, as the ones that the pipeline writes do, or have any other.
    InputError if the file is missing, is no state dict of this backbone, or the name is unknown or
    can't be downloaded. Pickled code is never run (`weights_only=True`).
    """
    choices = f"use {PRETRAIN!r}, a state-dict file, or a torchvision weights name"
    path = Path(config.weights)
    if path.is_file():
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types here, all of them "not a state dict"
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(f"{path}: not a state-dict file of tensors: {reason}") from None
    else:
        try:
            weights = torchvision.models.get_model_weights(config.name)[config.weights]
        except KeyError:
            known = ", ".join(torchvision.models.get_model_weights(config.name).__members__)
            raise InputError(
                f"backbone.weights: {config.weights!r} is neither a file nor weights of "
                f"{config.name} ({known}); {choices}"
            ) from None
        try:
            state = weights.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network; a damaged download
            raise InputError(
                f"backbone.weights: {config.weights!r} can't be downloaded ({error}); {choices}"
            ) from None
    network: nn.Module = torchvision.models.get_model(config.name, weights=None)
    whole = network.state_dict()
    remove_classifier(network)
    classifier = whole.keys() - network.state_dict().keys()
    try:
        network.load_state_dict({k: v for k, v in state.items() if k not in classifier})
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{config.weights}: not weights of {config.name}: {reason}") from None
    return network.state_dict()


def load_backbone(config: BackboneConfig, state_file: Path) -> Backbone:
    """The frozen backbone, in evaluation mode, with the weights in `state_file`."""
    backbone = Backbone(config)
    backbone.network.load_state_dict(torch.load(state_file, weights_only=True))
    return backbone.eval().requires_grad_(False)

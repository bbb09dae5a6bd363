"""2D backbones: CNNs and transformers without their last layer, and CLIP's vision branch."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
import torchvision
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from chain.backbones import efficientnet_lite, open_clip
from chain.core.errors import InputError, reading
from chain.core.params import Parameters
from chain.core.tensors import load_tensors

PRETRAIN = "pretrain"
IMAGENET_CLASSES = 1000

Origin = Literal["pretrain", "url", "name", "file"]


class DeclaredBackbone(Parameters):
    """Which network, with which weights and which input, as the parameters declare it.

    Weights that have a name tell the values that are null (`chain.backbones.weights.resolve`).
    """

    name: str
    """`efficientnet_lite0`, a torchvision classification model, or `open_clip/<model>`."""
    weights: str
    """`pretrain`, a name such as `IMAGENET1K_V2` or `openai`, a state-dict file, or its URL."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Hash of the file; a URL needs one."""
    size: Annotated[int, Field(ge=32)] | None = None
    """Side of the square input, pixels."""
    mean: list[float] | None = None
    """RGB mean that the weights expect, in [0, 1]."""
    std: list[Annotated[float, Field(gt=0)]] | None = None
    """RGB standard deviation, on the same scale."""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = [*efficientnet_lite.SIZES, *torchvision.models.list_models(torchvision.models)]
        if not name.startswith(open_clip.PREFIX) and name not in known:
            raise ValueError(
                f"unknown backbone; use {open_clip.PREFIX}<model>, or one of {', '.join(known)}"
            )
        return name

    @field_validator("mean", "std")
    @classmethod
    def _is_rgb(cls, values: list[float] | None) -> list[float] | None:
        if values is not None and len(values) != 3:
            raise ValueError("expected three numbers, one each for red, green and blue")
        if values is not None and not all(0 <= value <= 1 for value in values):
            raise ValueError("expected numbers from 0 to 1; divide those for 0 to 255 by 255")
        return values

    @model_validator(mode="after")
    def _url_has_a_hash(self) -> Self:
        if "://" in self.weights and self.sha256 is None:
            raise ValueError("weights from a URL need their sha256 (`sha256sum <file>` prints it)")
        return self


class BackboneConfig(DeclaredBackbone):
    """A declared backbone with all its values."""

    size: Annotated[int, Field(ge=32)]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class Backbone(nn.Module):
    """A network that turns RGB frames (N, 3, H, W) in [0, 1] into features (N, F)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)
        self.network = build(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor) -> Tensor:
        frames = (frames - self.mean) / self.std
        features: Tensor = self.network(frames.contiguous(memory_format=torch.channels_last))
        return features


def build(config: BackboneConfig) -> nn.Module:
    """Build the untrained network, which turns normalised images (N, 3, H, W) into features (N, F).

    F is the width of what the classifier sees, or of CLIP's embedding. For VGG16 that is fc7 after
    its ReLU, 4,096; for ResNet50 it is 2,048.
    """
    if config.name.startswith(open_clip.PREFIX):
        return open_clip.build(config.name, config.weights)
    network = _with_classifier(config)
    remove_classifier(network)
    return network


def _with_classifier(config: BackboneConfig) -> nn.Module:
    if config.name in efficientnet_lite.SIZES:
        return efficientnet_lite.build(config.name)
    options: dict[str, Any] = {}
    if config.name.startswith("vit_"):  # it embeds the positions of one input size
        options = {"image_size": config.size}
    if config.name in (
        "googlenet",
        "inception_v3",
    ):  # their named weights expect other mean and std
        options = {"transform_input": origin(config) == "name", "init_weights": True}
    network: nn.Module = torchvision.models.get_model(config.name, weights=None, **options)
    return network


def remove_classifier(network: nn.Module) -> None:
    """Replace the layer that gives 1,000 scores, Linear or 1×1 Conv2d, by the identity."""
    for name, layer in reversed(list(network.named_modules())):
        scores = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if isinstance(layer, nn.Linear | nn.Conv2d) and scores == IMAGENET_CLASSES:
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Identity())
            return
    raise InputError(f"{type(network).__name__} has no classification layer to cut off")


def weight_names(name: str) -> list[str]:
    """List the names of the weights that are known for a backbone."""
    if name.startswith(open_clip.PREFIX):
        return open_clip.tags(name)
    if name in efficientnet_lite.SIZES:
        return [efficientnet_lite.WEIGHTS]
    return list(torchvision.models.get_model_weights(name).__members__)


def origin(config: DeclaredBackbone) -> Origin:
    """Tell where the weights come from; what is none of the others is taken for a file."""
    if config.weights == PRETRAIN:
        return "pretrain"
    if "://" in config.weights:
        return "url"
    return "name" if config.weights in weight_names(config.name) else "file"


def load_backbone(config: BackboneConfig, state_file: Path) -> Backbone:
    """Load the backbone with the weights in `state_file`, frozen and in evaluation mode."""
    backbone = Backbone(config)
    what = f"weights of {config.name}"
    state = load_tensors(state_file, what)
    with reading(state_file, what):
        backbone.network.load_state_dict(state)
    return backbone.eval().requires_grad_(False)

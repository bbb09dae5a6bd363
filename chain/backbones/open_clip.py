"""CLIP's vision branch (arXiv 2103.00020), from the optional package open_clip."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from chain.core.errors import InputError

PREFIX = "open_clip/"
"""What a backbone's name begins with: `open_clip/ViT-B-32`."""
BRANCH = "visual."
"""What the names of the vision branch's tensors begin with in a whole CLIP."""


def build(name: str, weights: str) -> nn.Module:
    """The untrained vision branch: images (N, 3, S, S) -> embeddings (N, D), unnormalised.

    D is the width of the space that images and texts share. The activation, GELU or QuickGELU, is
    the one that the pretrained tag `weights` asks for; without a tag, the one of the model `name`.
    """
    config = model_config(name)
    quick = config.get("quick_gelu") or pretrained_config(name, weights).get("quick_gelu")
    vision = config["vision_cfg"] | {"timm_model_pretrained": False, "output_tokens": False}
    text = {"layers": 1, "vocab_size": 1}  # as small as can be: it is dropped
    clip = library().CLIP(config["embed_dim"], vision, text, quick_gelu=bool(quick))
    branch: nn.Module = clip.visual
    return branch


def model_config(name: str) -> dict[str, Any]:
    """open_clip's description of a model; InputError if it has no such model."""
    known = library().list_models()
    model = name.removeprefix(PREFIX)
    if model not in known:
        raise InputError(f"{name}: no model of open_clip; it has {', '.join(known)}")
    config: dict[str, Any] = library().get_model_config(model)
    return config


def tags(name: str) -> list[str]:
    """The names of the weights that open_clip knows for a model."""
    model_config(name)
    known: list[str] = library().list_pretrained_tags_by_model(name.removeprefix(PREFIX))
    return known


def pretrained_config(name: str, tag: str) -> dict[str, Any]:
    """Where the weights `tag` lie and what input they expect; empty for an unknown tag."""
    config: dict[str, Any] = library().get_pretrained_cfg(name.removeprefix(PREFIX), tag)
    return config


def download(name: str, tag: str) -> Path:
    """The file of weights `tag`, from open_clip's cache or downloaded into it."""
    return Path(library().download_pretrained(pretrained_config(name, tag)))


def library(module: str = "open_clip") -> ModuleType:
    """An optional module, imported when it is needed; InputError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{PREFIX}<model> needs packages of its own ({error}); "
            "pip install -r requirements-clip.txt"
        ) from None

"""CLIP's vision branch (arXiv 2103.00020), from the optional package open_clip."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from chain.core.errors import InputError

PREFIX = "open_clip/"
"""The name of such a backbone begins with this: `open_clip/ViT-B-32`."""
BRANCH = "visual."
"""In a whole CLIP, the names of the vision branch's tensors begin with this."""


def build(name: str, weights: str) -> nn.Module:
    """Build the untrained vision branch: images (N, 3, S, S) to unnormalised embeddings (N, D).

    D is the width of the space that images and texts share. If `weights` is a pretrained tag, it
    decides the activation, GELU or QuickGELU; otherwise the model `name` does.
    """
    config = model_config(name)
    quick = config.get("quick_gelu") or pretrained_config(name, weights).get("quick_gelu")
    vision = config["vision_cfg"] | {"timm_model_pretrained": False, "output_tokens": False}
    text = {"layers": 1, "vocab_size": 1}  # it is as small as possible, since it is dropped
    clip = library().CLIP(config["embed_dim"], vision, text, quick_gelu=bool(quick))
    branch: nn.Module = clip.visual
    return branch


def model_config(name: str) -> dict[str, Any]:
    """Return open_clip's description of a model. Raises InputError if it has no such model."""
    known = library().list_models()
    model = name.removeprefix(PREFIX)
    if model not in known:
        raise InputError(f"{name}: no model of open_clip; it has {', '.join(known)}")
    config: dict[str, Any] = library().get_model_config(model)
    return config


def tags(name: str) -> list[str]:
    """List the names of the weights that open_clip knows for a model."""
    model_config(name)
    known: list[str] = library().list_pretrained_tags_by_model(name.removeprefix(PREFIX))
    return known


def pretrained_config(name: str, tag: str) -> dict[str, Any]:
    """Tell where the weights `tag` are and what input they expect; empty for an unknown tag."""
    config: dict[str, Any] = library().get_pretrained_cfg(name.removeprefix(PREFIX), tag)
    return config


def download(name: str, tag: str) -> Path:
    """Return the file of the weights `tag`; it is downloaded if open_clip's cache lacks it."""
    return Path(library().download_pretrained(pretrained_config(name, tag)))


def library(module: str = "open_clip") -> ModuleType:
    """Import an optional module. Raises InputError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{PREFIX}<model> needs packages of its own ({error}); "
            "pip install -r requirements-clip.txt"
        ) from None

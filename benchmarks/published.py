"""The methods at their published sizes, as `params.yaml` has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chain.core import params
from chain.methods.base import MethodConfig
from chain.pipeline.layers import Layer, Layers

ROOT = Path(__file__).parents[1]


def published(method: str, *changes: Mapping[str, Any]) -> MethodConfig:
    """A method's parameters for data sets whose profile changes nothing, with `changes`."""
    layers = Layers(params.load(ROOT / params.PARAMS)["methods"])
    return layers.config(method, Layer(params.merge(*changes), f"benchmark: {method}"))

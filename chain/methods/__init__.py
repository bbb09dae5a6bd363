"""The methods that the pipeline compares, by the name that `params.yaml` gives them."""

from typing import Any

from chain.errors import InputError
from chain.methods.base import Method, MethodConfig
from chain.methods.chain import Chain
from chain.methods.conmh import ConMH
from chain.methods.lsh import LSH
from chain.params import merge, parse

METHODS: dict[str, type[Method]] = {"chain": Chain, "conmh": ConMH, "lsh": LSH}


def method_class(name: str) -> type[Method]:
    """The class of a method; InputError listing the known ones."""
    if name not in METHODS:
        raise InputError(f"params.yaml: unknown method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]


def method_config(
    name: str, published: dict[str, Any], shared: dict[str, Any], own: dict[str, Any]
) -> MethodConfig:
    """A method's parameters: the published ones, overridden by a data set's shared and own ones."""
    return parse(method_class(name).Config, merge(published, shared, own), f"methods.{name}")

"""The methods that the pipeline compares, by the name that `params.yaml` gives them."""

from collections.abc import Mapping
from typing import Any

from chain.core.errors import InputError
from chain.core.params import merge, parse
from chain.methods.base import Method, MethodConfig
from chain.methods.bth import BTH
from chain.methods.chain import Chain
from chain.methods.chain_plus import ChainPlus
from chain.methods.conmh import ConMH
from chain.methods.lsh import LSH
from chain.methods.mcmsh import MCMSH
from chain.methods.pca_itq import PCAITQ
from chain.methods.wsch import WSCH

METHODS: dict[str, type[Method]] = {
    "lsh": LSH,
    "pca_itq": PCAITQ,
    "bth": BTH,
    "mcmsh": MCMSH,
    "conmh": ConMH,
    "wsch": WSCH,
    "chain": Chain,
    "chain_plus": ChainPlus,
}


def method_class(name: str) -> type[Method]:
    """The class of a method; InputError listing the known ones."""
    if name not in METHODS:
        raise InputError(f"params.yaml: unknown method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]


def method_config(name: str, *trees: Mapping[str, Any]) -> MethodConfig:
    """A method's parameters: each of `trees` overrides the ones before it."""
    return parse(method_class(name).Config, merge(*trees), f"methods.{name}")

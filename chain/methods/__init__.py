"""The methods that the pipeline compares, by the name that `params.yaml` gives them."""

from chain.errors import InputError
from chain.methods.base import Method
from chain.methods.chain import Chain
from chain.methods.conmh import ConMH
from chain.methods.lsh import LSH

METHODS: dict[str, type[Method]] = {"chain": Chain, "conmh": ConMH, "lsh": LSH}


def method_class(name: str) -> type[Method]:
    """The class of a method; InputError listing the known ones."""
    if name not in METHODS:
        raise InputError(f"params.yaml: unknown method {name!r}; known: {', '.join(METHODS)}")
    return METHODS[name]

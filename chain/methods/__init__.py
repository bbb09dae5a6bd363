"""The registry of methods: the name in `params.yaml` tells the file and, by `METHODS`, the class.

A new method is a file `chain/methods/<name>.py` and a line here. A method's file is imported when
its class is asked for, so that no method depends on the code of the others.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from chain.core.errors import InputError
from chain.core.params import PARAMS, merge, parse
from chain.methods.base import Method, MethodConfig

METHODS = {
    "lsh": "LSH",
    "pca_itq": "PCAITQ",
    "pca_itq_halves": "PCAITQHalves",
    "pca_rotation": "PCARotation",
    "bth": "BTH",
    "mcmsh": "MCMSH",
    "conmh": "ConMH",
    "wsch": "WSCH",
    "s5vh": "S5VH",
    "autossvh": "AutoSSVH",
    "chain": "Chain",
    "chain_plus": "ChainPlus",
}


def method_class(name: str) -> type[Method]:
    """The class of a method; InputError listing the known names if there is none of this name."""
    if name not in METHODS:
        raise InputError(f"params.yaml: unknown method {name!r}; known: {', '.join(METHODS)}")
    found: type[Method] = getattr(import_module(f"chain.methods.{name}"), METHODS[name])
    return found


def method_config(
    name: str, *trees: Mapping[str, Any], key: str = "methods", file: Path = PARAMS
) -> MethodConfig:
    """A method's parameters: each of `trees` overrides the ones before it.

    InputError naming the first bad parameter, below `key` of `file`.
    """
    return parse(method_class(name).Config, merge(*trees), key, file)

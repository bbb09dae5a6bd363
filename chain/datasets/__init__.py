"""The data sets: where clips come from, and the manifest that lists them.

A source is a schema and a function `(config, root, workers) -> manifest`; adding one touches its
file and one line here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from chain.datasets.demo import DemoConfig, render
from chain.datasets.folder import FolderConfig, index_folder
from chain.errors import InputError
from chain.params import parse

Index = Callable[[Any, Path, int], pd.DataFrame]

SOURCES: dict[str, tuple[type[BaseModel], Index]] = {
    "demo": (DemoConfig, render),
    "folder": (FolderConfig, index_folder),
}


def source_config(source: dict[str, Any], name: str) -> BaseModel:
    """The checked parameters of a source, a mapping with `kind` and that kind's own keys."""
    kind = source.get("kind")
    if kind not in SOURCES:
        raise InputError(
            f"params.yaml: {name}.kind: unknown source {kind!r}; known: {', '.join(SOURCES)}"
        )
    own = {key: value for key, value in source.items() if key != "kind"}
    return parse(SOURCES[kind][0], own, name)

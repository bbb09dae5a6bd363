"""The data sets: where clips come from, and the manifest that lists them.

A source is a schema of parameters and a function `(config, root, workers) -> manifest`. To add one,
write its file and add one line to SOURCES.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from chain.core.errors import InputError
from chain.core.params import parse
from chain.datasets.activitynet import ActivityNetConfig, index_activitynet
from chain.datasets.demo import DemoConfig, render
from chain.datasets.fcvid import FCVIDConfig, index_fcvid
from chain.datasets.feature_files import ReadyConfig, index_ready
from chain.datasets.folder import FolderConfig, index_folder
from chain.datasets.hmdb51 import HMDB51Config, index_hmdb51
from chain.datasets.jhmdb import JHMDBConfig, index_jhmdb
from chain.datasets.kinetics import KineticsConfig, index_kinetics
from chain.datasets.ucf101 import UCF101Config, index_ucf101

Index = Callable[[Any, Path, int], pd.DataFrame]

SOURCES: dict[str, tuple[type[BaseModel], Index]] = {
    "demo": (DemoConfig, render),
    "folder": (FolderConfig, index_folder),
    "ucf101": (UCF101Config, index_ucf101),
    "hmdb51": (HMDB51Config, index_hmdb51),
    "jhmdb": (JHMDBConfig, index_jhmdb),
    "activitynet": (ActivityNetConfig, index_activitynet),
    "fcvid": (FCVIDConfig, index_fcvid),
    "kinetics": (KineticsConfig, index_kinetics),
    "features": (ReadyConfig, index_ready),
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

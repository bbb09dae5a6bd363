"""The sources of clips by the name that a data set's profile gives them.

A source is a schema and a function `(config, root, workers) -> manifest`. Adding one touches its
file and one line here.
"""

from collections.abc import Callable, Mapping
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
from chain.downloads.fetch import DownloadConfig, in_order

DOWNLOADS = ("download", "files")

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


def source_config(source: Mapping[str, Any], key: str, file: str | Path) -> BaseModel:
    """The checked parameters of a source.

    `source` is a mapping with `kind`, with that kind's own keys and, if its files can be fetched,
    with `download` and `files` (see `wanted_downloads`).
    """
    kind = source.get("kind")
    if kind not in SOURCES:
        raise InputError(
            f"{file}: {key}.kind: unknown source {kind!r}; known: {', '.join(SOURCES)}"
        )
    wanted_downloads(source, key, file)
    own = {name: value for name, value in source.items() if name not in ("kind", *DOWNLOADS)}
    return parse(SOURCES[kind][0], own, key, file)


def wanted_downloads(source: Mapping[str, Any], key: str, file: str | Path) -> list[DownloadConfig]:
    """What is to be fetched before a source is indexed: `files`, if `download` is true.

    InputError if one of them is malformed, if two would come into each other's way, or if there is
    nothing to fetch or no place for it.
    """
    wanted, files = source.get("download", False), source.get("files", {})
    if not isinstance(wanted, bool) or not isinstance(files, Mapping):
        raise InputError(f"{file}: {key}: download is true or false, and files is a mapping")
    configs = [
        parse(DownloadConfig, one, f"{key}.files.{name}", file) for name, one in files.items()
    ]
    try:
        configs = in_order(configs)
    except InputError as error:
        raise InputError(f"{file}: {key}.files: {error}") from None
    if wanted and (not configs or "root" not in source):
        raise InputError(f"{file}: {key}.files: no address, so put the files in place by hand")
    return configs if wanted else []


def has_feature_files(config: BaseModel) -> bool:
    """Whether a source gives ready-made features and no pixels."""
    return isinstance(config, ReadyConfig)

"""A folder of the user's own clips: `<category>/<clip>`, with or without a split file."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.datasets.clip_files import EXTENSIONS, find_clips, first_few, make_manifest
from chain.datasets.manifest import SEPARATOR

log = logging.getLogger(__name__)


class FolderConfig(Parameters):
    """Where the clips are and how they are split."""

    root: str
    split_file: str | None = None
    """A CSV with columns path and split, and perhaps labels. Its path is relative to the root, or
    absolute."""
    extensions: list[str] = Field(list(EXTENSIONS))
    shares: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {"train": 0.5, "database": 0.33, "query": 0.17}
    )
    """Each split's share of the clips of every category; only used without a split file."""

    @field_validator("shares")
    @classmethod
    def _add_up(cls, shares: dict[str, float]) -> dict[str, float]:
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1, not {sum(shares.values()):g}")
        return shares


def index_folder(config: FolderConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest of all clips under `root`, hashed by `workers` threads.

    * A clip's category is the first folder of its path. A clip directly in `root` has none.
    * A clip's id is its path without the suffix. Clips that differ in their suffix only, such as
      `a/1.mov` and `a/1.mp4`, keep it in their ids.
    * Hidden files and folders are left out, and so is what `find_clips` warns of.
    * With a split file, clips that it does not list are left out. They are logged, and so are
      listed clips that do not exist.

    Raises InputError if `root` holds no clips, or if the split file is unusable.
    """
    paths = find_clips(root, config.extensions)
    by_id = _by_id(paths)
    if config.split_file is None:
        labels = {name: _category(root, path) for name, path in by_id.items()}
        splits = _share_out(labels, config.shares)
    else:
        listed = _read_split_file(root / config.split_file)
        _warn("not in the split file, left out", set(paths) - set(listed.index))
        _warn("in the split file but not on disk, left out", set(listed.index) - set(paths))
        by_id = {name: path for name, path in by_id.items() if path in listed.index}
        if not by_id:
            raise InputError(f"{root / config.split_file}: lists none of the clips in {root}")
        splits = {name: listed["split"][path] for name, path in by_id.items()}
        if "labels" in listed:
            labels = {name: listed["labels"][path] for name, path in by_id.items()}
        else:
            labels = {name: _category(root, path) for name, path in by_id.items()}

    manifest = make_manifest(root, by_id, labels, splits, workers)
    log.info("%s: %d clips in %d categories", root, len(by_id), len(set(labels.values()) - {""}))
    return manifest


def _by_id(paths: Sequence[str]) -> dict[str, str]:
    """The paths by the clips' ids: the path without its suffix where that is only one clip's."""
    names = {path: str(PurePosixPath(path).with_suffix("")) for path in paths}
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        names |= {path: path for path, name in names.items() if name in shared}
    return {name: path for path, name in names.items()}


def _category(root: Path, path: str) -> str:
    parts = PurePosixPath(path).parts
    category = parts[0] if len(parts) > 1 else ""
    if SEPARATOR in category:
        raise InputError(f"{root / category}: a category's name must not contain {SEPARATOR!r}")
    return category


def _share_out(labels: dict[str, str], shares: dict[str, float]) -> dict[str, str]:
    """The split of each clip; the shares cut each category's clips, sorted by their ids' hashes."""
    members: dict[str, list[str]] = {}
    for name in sorted(labels, key=lambda name: hashlib.sha256(name.encode()).digest()):
        members.setdefault(labels[name], []).append(name)
    edges = np.cumsum(list(shares.values()))[:-1]
    splits: dict[str, str] = {}
    for names in members.values():
        middles = (np.arange(len(names)) + 0.5) / len(names)
        places = np.searchsorted(edges, middles, side="right")
        splits |= zip(names, np.array(list(shares))[places].tolist(), strict=True)
    return splits


def _read_split_file(path: Path) -> pd.DataFrame:
    """A table with the column split and perhaps labels, indexed by the clips' paths."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such split file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: not a CSV file: {' '.join(str(error).split())}") from None
    for column in ("path", "split"):
        if column not in table:
            raise InputError(f"{path}: no column {column!r}")
    table["path"] = [str(PurePosixPath(text)) for text in table["path"]]
    repeated = table["path"][table["path"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: {repeated.iloc[0]!r} is listed more than once")
    return table.set_index("path")


def _warn(what: str, paths: set[str]) -> None:
    if paths:
        log.warning("%d clips %s: %s", len(paths), what, first_few(paths))

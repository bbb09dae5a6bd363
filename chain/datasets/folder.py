"""A folder of the user's own clips: `<category>/<clip>`, with or without a split file."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from chain.core.errors import InputError
from chain.core.params import Parameters
from chain.datasets.clip_files import EXTENSIONS, find_clips, first_few, make_manifest
from chain.datasets.copies import fingerprints, near_copies
from chain.datasets.manifest import SEPARATOR
from chain.datasets.splits import draw, equal_pairs, groups

log = logging.getLogger(__name__)


class FolderConfig(Parameters):
    """Where the clips are and how they are split."""

    root: str
    split_file: str | None = None
    """A CSV with the column path, and split, source or both, and perhaps labels. Its path is
    relative to the root, or absolute."""
    source_pattern: str | None = None
    """A regular expression whose one group is found in a clip's path and names its source."""
    extensions: list[str] = Field(list(EXTENSIONS))
    shares: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {"train": 0.5, "database": 0.33, "query": 0.17}
    )
    """Each split's share of the clips; only used where no split file gives the splits."""

    @field_validator("shares")
    @classmethod
    def _add_up(cls, shares: dict[str, float]) -> dict[str, float]:
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1, not {sum(shares.values()):g}")
        return shares

    @field_validator("source_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
            if groups != 1:
                raise ValueError(f"expected one group, as in '(.*)_clip', but it has {groups}")
        return pattern


def index_folder(config: FolderConfig, root: Path, workers: int) -> pd.DataFrame:
    """The manifest of all clips under `root`, hashed by `workers` threads.

    * A clip's category is the first folder of its path. A clip directly in `root` has none.
    * A clip's id is its path without the suffix. Clips that differ in their suffix only, such as
      `a/1.mov` and `a/1.mp4`, keep it in their ids.
    * Hidden files and folders are left out, and so is what `find_clips` warns of.
    * With a split file, clips that it does not list are left out. They are logged, and so are
      listed clips that do not exist.
    * Without splits in a file, they are drawn. Clips of one source, copies and near copies are in
      the same split, which depends on nothing else (see `_drawn`). The manifest's attribute `drawn`
      tells that, and its attribute `notes` tells of copies.

    Raises InputError if `root` holds no clips, or if the split file is unusable.
    """
    paths = find_clips(root, config.extensions)
    by_id = _by_id(paths)
    listed = pd.DataFrame(index=paths)
    if config.split_file is not None:
        listed = _read_split_file(root / config.split_file)
        _warn("not in the split file, left out", set(paths) - set(listed.index))
        _warn("in the split file but not on disk, left out", set(listed.index) - set(paths))
        by_id = {name: path for name, path in by_id.items() if path in listed.index}
        if not by_id:
            raise InputError(f"{root / config.split_file}: lists none of the clips in {root}")
    if "labels" in listed:
        labels = {name: listed["labels"][path] for name, path in by_id.items()}
    else:
        labels = {name: _category(root, path) for name, path in by_id.items()}

    manifest = make_manifest(root, by_id, labels, {}, workers)
    sources = _sources(manifest["path"], listed, config.source_pattern)
    same, near = (
        _of_several_sources(pairs, sources)
        for pairs in (
            equal_pairs(manifest["sha256"].tolist()),
            near_copies(fingerprints(manifest, root, workers)),
        )
    )
    drawn = "split" not in listed
    if drawn:
        together = np.concatenate([equal_pairs(sources), same, near])
        manifest["split"] = _drawn(manifest, sources, together, config.shares)
    else:
        manifest["split"] = listed["split"][manifest["path"]].to_numpy()
    notes = _notes(manifest, sources, {"the same file": same, "near copies": near}, drawn)
    manifest.attrs |= {"drawn": drawn, "notes": notes}
    categories = len(set(labels.values()) - {""})
    log.info("%s: %d clips in %d categories", root, len(manifest), categories)
    return manifest


def _sources(paths: Iterable[str], listed: pd.DataFrame, pattern: str | None) -> list[str]:
    """The source of each clip, as the split file names it or the pattern finds it, or ""."""
    if "source" in listed:
        return listed["source"][list(paths)].tolist()
    if pattern is None:
        return [""] * len(list(paths))
    found = {path: re.search(pattern, path) for path in paths}
    sources = {path: match[1] or "" if match else "" for path, match in found.items()}
    nameless = {path for path, source in sources.items() if not source}
    _warn("in which source.source_pattern finds no source", nameless)
    return list(sources.values())


def _of_several_sources(pairs: NDArray[np.int64], sources: Sequence[str]) -> NDArray[np.int64]:
    """The pairs (P, 2) without those of which both clips are of one source."""
    one, other = np.array(sources)[pairs].T
    kept: NDArray[np.int64] = pairs[(one != other) | (one == "")]
    return kept


def _drawn(
    manifest: pd.DataFrame,
    sources: Sequence[str],
    together: NDArray[np.int64],
    shares: Mapping[str, float],
) -> list[str]:
    """The split of each clip, so that the pairs (P, 2) of `together` are in one.

    The first clip of each group, in the order of ids, decides: by its source, or else by its
    content. So a clip that is added moves another one only if it is its copy and comes before it.
    """
    names = [source or sha256 for source, sha256 in zip(sources, manifest["sha256"], strict=True)]
    return draw([names[first] for first in groups(len(manifest), together)], shares)


def _notes(
    manifest: pd.DataFrame,
    sources: Sequence[str],
    copies: Mapping[str, NDArray[np.int64]],
    drawn: bool,
) -> list[str]:
    """What there is to say about copies, each pair of which is named by its clips' ids."""
    notes = []
    ids, splits = manifest["id"].to_numpy(), manifest["split"].to_numpy()
    for what, pairs in copies.items():
        where = "so they are in one split" if drawn else "but in several splits"
        if not drawn:
            pairs = pairs[splits[pairs[:, 0]] != splits[pairs[:, 1]]]
        if len(pairs):
            named = first_few([" = ".join(pair) for pair in ids[pairs]])
            notes.append(f"{len(np.unique(pairs))} clips are {what}, {where}: {named}.")
    split = pd.DataFrame({"source": sources, "split": splits}).query("source != ''")
    several = split.groupby("source")["split"].nunique()
    torn = set(several.index[several > 1])
    if torn:
        notes.append(f"{len(torn)} sources have clips in several splits: {first_few(torn)}.")
    for note in notes:
        log.warning(note)
    return notes


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


def _read_split_file(path: Path) -> pd.DataFrame:
    """A table with the columns split, source or both, and perhaps labels, indexed by the paths."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such split file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: not a CSV file: {' '.join(str(error).split())}") from None
    if "path" not in table:
        raise InputError(f"{path}: no column 'path'")
    if "split" not in table and "source" not in table:
        raise InputError(f"{path}: no column 'split', and no 'source' to draw the splits by")
    table["path"] = [str(PurePosixPath(text)) for text in table["path"]]
    repeated = table["path"][table["path"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: {repeated.iloc[0]!r} is listed more than once")
    return table.set_index("path")


def _warn(what: str, paths: set[str]) -> None:
    if paths:
        log.warning("%d clips %s: %s", len(paths), what, first_few(paths))

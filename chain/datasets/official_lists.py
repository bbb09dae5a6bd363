"""The official lists of benchmarks: reading them, and finding the listed clips on disk.

* A clip's id is its name in the lists without the suffix.
* A file below the root is that clip if its path ends in the id and any video suffix. Re-encoded
  copies and unpacked archives are thus found wherever they are.
* A copy of the data set need not be whole: what is missing is logged, and noted in
  `manifest.attrs["notes"]`.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from chain.core.errors import InputError
from chain.datasets.clip_files import EXTENSIONS, find_clips, first_few, make_manifest
from chain.datasets.manifest import SEPARATOR

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """A clip as the lists have it."""

    labels: str
    split: str
    """It is empty for a clip that the lists name but do not use."""


@dataclass(frozen=True)
class Found:
    """The clips on disk."""

    paths: dict[str, str]
    """The path below the root of each clip that the lists name, by id."""
    extra: list[str]
    """The paths of the clips that no list names."""


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a list that are not blank, each after its place (`file:line`) for messages.

    Raises InputError if the file is missing, is not UTF-8 text, or has only blank lines.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such list") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    numbered = enumerate(text.split("\n"), start=1)
    lines = [(f"{path}:{number}", line.strip()) for number, line in numbered if line.strip()]
    if not lines:
        raise InputError(f"{path}: an empty list")
    return lines


def without_suffix(name: str) -> str:
    """A clip's id, for example `a/b.c` for `./a/b.c.avi`; only a video suffix is removed."""
    path = PurePosixPath(name)
    return str(path.with_suffix("") if path.suffix.lower() in EXTENSIONS else path)


def join_labels(labels: Iterable[str], where: str) -> str:
    """Labels as the manifest writes them: distinct, sorted and joined by `;`.

    Raises InputError, which names `where`, if a label contains a `;`.
    """
    distinct = sorted(set(labels))
    for label in distinct:
        if SEPARATOR in label:
            raise InputError(f"{where}: label {label!r} must not contain {SEPARATOR!r}")
    return SEPARATOR.join(distinct)


def add(listed: dict[str, Listed], name: str, clip: Listed, where: str) -> None:
    """Put a clip into `listed`. Raises InputError, which names `where`, if it is there already."""
    if name in listed:
        raise InputError(f"{where}: clip {name!r} is listed a second time")
    listed[name] = clip


def read_category_lists(
    folder: Path, fold: int, categories: int, codes: Mapping[str, str]
) -> dict[str, Listed]:
    """The clips of the lists `<category>_test_split<fold>.txt`, by their id `<category>/<clip>`.

    Each category has one list. A line is `<clip> <code>`, and `codes` gives the split of a code.
    Raises InputError if a list is missing or malformed, or if a clip is listed twice.
    """
    ending = f"_test_split{fold}.txt"
    lists = sorted(folder.glob(f"[!.]*{ending}"))
    if len(lists) != categories:
        raise InputError(f"{folder}: {len(lists)} lists <category>{ending}, expected {categories}")
    listed: dict[str, Listed] = {}
    for path in lists:
        category = path.name.removesuffix(ending)
        for where, line in read_lines(path):
            match line.rsplit(maxsplit=1):
                case [clip, code] if code in codes:
                    entry = Listed(join_labels([category], where), codes[code])
                    add(listed, f"{category}/{without_suffix(clip)}", entry, where)
                case _:
                    raise InputError(
                        f"{where}: expected <clip> <{', '.join(codes)}>, found {line!r}"
                    )
    return listed


def find_listed(root: Path, listed: Mapping[str, Listed], prefix: str = "") -> Found:
    """Find the listed clips below `root`; `prefix` may stand before a file's name.

    Raises InputError if two files are the same clip, or if no listed clip is there.
    """
    paths: dict[str, str] = {}
    extra = []
    for path in find_clips(root, EXTENSIONS):
        name = next((name for name in _names(path, prefix) if name in listed), None)
        if name is None:
            extra.append(path)
        elif name in paths:
            raise InputError(f"{root}: {paths[name]} and {path} are both clip {name!r}")
        else:
            paths[name] = path
    if not any(listed[name].split for name in paths):
        raise InputError(f"{root}: none of the {_used(listed):,} clips that the lists name is here")
    return Found(paths, extra)


def _names(path: str, prefix: str) -> list[str]:
    """The names by which a list may call a file, for `a/b/c.avi` a/b/c, b/c and c."""
    parts = PurePosixPath(without_suffix(path)).parts
    names = ["/".join(parts[start:]) for start in range(len(parts))]
    return [*names, parts[-1].removeprefix(prefix)]


def official_manifest(
    root: Path,
    listed: Mapping[str, Listed],
    found: Found,
    published: Mapping[str, int],
    workers: int,
) -> pd.DataFrame:
    """The manifest of the clips that are listed in a split and were found.

    `published` gives the number of clips in each split. Under `all` it may give the number of clips
    that the lists name, used or not. Each difference from the lists or from these numbers is logged
    and added to `attrs["notes"]` as one line.
    """
    paths = {name: path for name, path in found.paths.items() if listed[name].split}
    labels = {name: listed[name].labels for name in paths}
    splits = {name: listed[name].split for name in paths}
    manifest = make_manifest(root, paths, labels, splits, workers)

    missing = [name for name, clip in listed.items() if clip.split and name not in paths]
    same = manifest.groupby("sha256")["id"].agg(list)
    twins = [" = ".join(ids) for ids in same if len(ids) > 1]
    counts = Counter(splits.values())
    counts["all"] = len(found.paths)
    differing = [
        f"{split} {counts[split]:,} (published: {number:,})"
        for split, number in published.items()
        if counts[split] != number
    ]
    notes = []
    if differing:
        notes.append(f"clips found: {', '.join(differing)}")
    if missing:
        notes.append(f"{len(missing):,} of {_used(listed):,} clips missing: {first_few(missing)}")
    if found.extra:
        notes.append(f"{len(found.extra):,} clips in no list, left out: {first_few(found.extra)}")
    if twins:
        notes.append(f"{len(twins):,} sets of clips with the same bytes: {first_few(twins)}")
    for note in notes:
        log.warning("%s: %s", root, note)
    manifest.attrs["notes"] = notes
    return manifest


def _used(listed: Mapping[str, Listed]) -> int:
    return sum(clip.split != "" for clip in listed.values())

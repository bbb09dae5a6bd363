"""The files of clips: finding them below a folder, and hashing them into a manifest."""

import logging
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from chain.core.errors import InputError
from chain.datasets.manifest import COLUMNS, file_sha256
from chain.datasets.storable import is_storable

log = logging.getLogger(__name__)

# fmt: off
EXTENSIONS = (
    ".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".flv", ".3gp", ".ts"
)
# fmt: on
UNSTORABLE = "its name is not UTF-8, or has line breaks or other control characters"
SHOWN = 3  # how many names a message gives of a longer list


def find_clips(root: Path, extensions: Sequence[str]) -> list[str]:
    """The paths below `root` that end in one of `extensions`, relative and sorted.

    Hidden files and folders are left out. So are the following, each with a warning of one line:

    * a clip or folder that cannot be read, and anything with a clip's name that is no file
    * a clip or folder whose name the manifest cannot hold (see `is_storable`)
    * a link to a folder that contains it, which would lead round in circles

    Raises InputError if there is no folder or no clip.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of clips")
    suffixes = {extension.lower() for extension in extensions}
    paths = []
    for path in _walk(root, suffixes):
        fault = _fault(path)
        if fault:
            _leave_out(path, fault)
        else:
            paths.append(path.relative_to(root).as_posix())
    if not paths:
        raise InputError(f"{root}: no clips (looked for files ending in {', '.join(extensions)})")
    return sorted(paths)


def _walk(root: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """Everything below `root` that ends in one of `suffixes` and is no folder."""
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(root, (root.resolve(),))]
    while waiting:
        folder, reals = waiting.pop()  # `reals` ends with where it really is; links led there
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            _leave_out(folder, str(error.strerror))
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if not os.path.isdir(path):  # Path.is_dir raises where it may not look
                if path.suffix.lower() in suffixes:
                    yield path
            elif not is_storable(entry.name):
                _leave_out(path, UNSTORABLE)
            elif not entry.is_symlink():
                waiting.append((path, (*reals[:-1], reals[-1] / entry.name)))
            elif any(one.is_relative_to(path.resolve()) for one in reals):
                _leave_out(path, "a link to a folder that contains it")
            else:
                waiting.append((path, (*reals, path.resolve())))


def _fault(path: Path) -> str | None:
    """Why a file cannot be a clip, or None."""
    if not is_storable(path.name):
        return UNSTORABLE
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a file"
        with path.open("rb"):
            return None
    except OSError as error:
        return error.strerror


def _leave_out(path: Path, reason: str) -> None:
    log.warning("left out: %s: %s", _shown(path), reason)


def _shown(path: Path) -> str:
    """A path for a message of one line; a name with odd characters is escaped as Python does."""
    return str(path) if is_storable(str(path)) else repr(str(path))


def make_manifest(
    root: Path,
    paths: Mapping[str, str],
    labels: Mapping[str, str],
    splits: Mapping[str, str],
    workers: int,
) -> pd.DataFrame:
    """The manifest of clips, whose files are hashed by `workers` threads.

    `paths` gives each clip's path below `root`, `labels` its labels and `splits` its split, all by
    id. A clip without an entry in `splits` is in no split.
    """
    with ThreadPoolExecutor(workers) as pool:
        hashes = pool.map(file_sha256, [root / path for path in paths.values()])
        digests = list(tqdm(hashes, total=len(paths), desc="hash", unit="clip", mininterval=1))
    rows = [
        (name, path, (root / path).stat().st_size, digest, labels[name], splits.get(name, ""))
        for (name, path), digest in zip(paths.items(), digests, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("id", ignore_index=True)


def first_few(names: Collection[str]) -> str:
    """The first names in sorted order, for a message: `a, b, c, ...`."""
    return ", ".join(sorted(names)[:SHOWN]) + ", ..." * (len(names) > SHOWN)

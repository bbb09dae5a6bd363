"""The files of clips: finding them below a folder, and hashing them into a manifest."""

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from chain.core.errors import InputError
from chain.datasets.manifest import COLUMNS, file_sha256

# fmt: off
EXTENSIONS = (
    ".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".flv", ".3gp", ".ts"
)
# fmt: on
SHOWN = 3  # how many names a message gives of a longer list


def find_clips(root: Path, extensions: Sequence[str]) -> list[str]:
    """The paths below `root` that end in one of `extensions`, relative and sorted.

    Hidden files and folders are left out. Raises InputError if there is no folder or no clip.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of clips")
    suffixes = {extension.lower() for extension in extensions}
    paths = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes and path.is_file():
                paths.append(path.relative_to(root).as_posix())
    if not paths:
        raise InputError(f"{root}: no clips (looked for files ending in {', '.join(extensions)})")
    return sorted(paths)


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

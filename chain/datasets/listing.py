"""What tells that a folder of clips has changed, without reading any clip."""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any


def stamp(root: Path, others: Collection[Path] = ()) -> dict[str, Any]:
    """How many files are below `root`, and a hash of their names, sizes and times of change.

    `others` are files that count too, wherever they lie; one that is missing counts as such. Names
    are relative to `root`, so the same folder in another place has the same stamp.
    """
    files = {*_files(root), *others}
    digest = hashlib.sha256()
    for path in sorted(files):
        try:
            status = path.stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError as error:
            state = str(error.strerror)
        digest.update(os.fsencode(f"{os.path.relpath(path, root)} {state}\n"))
    return {"files": len(files), "sha256": digest.hexdigest()}


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder, without hidden ones; what links lead to twice counts once."""
    seen = set[str]()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(f for f in folders if f[0] != ".")
        if real not in seen:
            yield from (Path(folder, name) for name in names if name[0] != ".")
        seen.add(real)

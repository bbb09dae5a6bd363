"""What killed processes left behind: unfinished work, and files that were half written."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from chain.core.files import _is_alive
from chain.core.scratch import SCRATCH, lock_folder

PARTIAL = re.compile(r"\..*\.(\d+)\.partial(\.\w+)?")
"""The names that `replacing` gives, with the process that writes there."""


def find_leftovers(folders: Sequence[Path]) -> list[Path]:
    """The folders of unfinished work, and the `.partial` files and folders below `folders`, sorted.

    What belongs to a running process is left out. Links to folders are not followed.
    """
    partial = (path for folder in folders for path in _partial(folder))
    return sorted([*_unfinished(), *partial])


def size(path: Path) -> int:
    """The bytes that a file or a folder takes; what vanishes meanwhile takes none."""
    if path.is_dir():
        return sum(size(child) for child in path.iterdir())
    return path.stat().st_blocks * 512 if path.exists() else 0


def remove_leftover(path: Path) -> None:
    """Remove what `find_leftovers` found, unless a process has begun to work in it since."""
    lock = lock_folder(path) if path.parent == SCRATCH else None
    if path.parent == SCRATCH and lock is None:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if lock is not None:
        os.close(lock)


def _unfinished() -> Iterator[Path]:
    for path in SCRATCH.iterdir() if SCRATCH.is_dir() else ():
        if path.is_dir():
            lock = lock_folder(path)
            if lock is not None:
                os.close(lock)
                yield path


def _partial(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = PARTIAL.fullmatch(name)
            if found and not _is_alive(int(found[1])):
                yield Path(where, name)
        folders[:] = [name for name in folders if not PARTIAL.fullmatch(name)]

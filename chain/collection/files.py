"""Which video files are meant by paths, and whether one has changed."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chain.core.errors import InputError
from chain.datasets.clip_files import EXTENSIONS, find_clips


def videos_at(paths: Iterable[Path]) -> list[str]:
    """List the absolute paths of files, and of the videos below folders, each once and in order.

    Folders are searched as those of data sets are (`find_clips`). Raises InputError if there is
    nothing at a path, or a folder holds no video.
    """
    found = list[str]()
    for path in map(absolute, paths):
        if os.path.isdir(path):
            found += [os.path.join(path, name) for name in find_clips(Path(path), EXTENSIONS)]
        elif os.path.lexists(path):
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def absolute(path: Path | str) -> str:
    """The absolute path without `.` and `..`; links stay as they are."""
    return os.path.abspath(path)


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of `folders` or below one of them; all are absolute."""
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in folders)


@dataclass(frozen=True)
class Stamp:
    """What tells, without reading it, that a file has not changed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Self:
        """Take the stamp of a file. Raises OSError if there is none."""
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns)

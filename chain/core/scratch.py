"""Folders for unfinished work: after a crash, the next run of the same work goes on there.

A folder is locked while a process is at work in it. The lock is the system's (`flock`), and ends
with the process however that ends. On a file system without such locks, such as some NFS, there is
none.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chain.core.errors import UNFINISHED, InputError, reading

SCRATCH = Path(".scratch")


@contextmanager
def scratch_folder(
    stage: str, parameters: Mapping[str, Any], inputs: Sequence[Path]
) -> Iterator[Path]:
    """Yield the folder `.scratch/<stage>-<key>`; it is made if need be, and removed on success.

    The key is a hash of the JSON-like `parameters` and of the name, size and modification time of
    each input file. If the body raises or the process dies, the folder stays, and the next call
    with the same arguments yields it as it was left. The body may move the folder elsewhere. Once
    it has succeeded, what dead processes left of the same stage, with other parameters or inputs,
    is removed too. Raises InputError if an input is missing, or if another process is at work in
    the folder.
    """
    folder = SCRATCH / f"{stage}-{_key(parameters, inputs)}"
    lock = lock_folder(folder)
    if lock is None:
        raise InputError(f"{folder}: another process is at work there; wait until it has ended")
    try:
        yield folder
        if folder.exists():
            _remove(folder)
    finally:
        os.close(lock)
    for left in SCRATCH.iterdir():
        if re.fullmatch(rf"{re.escape(stage)}-[0-9a-f]{{16}}(\.done)?", left.name):
            lock = lock_folder(left)
            if lock is not None:
                _remove(left)
                os.close(lock)


def read_progress(marker: Path) -> int:
    """How much is done, as a file says in digits; 0 without the file. InputError if damaged."""
    if not marker.exists():
        return 0
    with reading(marker, "a number", UNFINISHED):
        return int(marker.read_text())


def lock_folder(folder: Path) -> int | None:
    """Lock a folder, which is made if need be; None if another process has locked it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # whoever had it locked has just moved it away
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            return handle  # no locks on this file system
        if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
        os.close(handle)


def _remove(folder: Path) -> None:
    done = folder.with_suffix(".done")  # a half-removed folder is not to be reused
    if folder != done:
        shutil.rmtree(done, ignore_errors=True)
        folder.rename(done)
    shutil.rmtree(done)


def _key(parameters: Mapping[str, Any], inputs: Sequence[Path]) -> str:
    stamps = []
    for path in sorted(inputs):
        if not path.exists():
            raise InputError(f"{path}: no such file")
        status = path.stat()
        stamps.append([path.name, status.st_size, status.st_mtime_ns])
    text = json.dumps([parameters, stamps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""The lock of a collection: one process writes at a time."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def writing(path: Path) -> Iterator[bool]:
    """Lock the file `path`; yields whether the last writer broke off.

    While another process has it locked, this one waits, and says so in a line. The lock is the
    system's, and ends with the process however that ends. The file has content as long as a writer
    has not come to its end. On a file system without locks there is none.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle, path)
        broke_off = os.fstat(handle).st_size > 0
        os.pwrite(handle, b"a process is writing, or broke off\n", 0)
        yield broke_off
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("%s: waiting for another process that writes", path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # no locks on this file system
        pass

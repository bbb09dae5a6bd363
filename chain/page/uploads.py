"""Taking in a video from the browser: bounded in size and in time, and deleted in every case."""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from starlette.requests import Request

from chain.core.errors import InputError

PREFIX = "chain-serve-"
ABANDONED = 24 * 3600  # seconds; an older folder was left by a server that was killed


class TooLargeError(InputError):
    """An upload has more bytes than are allowed."""


class TooSlowError(InputError):
    """An upload or a search takes longer than is allowed."""


@contextmanager
def temporary(name: str) -> Iterator[Path]:
    """Yield where an upload may be written, with the suffix of `name`; it is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder) / f"video{_suffix(name)}"


def remove_abandoned() -> None:
    """Delete the uploads of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if folder.is_dir() and folder.stat().st_mtime < time.time() - ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)


async def receive(request: Request, file: Path, largest: int, slowest: float) -> None:
    """Write the body of a request into `file`: up to `largest` bytes within `slowest` seconds.

    Raises TooLargeError, TooSlowError, InputError if the body is empty, or ClientDisconnect of
    starlette.
    """
    announced = request.headers.get("content-length", "0")
    _check(int(announced) if announced.isdecimal() else 0, largest)
    written = 0
    try:
        async with asyncio.timeout(slowest):
            with file.open("wb") as out:
                async for chunk in request.stream():
                    written += len(chunk)
                    _check(written, largest)
                    out.write(chunk)
    except TimeoutError:
        raise TooSlowError(f"the file took longer than {slowest:g} seconds to come") from None
    if not written:
        raise InputError("the file is empty")


def _check(size: int, largest: int) -> None:
    if size > largest:
        raise TooLargeError(f"the file is larger than {largest / 1e6:,.0f} MB")


def _suffix(name: str) -> str:
    """The suffix of a file's name if it is a plain one; it helps to tell the format."""
    suffix = PurePath(name).suffix
    return suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""

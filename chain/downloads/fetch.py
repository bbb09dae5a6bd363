"""Fetching the files of a data set from their public addresses.

The usual library, pooch, was tried (version 1.9.0). It deletes what it received of a broken
transfer and cannot resume it, and it refuses `file://` addresses. Its unpacking is the standard
library's, whose gaps `chain.downloads.archives` lists.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from glob import escape
from http import HTTPStatus
from http.client import HTTPException
from itertools import permutations
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from pydantic import Field, field_validator
from tqdm import tqdm

from chain.core.errors import InputError, reading
from chain.core.files import write_json
from chain.core.params import Parameters
from chain.datasets.manifest import file_sha256
from chain.downloads.archives import is_archive, require_tool, unpack

log = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes read at a time
TIMEOUT = 60  # seconds without a byte until the transfer counts as broken
HEADERS = {"User-Agent": "chain-video-hashing/1"}  # some hosts refuse Python's own name


class DownloadConfig(Parameters):
    """One file or archive of a data set."""

    url: str
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """The hash of the file as it is fetched, in hexadecimal; null where it is not known."""
    folder: str
    """A folder below the data set's root. A file goes into it; an archive becomes it."""

    @field_validator("url")
    @classmethod
    def _is_fetchable(cls, url: str) -> str:
        if not url.startswith(("https://", "http://", "file://")) or not _file_name(url):
            raise ValueError("expected the https://, http:// or file:// address of a file")
        return url

    @field_validator("folder")
    @classmethod
    def _is_below(cls, folder: str) -> str:
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("expected a folder below the root")
        return folder


def obtain(config: DownloadConfig, root: Path) -> dict[str, Any] | None:
    """Fetch one file below `root`, or fetch and unpack one archive, unless it is there already.

    * What is fetched is noted in a hidden file beside it: its url, sha256 and bytes.
    * If the note agrees with `config`, nothing is fetched; if it differs, the file is fetched anew.
      A folder of an archive to which somebody has added files is not replaced: InputError.
    * What is there without a note was put there by somebody else, and is left as it is.

    Returns the note, or None for what somebody else put there. Raises InputError as `fetch` and
    `unpack` do.
    """
    name = _file_name(config.url)
    target = root / config.folder
    if not is_archive(name):
        target /= name
    note = target.with_name(f".{target.name}.download.json")
    file = target.with_name(f".{_short_hash(config.url)}.{name}")
    if _is_there(target):
        if not note.exists():
            log.info("%s: already there, so not downloaded", target)
            return None
        with reading(note, "the note of a download", "delete it"):
            record: dict[str, Any] = json.loads(note.read_text())
            url, sha256, content = record["url"], record["sha256"], record.pop("content", None)
        if url == config.url and config.sha256 in (None, sha256):
            file.unlink(missing_ok=True)  # left by a run killed at its very end
            return record
        if target.is_dir() and content != _listing(target):
            raise InputError(
                f"{target}: holds files that were not in {url}; move them, or the whole folder, "
                f"before {config.url} takes its place"
            )
    require_tool(name)
    digest = fetch(config.url, config.sha256, file)
    record = {"url": config.url, "sha256": digest, "bytes": file.stat().st_size}
    unpacked, noted = file, dict(record)
    if is_archive(name):
        log.info("%s: unpacking to %s", name, target)
        unpacked = file.with_name(f"{file.name}.unpacked")
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            unpack(file, unpacked)
        except InputError as error:
            raise InputError(f"{error} (to fetch it again, delete {file})") from None
        noted["content"] = _listing(unpacked)
    if target.is_dir():
        shutil.rmtree(target)
    write_json(note, noted)
    os.replace(unpacked, target)
    file.unlink(missing_ok=True)
    return record


def fetch(url: str, sha256: str | None, path: Path) -> str:
    """Fetch `url` to `path`, which appears when it is whole; returns its SHA-256, in hexadecimal.

    * If the transfer breaks off, what was received stays beside `path` in a `.part` file.
    * The next call goes on from there. It starts again if the host cannot send a part of the file,
      or if the file has changed there.
    * If `path` exists, and has the hash `sha256` where one is given, nothing is fetched.

    Raises InputError if `url` cannot be fetched, or if the file has another hash; then nothing is
    left behind.
    """
    if path.is_file():
        found = file_sha256(path)
        if sha256 in (None, found):
            return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part, found = _receive(url, path)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: not an address
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{url}: can't be downloaded: {reason}") from None
    if sha256 not in (None, found):
        part.unlink()
        raise InputError(f"{url}: its sha256 is {found}, expected {sha256}")
    os.replace(part, path)
    if sha256 is None:
        log.info("%s: nothing to check it by; put its sha256 in the profile: %s", url, found)
    return found


def _receive(url: str, path: Path) -> tuple[Path, str]:
    """Receive the file; returns the complete `.part` file and the hash of its content."""
    response, part, start = _connect(url, path)
    total = _total(response)
    part.touch()
    with response, part.open("r+b") as file:
        file.truncate(start)
        digest = hashlib.file_digest(file, "sha256")
        size = file.seek(start)
        with tqdm(
            total=total,
            initial=start,
            desc=_file_name(url),
            unit="B",
            unit_scale=True,
            mininterval=1,
        ) as progress:
            while chunk := response.read(CHUNK):
                size += file.write(chunk)
                digest.update(chunk)
                progress.update(len(chunk))
    if total not in (None, size):
        raise OSError(f"broke off after {size:,} of {total:,} bytes; run it again to go on")
    return part, digest.hexdigest()


def _connect(url: str, path: Path) -> tuple[Any, Path, int]:
    """A response, the `.part` file that it belongs to, and the byte from which it goes on.

    A `.part` file's name has a hash of the whole file's address, date and size, by which it is
    known to be a part of the same file.
    """
    for part in sorted(path.parent.glob(f"{escape(path.name)}.*.part")):
        start = part.stat().st_size - 1  # the last byte again: hosts refuse to start past the end
        response = _rest(url, start) if start > 0 else None
        if response is not None:
            if part == _part(path, url, response):
                return response, part, start
            response.close()
        part.unlink()
    response = urlopen(Request(url, headers=HEADERS), timeout=TIMEOUT)
    return response, _part(path, url, response), 0


def _rest(url: str, start: int) -> Any | None:
    """The response from byte `start` on, or None if the host cannot give it."""
    request = Request(url, headers=HEADERS | {"Range": f"bytes={start}-"})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise
    if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return response
    response.close()
    return None


def _total(response: Any) -> int | None:
    """The size of the whole file, or None if the host does not tell it."""
    headers = response.headers
    text = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _part(path: Path, url: str, response: Any) -> Path:
    date = response.headers.get("Last-Modified") or response.headers.get("ETag")
    return path.with_name(f"{path.name}.{_short_hash(f'{url} {date} {_total(response)}')}.part")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _file_name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def in_order(configs: Sequence[DownloadConfig]) -> list[DownloadConfig]:
    """The archives, which become whole folders, before the files that may go into these.

    Raises InputError if two archives would become the same folder, or one within the other.
    """
    archives = [one for one in configs if is_archive(_file_name(one.url))]
    for one, other in permutations(archives, 2):
        if PurePosixPath(other.folder).is_relative_to(one.folder):
            raise InputError(
                f"folder {one.folder!r} is to become the archive {one.url}, and {other.folder!r} "
                f"{other.url}; give each a folder of its own"
            )
    return [*archives, *(one for one in configs if one not in archives)]


def _listing(folder: Path) -> str:
    """A hash of the names and sizes of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _is_there(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()

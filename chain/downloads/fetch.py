"""Fetching what a data set needs from its public addresses, if asked to: resumable and checked."""

import hashlib
import json
import logging
import os
import shutil
from glob import escape
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from pydantic import Field, field_validator
from tqdm import tqdm

from chain.core.errors import InputError
from chain.core.files import write_json
from chain.core.params import Parameters
from chain.datasets.manifest import file_sha256
from chain.downloads.archives import is_archive, require_tool, unpack

log = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes
TIMEOUT = 60  # seconds without a byte
HEADERS = {"User-Agent": "chain-video-hashing/1"}  # some hosts refuse Python's own


class DownloadConfig(Parameters):
    """One file or archive of a data set."""

    url: str
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file as it is fetched, in hexadecimal; null where it is not known."""
    folder: str
    """Below the data set's root: where a file goes, and what an archive becomes."""

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

    Returns url, sha256 and bytes of what was fetched, now or earlier, as noted beside it in a
    hidden file; None for what somebody else put there, which is left as it is. Where the note
    differs from `config`, it is fetched anew. Raises InputError as `fetch` and `unpack` do.
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
        record: dict[str, Any] = json.loads(note.read_text())
        if record["url"] == config.url and config.sha256 in (None, record["sha256"]):
            file.unlink(missing_ok=True)  # left by a run killed at its very end
            return record
    require_tool(name)
    digest = fetch(config.url, config.sha256, file)
    record = {"url": config.url, "sha256": digest, "bytes": file.stat().st_size}
    content = file
    if is_archive(name):
        log.info("%s: unpacking to %s", name, target)
        content = file.with_name(f"{file.name}.unpacked")
        shutil.rmtree(content, ignore_errors=True)
        try:
            unpack(file, content)
        except InputError as error:
            raise InputError(f"{error} (to fetch it again, delete {file})") from None
    if target.is_dir():
        shutil.rmtree(target)
    write_json(note, record)
    os.replace(content, target)
    file.unlink(missing_ok=True)
    return record


def fetch(url: str, sha256: str | None, path: Path) -> str:
    """Fetch `url` to `path`, which appears when it is whole; returns its SHA-256, in hexadecimal.

    A broken transfer stays beside `path` in a `.part` file, and the next call goes on from there if
    the host can; if it can't, or its file has changed, the transfer starts again. A file that is at
    `path` already, and has this hash if one is given, is not fetched. Raises InputError if `url`
    can't be fetched, or (with nothing left behind) has another hash.
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
    """The complete `.part` file, and the hash of its content."""
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
    """A response, the `.part` file that it belongs to, and from which byte it goes on.

    A `.part` file is named after the address, the date and the size of what it is a part of.
    """
    for part in sorted(path.parent.glob(f"{escape(path.name)}.*.part")):
        start = part.stat().st_size - 1  # the last byte once more: past the end, hosts refuse
        response = _rest(url, start) if start > 0 else None
        if response is not None:
            if part == _part(path, url, response):
                return response, part, start
            response.close()
        part.unlink()
    response = urlopen(Request(url, headers=HEADERS), timeout=TIMEOUT)
    return response, _part(path, url, response), 0


def _rest(url: str, start: int) -> Any | None:
    """The response from byte `start` on; None if the host can't give it."""
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
    """The size of the whole file, if the host tells it."""
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


def _is_there(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()

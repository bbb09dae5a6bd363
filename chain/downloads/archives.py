"""Unpacking downloaded archives: whole or not at all, and never outside the folder.

Python's standard library reads zip and tar. A tool on PATH reads RAR, because no free library does.
The members are checked here, for the standard library (`shutil.unpack_archive`) has these gaps:

* Its filter for tar is missing before Python 3.11.4, and links can escape it before 3.11.13.
* It takes a tar that is cut between two members for a whole one.
* It renames the members of a zip that would land outside the folder, instead of rejecting it.
"""

import lzma
import os
import shutil
import stat
import subprocess
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from chain.core.errors import InputError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar")
MACOS = "__MACOSX"  # the folder that macOS adds to a zip
RAR_TOOLS = ("unar", "7z", "bsdtar", "unrar")


def is_archive(name: str) -> bool:
    """Whether `name` ends like an archive that `unpack` knows."""
    return name.lower().endswith(SUFFIXES)


def require_tool(name: str) -> None:
    """Raise InputError if `name` is a RAR archive and no tool that unpacks it is on PATH."""
    if name.lower().endswith(".rar") and not any(map(shutil.which, RAR_TOOLS)):
        raise InputError(f"{name}: to unpack RAR, one of {', '.join(RAR_TOOLS)} has to be on PATH")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip, tar (.gz, .bz2, .xz) or RAR archive to `folder`.

    * `folder` must be absent or empty. It appears when everything is unpacked.
    * If the archive has a single folder at its top, the content of that folder becomes `folder`.
    * An archive inside the archive is unpacked too, to a folder of its name. Archives inside that
      one are left as they are.

    Raises InputError, and leaves nothing behind, in these cases:

    * The archive is damaged, or no tool for RAR is on PATH.
    * The members of a zip or tar take more than what the disk has free.
    * A member would land outside the folder, by its name or through a link.
    """
    _unpack(archive, folder, str(archive), inner=True)


def _unpack(archive: Path, folder: Path, label: str, inner: bool) -> None:
    require_tool(label)
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed process
    try:
        with _one_line_errors(label):
            temporary.mkdir(parents=True)
            _extract(archive, temporary, label)
            shutil.rmtree(temporary / MACOS, ignore_errors=True)
        for found in _archives_in(temporary) if inner else []:
            place = found.relative_to(temporary)
            _unpack(found, _without_suffix(found), f"{label}: {place}", inner=False)
            found.unlink()
        with _one_line_errors(label):
            os.replace(_content(temporary), folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _one_line_errors(label: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (
        OSError,
        EOFError,
        OverflowError,
        RuntimeError,  # zipfile raises it for encryption and for unknown compression
        ValueError,
        subprocess.SubprocessError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{label}: can't be unpacked, perhaps damaged: {reason}") from None


def _extract(archive: Path, folder: Path, label: str) -> None:
    match archive.suffix.lower():
        case ".zip":
            _unzip(archive, folder, label)
        case ".rar":
            _unrar(archive, folder, label)
        case _:
            _untar(archive, folder, label)


def _archives_in(folder: Path) -> list[Path]:
    """The archives in a folder; hidden files are none, such as one whose whole name is `.zip`."""
    return sorted(
        path
        for path in folder.rglob("[!.]*")
        if is_archive(path.name) and path.is_file() and not path.is_symlink()
    )


def _without_suffix(archive: Path) -> Path:
    suffix = max((s for s in SUFFIXES if archive.name.lower().endswith(s)), key=len)
    return archive.with_name(archive.name[: -len(suffix)])


def _content(folder: Path) -> Path:
    """The only folder in `folder`, or else `folder`; hidden files do not count."""
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    alone = len(shown) == 1 and shown[0].is_dir() and not shown[0].is_symlink()
    return shown[0] if alone else folder


def _check(member: str, label: str) -> None:
    path = PureWindowsPath(member)  # both / and \ separate its parts
    if path.root or ".." in path.parts:
        raise InputError(f"{label}: member {member!r} would land outside its folder")


def _unzip(archive: Path, folder: Path, label: str) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            _check(member.filename, label)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{label}: member {member.filename!r} is a link")
        _check_size(sum(member.file_size for member in file.infolist()), folder, label)
        file.extractall(folder)


def _untar(archive: Path, folder: Path, label: str) -> None:
    """Unpack files and folders only, with usual permissions and the current user as their owner."""
    with tarfile.open(archive) as file:
        members, size = [], 0
        for member in file:
            members.append(member)
            size += member.size
            _check_size(size, folder, label)
            _check(member.name, label)
            if member.issym() or member.islnk():
                raise InputError(f"{label}: member {member.name!r} is a link")
            if not (member.isfile() or member.isdir()):
                raise InputError(f"{label}: member {member.name!r} is a special file")
            member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            member.mtime = time.time()  # some archives hold times that no file can have
            member.mode = 0o755 if member.isdir() else 0o644
        file.extractall(folder, members)
    if archive.suffix.lower() == ".tar":
        _check_end(archive)


def _check_size(size: int, folder: Path, label: str) -> None:
    """Raise InputError if `size` bytes are more than what the disk has free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{label}: unpacked it takes {size / 1e9:.1f} GB of disk, but {free / 1e9:.1f} GB are "
            "free"
        )


def _check_end(archive: Path) -> None:
    """Raise ReadError if the tar has lost its end, which is a block of zeros."""
    with archive.open("rb") as file:
        file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
        if any(file.read()):
            raise tarfile.ReadError("its end is missing")


def _unrar(archive: Path, folder: Path, label: str) -> None:
    """Unpack by the first tool that can; some of them read only some of RAR's versions."""
    source, reasons = str(archive.resolve()), []
    for tool in filter(shutil.which, RAR_TOOLS):
        listing, extraction = _rar_commands(tool, source, str(folder))
        try:
            for line in _run(listing):
                _check(_member(tool, line, source), label)
            _run(extraction)
        except subprocess.CalledProcessError as error:
            reasons.append(f"{tool}: {' '.join(error.stdout.split())[-200:]}")
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            return _check_links(folder, label)
    raise InputError(f"{label}: can't be unpacked, perhaps damaged: {'; '.join(reasons)}")


def _rar_commands(tool: str, archive: str, folder: str) -> tuple[list[str], list[str]]:
    """Two commands: one that lists the members, and one that extracts them."""
    match tool:
        case "unar":
            return ["lsar", archive], ["unar", "-q", "-D", "-o", folder, archive]
        case "7z":
            return ["7z", "l", "-ba", "-slt", archive], ["7z", "x", "-y", f"-o{folder}", archive]
        case "bsdtar":
            return ["bsdtar", "-tf", archive], ["bsdtar", "-xf", archive, "-C", folder]
        case _:
            return ["unrar", "lb", archive], ["unrar", "x", "-y", archive, f"{folder}/"]


def _run(command: list[str]) -> list[str]:
    """The lines that a command prints; it gets no input, so one that asks for a password fails."""
    done = subprocess.run(
        command,
        check=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout.splitlines()


def _member(tool: str, line: str, archive: str) -> str:
    """The member that a line of a listing names, or an empty text if it names none."""
    if tool == "7z":
        return line.removeprefix("Path = ") if line.startswith("Path = ") else ""
    return "" if tool == "unar" and line.startswith(f"{archive}: ") else line


def _check_links(folder: Path, label: str) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            name = str(path.relative_to(folder))
            raise InputError(f"{label}: member {name!r} links to what is outside its folder")

import io
import os
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain.core.errors import InputError
from chain.downloads.archives import RAR_TOOLS, SUFFIXES, is_archive, unpack

FILES = {"Set/a b/one.avi": b"one" * 500, "Set/two.txt": b"", "Set/ä;#.txt": b"three"}


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_tar(files: dict[str, bytes], mode: Any = "w", **links: str) -> bytes:
    """Members `files`, and `links` (symbolic, name=target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def make_rar(files: dict[str, bytes]) -> bytes:
    """RAR 5.0 without compression, after the format's public description."""

    def number(value: int) -> bytes:
        groups = bytearray()
        while value > 127:
            groups.append(value & 127 | 128)
            value >>= 7
        return bytes([*groups, value])

    def block(kind: int, fields: bytes, content: bytes | None = None) -> bytes:
        size = b"" if content is None else number(len(content))
        header = number(kind) + number(0 if content is None else 2) + size + fields
        header = number(len(header)) + header
        return struct.pack("<I", zlib.crc32(header)) + header + (content or b"")

    blocks = [b"Rar!\x1a\x07\x01\x00", block(1, number(0))]
    for name, content in files.items():
        path = name.encode()
        fields = number(4) + number(len(content)) + number(0o100644)
        fields += struct.pack("<I", zlib.crc32(content)) + number(0) + number(1)
        blocks.append(block(2, fields + number(len(path)) + path, content))
    return b"".join([*blocks, block(5, number(0))])


MAKE: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    ".zip": make_zip,
    ".tar": make_tar,
    ".tar.gz": lambda files: make_tar(files, "w:gz"),
    ".tgz": lambda files: make_tar(files, "w:gz"),
    ".tar.bz2": lambda files: make_tar(files, "w:bz2"),
    ".tar.xz": lambda files: make_tar(files, "w:xz"),
}

STUB = f"""#!{sys.executable}
import sys, tarfile
mode, archive = sys.argv[1:3]
OPTIONS = dict(filter="fully_trusted") if hasattr(tarfile, "data_filter") else dict()
with tarfile.open(archive) as file:
    if mode == "-tf":
        print(*file.getnames(), sep="\\n")
    else:
        file.extractall(sys.argv[4], **OPTIONS)
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add_tool(tools: Path, name: str, text: str) -> None:
    (tools / name).write_text(text)
    (tools / name).chmod(0o755)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(archive: Path) -> str:
    """The error of unpacking to `out`, which leaves nothing behind."""
    before = tree(archive.parent.parent)
    with pytest.raises(InputError) as caught:
        unpack(archive, archive.parent / "out")
    assert tree(archive.parent.parent) == before
    assert not list(archive.parent.glob("*out*")) and not list(archive.parent.glob(".out*"))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(archive), "ARCHIVE")


def put(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / "down" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_kind_is_tried_here() -> None:
    assert {*MAKE, ".rar"} == set(SUFFIXES)
    assert is_archive("UCF101.RAR") and is_archive("a.tar.gz")
    assert not is_archive("train.csv") and not is_archive("a.csv.gz")


@pytest.mark.parametrize("kind", MAKE)
def test_single_top_folder_is_left_away(tmp_path: Path, kind: str) -> None:
    archive = put(tmp_path, f"set{kind}", MAKE[kind](FILES))
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {
        name.removeprefix("Set/"): content for name, content in FILES.items()
    }
    assert sorted(os.listdir(tmp_path)) == ["down", "out"]


@pytest.mark.parametrize("kind", MAKE)
def test_several_at_the_top_stay(tmp_path: Path, kind: str) -> None:
    files = FILES | {"readme.txt": b"me"}
    unpack(put(tmp_path, f"set{kind}", MAKE[kind](files)), tmp_path / "out")
    assert tree(tmp_path / "out") == files


def test_what_macos_adds_is_no_second_folder(tmp_path: Path) -> None:
    added = {"__MACOSX/._x": b"", ".DS_Store": b""}
    unpack(put(tmp_path, "a.zip", make_zip({"Set/x": b"x"} | added)), tmp_path / "out")
    assert tree(tmp_path / "out") == {"x": b"x"}


def test_what_macos_adds_beside_several_folders_is_dropped(tmp_path: Path) -> None:
    added = {"__MACOSX/a/._1.avi": b"", "__MACOSX/._b.zip": b"no archive"}
    files = {"a/1.avi": b"1", "b.zip": make_zip({"2.avi": b"2", "3.avi": b"3"})}
    unpack(put(tmp_path, "a.zip", make_zip(files | added)), tmp_path / "out")
    assert tree(tmp_path / "out") == {"a/1.avi": b"1", "b/2.avi": b"2", "b/3.avi": b"3"}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("name", [".zip", "a/.tar.gz", "a/._x.zip"])
def test_hidden_members_are_no_archives(tmp_path: Path, kind: str, name: str) -> None:
    files = {name: b"no archive", "b/x.avi": b"x", "c.avi": b"c"}
    unpack(put(tmp_path, f"set{kind}", MAKE[kind](files)), tmp_path / "out")
    assert tree(tmp_path / "out") == files


@pytest.mark.parametrize("when", [1e30, -1e30, -1, 2**63, 0])
def test_absurd_times(tmp_path: Path, when: float) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("x", "y"):
            member = tarfile.TarInfo(name)
            member.mtime = when
            archive.addfile(member)
    unpack(put(tmp_path, "a.tar", buffer.getvalue()), tmp_path / "out")
    assert tree(tmp_path / "out") == {"x": b"", "y": b""}


@pytest.mark.parametrize("kind", MAKE)
def test_more_than_the_disk_holds(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = put(tmp_path, f"set{kind}", MAKE[kind]({"x": bytes(60), "y": bytes(41)}))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    assert "unpacked it takes 0.0 GB of disk" in refused(archive)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=101))
    unpack(archive, tmp_path / "out")


def test_archives_inside_once(tmp_path: Path) -> None:
    deepest = make_zip({"x": b"x", "y": b"y"})
    inner = make_tar({"wave/deep.zip": deepest, "wave/clip.avi": b"wave"}, "w:gz")
    outer = make_zip({"wave.tar.gz": inner, "jump.zip": make_zip({"1.avi": b"1", "2.avi": b"2"})})
    unpack(put(tmp_path, "all.zip", outer), tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "wave/deep.zip": deepest,
        "wave/clip.avi": b"wave",
        "jump/1.avi": b"1",
        "jump/2.avi": b"2",
    }


def test_damaged_archive_inside_is_named(tmp_path: Path) -> None:
    outer = make_zip({"jump.zip": make_zip(FILES)[:-9], "wave.zip": make_zip(FILES)})
    message = refused(put(tmp_path, "all.zip", outer))
    assert message.startswith("ARCHIVE: jump.zip: can't be unpacked, perhaps damaged: ")


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".out.unpacking").mkdir()
    (tmp_path / ".out.unpacking" / "old").write_bytes(b"old")
    unpack(put(tmp_path, "a.zip", make_zip({"new": b"new"})), tmp_path / "out")
    assert tree(tmp_path / "out") == {"new": b"new"} and not (tmp_path / ".out.unpacking").exists()


@pytest.mark.parametrize("kind", MAKE)
def test_cut_anywhere(tmp_path: Path, kind: str) -> None:
    whole = MAKE[kind](FILES)
    cuts = {*range(0, len(whole), max(len(whole) // 60, 1)), 512, 1024, 2560, 3072, 3584}
    for cut in sorted(cut for cut in cuts if cut < len(whole)):
        archive = put(tmp_path, f"cut{kind}", whole[:cut])
        try:
            unpack(archive, tmp_path / "out")
        except InputError as error:
            assert str(error).startswith(f"{archive}: can't be unpacked, perhaps damaged: ")
            assert "\n" not in str(error) and os.listdir(tmp_path) == ["down"]
        else:
            assert len(tree(tmp_path / "out")) == len(FILES)
            shutil.rmtree(tmp_path / "out")
    assert "perhaps damaged" in refused(put(tmp_path, f"a{kind}", b"<html>no such page</html>"))


def test_changed_bytes(tmp_path: Path) -> None:
    whole = bytearray(make_zip({"a": bytes(range(256)) * 4}))
    whole[60] ^= 255
    assert "perhaps damaged" in refused(put(tmp_path, "a.zip", bytes(whole)))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"])
@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz", ".rar"])
def test_member_outside(tmp_path: Path, tools: Path, kind: str, name: str) -> None:
    add_tool(tools, "bsdtar", STUB)
    content = (MAKE | {".rar": make_tar})[kind]({"fine": b"", name: b"evil"})
    message = refused(put(tmp_path, f"a{kind}", content))
    assert message == f"ARCHIVE: member {name!r} would land outside its folder"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret"])
def test_link_outside_in_a_rar(tmp_path: Path, tools: Path, target: str) -> None:
    add_tool(tools, "bsdtar", STUB)
    archive = put(tmp_path, "a.rar", make_tar({"fine": b""}, link=target))
    assert refused(archive) == "ARCHIVE: member 'link' links to what is outside its folder"


def test_link_inside_in_a_rar(tmp_path: Path, tools: Path) -> None:
    add_tool(tools, "bsdtar", STUB)
    unpack(put(tmp_path, "a.rar", make_tar({"fine": b"ok"}, link="fine")), tmp_path / "out")
    assert tree(tmp_path / "out") == {"fine": b"ok", "link": b"ok"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "fine"])
def test_link_in_a_tar(tmp_path: Path, target: str) -> None:
    archive = put(tmp_path, "a.tar", make_tar({"fine": b""}, link=target))
    assert refused(archive) == "ARCHIVE: member 'link' is a link"


def test_a_tar_gives_no_rights(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("fine")
        member.mode, member.uid = 0o6777, 12345
        archive.addfile(member, io.BytesIO())
    unpack(put(tmp_path, "a.tar", buffer.getvalue()), tmp_path / "out")
    status = (tmp_path / "out/fine").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o644, os.getuid())


def test_link_in_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    message = refused(put(tmp_path, "a.zip", buffer.getvalue()))
    assert message == "ARCHIVE: member 'link' is a link"


def test_special_file_in_a_tar(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("pipe")
        member.type = tarfile.FIFOTYPE
        archive.addfile(member)
    assert "'pipe' is a special file" in refused(put(tmp_path, "a.tar", buffer.getvalue()))


# --------------------------------------------------------------------------------------------------
# RAR
# --------------------------------------------------------------------------------------------------


def test_no_tool_for_rar(tmp_path: Path, tools: Path) -> None:
    message = refused(put(tmp_path, "a.rar", make_rar(FILES)))
    assert message == "ARCHIVE: to unpack RAR, one of unar, 7z, bsdtar, unrar has to be on PATH"
    inside = make_zip({"jump.rar": make_rar(FILES), "wave.zip": make_zip(FILES)})
    assert refused(put(tmp_path, "a.zip", inside)).startswith("ARCHIVE: jump.rar: to unpack RAR")


def test_rar_of_rars(tmp_path: Path, tools: Path) -> None:
    add_tool(tools, "bsdtar", STUB)
    clips = {name: make_tar({f"{name}/1.avi": name.encode()}) for name in ("wave", "jump")}
    outer = make_tar({f"{name}.rar": content for name, content in clips.items()})
    unpack(put(tmp_path, "all.rar", outer), tmp_path / "out")
    assert tree(tmp_path / "out") == {"wave/1.avi": b"wave", "jump/1.avi": b"jump"}


def test_next_tool_where_one_fails(tmp_path: Path, tools: Path) -> None:
    leaves = 'import os, sys\nif "-o" in sys.argv: open(sys.argv[4] + "/half", "w")\n'
    add_tool(tools, "unar", f"#!{sys.executable}\n{leaves}sys.exit('no\\nidea')")
    add_tool(tools, "lsar", f"#!{sys.executable}\nprint('/x: RAR 5') if 0 else print('one')")
    archive = put(tmp_path, "a.rar", make_tar({"one": b"1"}))
    assert refused(archive) == "ARCHIVE: can't be unpacked, perhaps damaged: unar: no idea"
    add_tool(tools, "bsdtar", STUB)
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"one": b"1"}


@pytest.mark.parametrize("tool", RAR_TOOLS)
def test_real_tools(tmp_path: Path, tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    places = {name: shutil.which(name) for name in (tool, *["lsar"] * (tool == "unar"))}
    (tmp_path / "bin").mkdir()
    for name, place in places.items():
        (tmp_path / "bin" / name).symlink_to(str(place))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    archive = put(tmp_path, "a b.rar", make_rar(FILES | {"in.rar": make_rar({"x": b"y"})}))
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == FILES | {"in/x": b"y"}
    message = refused(put(tmp_path, "cut.rar", make_rar(FILES)[:900]))
    assert message.startswith(f"ARCHIVE: can't be unpacked, perhaps damaged: {tool}: ")
    for name in ("../evil", "/evil"):
        evil = put(tmp_path, "evil.rar", make_rar({"fine": b"", name: b"evil"}))
        assert refused(evil) == f"ARCHIVE: member {name!r} would land outside its folder"

"""Whether a file is whole, told by the structure of its container.

FFmpeg reads on after a hole in these containers, or stops at one, and says nothing. So their
elements are walked here from header to header: each has to begin where the one before it ends, and
the last one has to end with the file.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from chain.video.container import check

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
# fmt: off
ELEMENTS = {
    0x1A45DFA3, 0xEC, 0xBF,  # EBML, Void, CRC-32
    0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367,  # Segment's
    0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF,  # a Cluster's
}
# fmt: on
"""Matroska's elements (RFC 9559) of the file, of a Segment and of a Cluster."""
ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_HEADER = 2**16  # bytes, in which the properties of the file are found
ASF_BROADCAST = 1  # the flag of a file that does not state its number of packets
ASF_PACKET = b"\x82"  # says that two bytes of error correction follow
FLV_TAGS = {8, 9, 18}  # sound, video, script
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
TS_PACKETS = (188, 192, 204)  # bytes: plain, with a time code, with a checksum

Walk = Callable[[BinaryIO, int, float], bool]


def is_whole(path: Path, container: str, until: float) -> bool:
    """Whether nothing is missing in a file that FFmpeg reads as the format `container`.

    Damage inside a packet goes unseen. Of a format without an entry in WALKS, nothing is known, and
    the file counts as whole. Raises VideoError after the deadline `until`.
    """
    walk = WALKS.get(container)
    if walk is None:
        return True
    with path.open("rb") as file:
        return walk(file, path.stat().st_size, until)


def _matroska(file: BinaryIO, size: int, until: float) -> bool:
    """Matroska and WebM; a Segment and a Cluster may leave their sizes open."""
    place = 0
    while place < size:
        check(until)
        file.seek(place)
        head = file.read(12)
        length = 9 - head[0].bit_length()  # of the id, whose first set bit says it
        name, rest = int.from_bytes(head[:length], "big"), head[length:]
        if not rest or not rest[0] or name not in ELEMENTS | {SEGMENT, CLUSTER}:
            return False
        count = 9 - rest[0].bit_length()
        content = int.from_bytes(rest[:count], "big") & (1 << 7 * count) - 1
        opened, open_end = name in (SEGMENT, CLUSTER), content == (1 << 7 * count) - 1
        end = place + length + count + content
        if (end > size and not open_end) or (open_end and not opened):
            return False
        place += length + count if opened else length + count + content
    return place == size


def _avi(file: BinaryIO, size: int, until: float) -> bool:
    """AVI, whose frames are chunks in the lists `RIFF` and `movi`, and perhaps in lists `rec `."""
    place = 0
    while place < size:
        check(until)
        file.seek(place)
        head = file.read(12)
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        if not name.strip().isalnum():
            return False
        opened = name == b"RIFF" or (name == b"LIST" and head[8:] in (b"movi", b"rec "))
        place += 12 if opened else 8 + length + length % 2
    return place - size in (0, 1)  # the last chunk need not be padded


def _asf(file: BinaryIO, size: int, until: float) -> bool:
    """Windows Media: packets are of one size, and all have ASF_PACKET in front, or none."""
    header = file.read(min(size, ASF_HEADER))
    place = header.find(ASF_FILE)
    stated = header[place : place + 104]
    packets, flags, length = (
        int.from_bytes(stated[at:to], "little") for at, to in ((56, 64), (88, 92), (92, 96))
    )
    data = int.from_bytes(header[16:24], "little")
    file.seek(min(data, size))
    if place < 0 or file.read(16) != ASF_DATA or not length:
        return False
    start = data + 50
    if flags & ASF_BROADCAST:
        packets = (size - start) // length
    if start + packets * length > size:
        return False
    firsts = set[bytes]()
    for number in range(packets):
        check(until)
        file.seek(start + number * length)
        firsts.add(file.read(1))
    return firsts <= {ASF_PACKET} or ASF_PACKET not in firsts


def _flv(file: BinaryIO, size: int, until: float) -> bool:
    place = int.from_bytes(file.read(9)[5:], "big") + 4
    while place < size:
        check(until)
        file.seek(place)
        head = file.read(4)
        if head[0] & 0x1F not in FLV_TAGS:
            return False
        place += 11 + int.from_bytes(head[1:], "big") + 4
    return place - size in (0, 4)  # the length of the last tag need not follow it


def _ogg(file: BinaryIO, size: int, until: float) -> bool:
    """Ogg, whose pages have a checksum each (RFC 3533)."""
    place = 0
    while place < size:
        check(until)
        head = file.read(27)
        if head[:4] != b"OggS" or len(head) < 27:
            return False
        lengths = file.read(head[26])
        page = head[:22] + bytes(4) + head[26:] + lengths + file.read(sum(lengths))
        if _ogg_checksum(page) != int.from_bytes(head[22:26], "little"):
            return False
        place += len(page)
    return place == size


def _ogg_checksum(page: bytes) -> int:
    """It is zlib's with the bits of each byte and of the result in reverse, and no inversion."""
    checksum = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{checksum:032b}"[::-1], 2)


def _mov(file: BinaryIO, size: int, until: float) -> bool:
    """MP4 and MOV; unless they are in fragments, FFmpeg knows what is missing within."""
    place, names = 0, set[bytes]()
    while place < size:
        check(until)
        file.seek(place)
        head = file.read(16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        elif length == 0:  # the last box, up to the end
            length = size - place
        if length < 8 or not name.isalnum():
            break
        names.add(name)
        place += length
    return place == size or (place < size and b"moof" not in names)


def _mpegts(file: BinaryIO, size: int, until: float) -> bool:
    """MPEG-TS, whose packets count themselves, which FFmpeg checks; only the end is left."""
    return any(size % length == 0 for length in TS_PACKETS)


WALKS: dict[str, Walk] = {
    "matroska,webm": _matroska,
    "asf": _asf,
    "avi": _avi,
    "flv": _flv,
    "ogg": _ogg,
    "mov,mp4,m4a,3gp,3g2,mj2": _mov,
    "mpegts": _mpegts,
}
"""How each format is walked, given the open file, its size in bytes and the deadline."""

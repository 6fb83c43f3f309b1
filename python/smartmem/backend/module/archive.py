"""Checks that a compiled module is as it was written, bit by bit, before anything runs it.

A ``.vmfb`` is a ZIP file whose members are stored as they are, each with its checksum.
IREE's runtime reads neither the checksums nor the directory at the end. ZIP's own readers
leave out most fields of the headers. Here the headers are made once more from what they
say, as iree-compile makes them (``ArchiveWriter.cpp``), and compared: a bit outside of the
members counts as much as one inside.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SIGNATURE = b"PK\x03\x04"
_END_SIGNATURE = b"PK\x05\x06"
_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_SIZES = struct.Struct("<2H2Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_CENTRAL_SIZES = struct.Struct("<2H3Q")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")

_VERSION = 45  # with 64-bit sizes
_MADE_BY = 0x031E
_DATE = 0x21  # 1980-01-01
_PADDING = 0xFECA
_SIZES = 0x0001
_ELSEWHERE = 0xFFFFFFFF
"""Stands where a size or offset is in the field of 64-bit sizes."""

_ALIGNMENT = 64
_CHUNK_BYTES = 16 << 20


class _Member(NamedTuple):
    name: bytes
    crc: int
    size: int
    offset: int


class _DamagedError(Exception):
    """What is not as it was written."""


def damage(data: bytes | mmap.mmap) -> str | None:
    """What of a module is not as iree-compile wrote it; None if all is.

    A module without ZIP headers (``--iree-vm-emit-polyglot-zip=false``) has no checksums:
    nothing can be found in it.

    Args:
        data: the content of the ``.vmfb``. All of it is read.
    """
    if data[:4] != _SIGNATURE:
        return "its beginning is not that of a module" if _has_end(data) else None
    try:
        members, end = _members(data)
    except (_DamagedError, struct.error) as error:
        return str(error) if isinstance(error, _DamagedError) else "its end is missing"
    if data[end:] == b"".join(_directory(members, end)):
        return None
    whole = _has_end(data)
    return (
        "its directory does not fit its content" if whole else "its end is missing or changed"
    )


def _has_end(data: bytes | mmap.mmap) -> bool:
    return data[-_END.size :][:4] == _END_SIGNATURE


def _members(data: bytes | mmap.mmap) -> tuple[list[_Member], int]:
    """The members, whose checksums were compared, and where the directory begins."""
    members: list[_Member] = []
    position = 0
    while data[position : position + 4] == _SIGNATURE:
        member, position = _member(data, position)
        members.append(member)
        # What follows is aligned.
        padding = data[position : position + _ALIGNMENT]
        position += len(padding) - len(padding.lstrip(b"\0"))
    return members, position


def _member(data: bytes | mmap.mmap, offset: int) -> tuple[_Member, int]:
    """The member at ``offset``, and where it ends."""
    *_, crc, _, _, name_length, extra_length = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + name_length + extra_length
    *_, size = _LOCAL_SIZES.unpack_from(data, start - _LOCAL_SIZES.size)
    if start + size > len(data):
        raise _DamagedError("its end is missing")
    name = data[offset + _LOCAL.size :][:name_length]
    member = _Member(name, crc, size, offset)
    if data[offset:start] != _local_header(member, extra_length):
        raise _DamagedError(f"the header at byte {offset} is not as it was written")
    if _crc(data, start, start + size) != crc:
        raise _DamagedError(f"the checksum of bytes {start} to {start + size} does not fit")
    return member, start + size


def _crc(data: bytes | mmap.mmap, start: int, end: int) -> int:
    crc = 0
    with memoryview(data) as view:
        for position in range(start, end, _CHUNK_BYTES):
            crc = zlib.crc32(view[position : min(position + _CHUNK_BYTES, end)], crc)
    return crc


def _local_header(member: _Member, extra_length: int) -> bytes:
    sizes = _LOCAL_SIZES.pack(_SIZES, 16, member.size, member.size)
    padding = extra_length - len(sizes) - 4
    if padding < 0:
        raise _DamagedError(f"the header at byte {member.offset} is not as it was written")
    fields = (_VERSION, 0, 0, 0, _DATE, member.crc, _ELSEWHERE, _ELSEWHERE)
    header = _LOCAL.pack(_SIGNATURE, *fields, len(member.name), extra_length)
    return header + member.name + struct.pack("<2H", _PADDING, padding) + bytes(padding) + sizes


def _directory(members: Sequence[_Member], offset: int) -> Iterator[bytes]:
    """The directory of an archive, and the records behind it."""
    records = [_central_record(member) for member in members]
    size, count = sum(map(len, records)), len(records)
    yield from records
    counts = (count, count, size)
    yield _END_64.pack(
        b"PK\x06\x06", _END_64.size - 12, _VERSION, _VERSION, 0, 0, *counts, offset
    )
    yield _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1)
    yield _END.pack(_END_SIGNATURE, 0, 0, *counts, _ELSEWHERE, 0)


def _central_record(member: _Member) -> bytes:
    sizes = _CENTRAL_SIZES.pack(_SIZES, 24, member.size, member.size, member.offset)
    fields = (_MADE_BY, _VERSION, 0, 0, 0, _DATE, member.crc, _ELSEWHERE, _ELSEWHERE)
    lengths = (len(member.name), len(sizes), 0)
    header = _CENTRAL.pack(b"PK\x01\x02", *fields, *lengths, 0, 0, 0, _ELSEWHERE)
    return header + member.name + sizes

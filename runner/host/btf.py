"""What the kernel's type information says of its tracepoints; any user may read it."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

FOLDER = Path("/sys/kernel/btf")
VMLINUX = FOLDER / "vmlinux"

# include/uapi/linux/btf.h: header, and struct btf_type { name_off, info, size }.
_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F
_TYPE = struct.Struct("=III")
_MEMBER = struct.Struct("=III")
_KIND_STRUCT = 4
_KIND_ENUM = 6
_ENUMERATOR = struct.Struct("=Ii")
_MOST_ENUMERATORS = 4096
_COMMON_FIELDS = frozenset({"ent", "__data"})
_DATA_LOC = "__data_loc_"


def tracepoint_fields(name: str) -> tuple[str, ...] | None:
    """Return the fields of a tracepoint, or None where no part of this kernel has it.

    The fields are known where the event has a layout of its own (`TRACE_EVENT` or a class of the same
    name); an event that shares its class with others has none here: the class is not named.
    """
    for path in files():
        types, strings = sections(path)
        # include/linux/tracepoint.h makes a typedef of this name for each.
        if strings.find(f"\0btf_trace_{name}\0".encode()) < 0:
            continue
        # A module's types count their strings on from the end of the kernel's.
        base = b"" if path == VMLINUX else sections(VMLINUX)[1]
        return _members(types, base + strings, f"trace_event_raw_{name}") or ()
    return None


def enum_names(member: str) -> dict[int, str]:
    """Return the names of the values of the kernel's enumeration that has a member; empty where none has.

    Some enumerations have no name (that of the softirqs), so they are found by a member.
    """
    types, strings = sections(VMLINUX)
    offset = strings.find(f"\0{member}\0".encode()) + 1
    if offset == 0:
        return {}
    wanted = struct.pack("=I", offset)
    place = types.find(wanted)
    while place >= 0:
        found = _enumerators(types, place) if place % 4 == 0 else None
        if found is not None:
            return {value: _string(strings, name) for name, value in found}
        place = types.find(wanted, place + 1)
    return {}


def _enumerators(types: bytes, place: int) -> list[tuple[int, int]] | None:
    """Return the members of the enumeration that has one at this place: its head stands before the first."""
    for before in range(_MOST_ENUMERATORS):
        head = place - before * _ENUMERATOR.size - _TYPE.size
        if head < 0:
            return None
        _, info, size = _TYPE.unpack_from(types, head)
        count = info & 0xFFFF
        if info >> 24 & 0x1F == _KIND_ENUM and size == 4 and before < count:
            begin = head + _TYPE.size
            return [_ENUMERATOR.unpack_from(types, begin + n * _ENUMERATOR.size) for n in range(count)]
    return None


def files() -> list[Path]:
    """Return the files of type information: the kernel's, then those of its modules."""
    try:
        modules = sorted(path for path in FOLDER.iterdir() if path != VMLINUX)
    except OSError:
        return []
    return [VMLINUX, *modules]


@cache
def sections(path: Path) -> tuple[bytes, bytes]:
    """Return the types and the strings of a file; none where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return b"", b""
    magic, _, _, header, type_at, type_bytes, string_at, string_bytes = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        return b"", b""
    return (
        data[header + type_at : header + type_at + type_bytes],
        data[header + string_at : header + string_at + string_bytes],
    )


def _members(types: bytes, strings: bytes, name: str) -> tuple[str, ...] | None:
    """Return the names of a structure's members."""
    offset = strings.find(f"\0{name}\0".encode()) + 1
    if offset == 0:
        return None
    wanted = struct.pack("=I", offset)
    place = types.find(wanted)
    while place >= 0:
        if place % 4 == 0:
            _, info, _ = _TYPE.unpack_from(types, place)
            if info >> 24 & 0x1F == _KIND_STRUCT:
                begin = place + _TYPE.size
                count = info & 0xFFFF
                names = [
                    _string(strings, _MEMBER.unpack_from(types, begin + index * _MEMBER.size)[0])
                    for index in range(count)
                ]
                return tuple(n.removeprefix(_DATA_LOC) for n in names if n not in _COMMON_FIELDS)
        place = types.find(wanted, place + 1)
    return None


def _string(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode(errors="replace")

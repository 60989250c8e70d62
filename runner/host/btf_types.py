"""What the kernel's type information says of functions (their arguments, in C) and of structures."""

from __future__ import annotations

import struct
from functools import cache, cached_property
from typing import TYPE_CHECKING

from runner.host.btf import VMLINUX, files, sections

if TYPE_CHECKING:
    from pathlib import Path

# Kinds of include/uapi/linux/btf.h.
_PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF = 2, 3, 4, 5, 6, 7, 8
_VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _ENUM64, _TYPE_TAG = 9, 10, 11, 12, 13, 19, 18
_QUALIFIERS = {_VOLATILE: "volatile", _CONST: "const", _RESTRICT: "restrict"}
_TAGS = {_STRUCT: "struct ", _UNION: "union ", _ENUM: "enum ", _ENUM64: "enum ", _FWD: "struct "}

_TYPE = struct.Struct("=III")
_PAIR = struct.Struct("=II")
_MEMBER_BYTES = 12
# What follows a type: so many bytes, and so many for each of its members.
_FIXED = {1: 4, _ARRAY: 12, 14: 4, 17: 4}
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, 15: 12, _ENUM64: 12}

_TRACEPOINT = "btf_trace_"
_EVENT = "trace_event_raw_"
_DATA_LOC = "__data_loc_"

Argument = tuple[str, str]
"""Name and type; the name is empty where it is not known."""


class Types:
    """The types of the kernel, or of one of its modules, which go on from the kernel's."""

    def __init__(self, path: Path, base: Types | None = None) -> None:
        """Find where each type stands.

        :param base: The kernel's, where these are a module's.
        """
        self._types, own = sections(path)
        self._base = base
        self._first = base.count if base is not None else 1
        self.strings: bytes = base.strings + own if base is not None else own
        self._places: list[int] = []
        place, end, unpack = 0, len(self._types), _TYPE.unpack_from
        while place < end:
            self._places.append(place)
            info = unpack(self._types, place)[1]
            kind = info >> 24 & 0x1F
            place += _TYPE.size + _FIXED.get(kind, 0) + _EACH.get(kind, 0) * (info & 0xFFFF)

    @property
    def count(self) -> int:
        """Return the number of types, the nameless void included."""
        return self._first + len(self._places)

    @cached_property
    def functions(self) -> dict[str, int]:
        """Return the type of each function, by its name."""
        return self._named(_FUNC)

    @cached_property
    def _typedefs(self) -> dict[str, int]:
        return self._named(_TYPEDEF)

    @cached_property
    def _structs(self) -> dict[str, int]:
        return self._named(_STRUCT)

    def arguments(self, function: str) -> list[Argument] | None:
        """Return a function's arguments, or None where it is not known."""
        identity = self.functions.get(function)
        return None if identity is None else self._parameters(self._head(identity)[2])

    def returns(self, function: str) -> str | None:
        """Return the type of what a function returns, or None where it is not known."""
        identity = self.functions.get(function)
        return None if identity is None else self._text(self._head(self._head(identity)[2])[2])

    def tracepoints(self) -> list[str]:
        """Return the names of tracepoints: include/linux/tracepoint.h makes a typedef for each."""
        return [name.removeprefix(_TRACEPOINT) for name in self._typedefs if name.startswith(_TRACEPOINT)]

    def tracepoint_arguments(self, name: str) -> list[Argument] | None:
        """Return what a tracepoint passes (not its fields), or None where it is not known."""
        named = self.arguments(f"__traceiter_{name}")
        if named is not None:
            return named[1:]  # the first is the tracepoint's own
        pointer = self._typedefs.get(f"{_TRACEPOINT}{name}")
        if pointer is None:
            return None
        prototype = self._head(self._head(pointer)[2])[2]
        return self._parameters(prototype)[1:]

    def tracepoint_fields(self, name: str) -> list[Argument] | None:
        """Return the fields of a tracepoint, or None where they are not known: it shares another's layout."""
        identity = self._structs.get(f"{_EVENT}{name}")
        if identity is None:
            return None
        kind, count, _, begin = self._head(identity)
        assert kind == _STRUCT
        fields = []
        for index in range(count):
            name_at, type_of = _PAIR.unpack_from(self._types, begin + index * _MEMBER_BYTES)
            field = self._string(name_at)
            if field.startswith(_DATA_LOC):
                fields.append((field.removeprefix(_DATA_LOC), "__data_loc"))
            elif field not in ("ent", "__data"):
                fields.append((field, self._text(type_of)))
        return fields

    def member_offset(self, name: str, member: str) -> int | None:
        """Return where a member of a structure begins, in bytes; None where there is no such one.

        Members of a nameless structure or union inside are the structure's own, as in C.
        """
        identity = self._structs.get(name)
        bits = None if identity is None else self._member_bits(identity, member)
        return None if bits is None else bits // 8

    def _member_bits(self, identity: int, member: str) -> int | None:
        kind, count, _, begin = self._head(identity)
        if kind not in (_STRUCT, _UNION):
            return None
        has_bitfields = _TYPE.unpack_from(self._types, begin - _TYPE.size)[1] >> 31
        for index in range(count):
            name_at, type_of, place = _TYPE.unpack_from(self._types, begin + index * _MEMBER_BYTES)
            # Where a structure has bit fields, the upper byte is the size of the field.
            bits = place & 0xFFFFFF if has_bitfields else place
            own = self._string(name_at)
            if own == member:
                return int(bits)
            inner = None if own else self._member_bits(type_of, member)
            if inner is not None:
                return int(bits) + inner
        return None

    def _named(self, wanted: int) -> dict[str, int]:
        found = {}
        for index, place in enumerate(self._places):
            name, info, _ = _TYPE.unpack_from(self._types, place)
            if info >> 24 & 0x1F == wanted:
                found[self._string(name)] = self._first + index
        return found

    def _string(self, offset: int) -> str:
        return self.strings[offset : self.strings.index(b"\0", offset)].decode(errors="replace")

    def _head(self, identity: int) -> tuple[int, int, int, int]:
        """Return kind, number of members, type or size, and where the members stand."""
        place = self._places[identity - self._first]
        _, info, value = _TYPE.unpack_from(self._types, place)
        return info >> 24 & 0x1F, info & 0xFFFF, value, place + _TYPE.size

    def _parameters(self, prototype: int) -> list[Argument]:
        if self._base is not None and prototype < self._first:
            return self._base._parameters(prototype)  # noqa: SLF001  # the same class
        _, count, _, begin = self._head(prototype)
        pairs = (_PAIR.unpack_from(self._types, begin + index * _PAIR.size) for index in range(count))
        # The last one of a function with any number of arguments has neither name nor type.
        return [
            (self._string(name), self._text(type_of)) if type_of else ("", "...") for name, type_of in pairs
        ]

    def _text(self, identity: int) -> str:
        """Return a type as C writes it."""
        if identity == 0:
            return "void"
        if self._base is not None and identity < self._first:
            return self._base._text(identity)  # noqa: SLF001  # the same class
        kind, _, value, begin = self._head(identity)
        name = self._string(_TYPE.unpack_from(self._types, begin - _TYPE.size)[0])
        if kind == _PTR:
            return self._pointer(value)
        if kind == _ARRAY:
            element, _, length = _TYPE.unpack_from(self._types, begin)
            return f"{self._text(element)}[{length}]"
        if kind in _QUALIFIERS:
            inner = self._text(value)
            return f"{inner} {_QUALIFIERS[kind]}" if inner.endswith("*") else f"{_QUALIFIERS[kind]} {inner}"
        if kind == _TYPE_TAG:
            return self._text(value)
        return f"{_TAGS.get(kind, '')}{name or '(anonymous)'}"

    def _pointer(self, target: int) -> str:
        if target and (self._base is None or target >= self._first):
            kind, _, value, _ = self._head(target)
            if kind == _FUNC_PROTO:
                arguments = ", ".join(type_of for _, type_of in self._parameters(target))
                return f"{self._text(value)} (*)({arguments})"
        text = self._text(target)
        return f"{text}*" if text.endswith("*") else f"{text} *"


@cache
def kernel_types() -> Types | None:
    """Return the kernel's types, or None where it does not describe them; a tenth of a second."""
    types = Types(VMLINUX)
    return types if types.count > 1 else None


@cache
def module_types(module: str) -> Types | None:
    """Return the types of a module, or None where it has none of its own."""
    kernel = kernel_types()
    path = VMLINUX.with_name(module)
    if kernel is None or path not in files():
        return None
    return Types(path, kernel)

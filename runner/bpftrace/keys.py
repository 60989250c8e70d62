"""Printed map keys: cut into the parts that carry each declared key, and read as what they are."""

from __future__ import annotations

import ipaddress
import itertools
from typing import TYPE_CHECKING, Any

from runner.bpftrace.stacks import decode_stack
from runner.capture.encode import encode_text
from runner.capture.error_names import error_name
from runner.capture.syscalls import syscall_name
from runner.capture.words import words_to_text
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.bpftrace.names import Names
    from runner.capture.declaration import KeyDeclaration, TableDeclaration
    from runner.capture.document import KeyValue

Parts = list[str]
"""One text for each part of a map's key, as bpftrace prints it."""

_WORD = 1 << 64
_SIGN = 1 << 63
_MINOR_BITS = 20
"""MINORBITS of include/linux/kdev_t.h."""


def in_64_bits(number: int) -> bool:
    """Whether a number is one that bpftrace can print."""
    return -_SIGN <= number < _WORD


def signed(number: int) -> int:
    """Return a 64-bit integer as a signed one."""
    return (number + _SIGN) % _WORD - _SIGN


def unsigned(number: int) -> int:
    """Return a 64-bit integer as an unsigned one."""
    return number % _WORD


def split_key(
    declaration: TableDeclaration, printed: str, extra: int, separator: str = ","
) -> tuple[Parts, Parts]:
    """Cut a printed key into the parts of the declared keys, and those behind them.

    Integers and addresses have no commas, and a kernel stack ends at the first comma that begins a line;
    a user stack, whose symbols are anybody's, is what is left.

    :param extra: How many parts stand behind the declared ones.
    :param separator: What bpftrace joins parts with: a bare comma in JSON, one and a space in text.
    :raises NotUnderstood: The key does not have these parts.
    """
    rest: str | None = printed if declaration.keys or extra else None
    tail: Parts = []
    for _ in range(extra):
        if rest is None:
            raise _unfit(declaration, printed)
        before, comma, last = rest.rpartition(separator)
        tail.insert(0, last)
        rest = before if comma else None
    parts: Parts = []
    for place, key in enumerate(declaration.keys):
        for number in range(key.parts):
            if rest is None:
                raise _unfit(declaration, printed)
            is_last = place == len(declaration.keys) - 1 and number == key.parts - 1
            part, rest = _next_part(key, rest, separator, is_last=is_last)
            parts.append(part)
    if rest is not None:
        raise _unfit(declaration, printed)
    return parts, tail


def _next_part(key: KeyDeclaration, text: str, separator: str, *, is_last: bool) -> tuple[str, str | None]:
    if key.type == "user-stack" or (is_last and key.is_stack):
        return text, None
    if key.type == "kernel-stack" and text.startswith("\n"):
        separator = f"\n{separator}"
    part, comma, rest = text.partition(separator)
    return part, rest if comma else None


def typed_parts(declaration: TableDeclaration, key: Any, extra: int) -> tuple[Parts, Parts]:
    """Return the same of a key that was printed as a value: a list, or its only part.

    :raises NotUnderstood: The key does not have these parts.
    """
    values = [str(part) for part in (key if isinstance(key, list) else [key])]
    count = sum(column.parts for column in declaration.keys)
    if len(values) != count + extra:
        raise _unfit(declaration, key)
    return values[:count], values[count:]


def decode_key(declaration: TableDeclaration, parts: Parts, names: Names) -> tuple[dict[str, KeyValue], bool]:
    """Return the key, and whether its owner is known.

    :raises NotUnderstood: A part is not of its declared type.
    """
    columns = list(_columns(declaration, parts))
    owners = [part for column, own in columns if column.owner for part in own]
    is_owned = not owners or any(part != "0" for part in owners)
    groups = [unsigned(int(own[0])) for column, own in columns if column.type == "cgroup"]
    is_named = all(identity in names.cgroups for identity in groups)
    try:
        return {
            column.name: None if column.owner and not is_owned else decode_part(column, own, names)
            for column, own in columns
        }, is_owned and is_named
    except ValueError as error:
        raise NotUnderstood(
            f"{declaration.map}: the key {parts} does not fit its declaration: {error}"
        ) from error


def has_unnamed_cgroup(declaration: TableDeclaration, parts: Parts, names: Names) -> bool:
    """Whether a key is of a cgroup that nobody saw; the cgroup of an owner that is not known is none."""
    return any(
        column.type == "cgroup" and own != ["0"] and unsigned(int(own[0])) not in names.cgroups
        for column, own in _columns(declaration, parts)
    )


def text_words(declaration: TableDeclaration, parts: Parts) -> Iterator[tuple[KeyDeclaration, list[int]]]:
    """Return each declared string of a key as the integers that carry it; names always have their NUL."""
    for column, own in _columns(declaration, parts):
        if column.type == "string":
            yield column, [int(word) for word in own]


def _columns(declaration: TableDeclaration, parts: Parts) -> Iterator[tuple[KeyDeclaration, Parts]]:
    left = iter(parts)
    for column in declaration.keys:
        yield column, list(itertools.islice(left, column.parts))


def decode_part(column: KeyDeclaration, parts: Sequence[str], names: Names) -> KeyValue:
    """Return what the parts of one key say.

    :raises ValueError: They are not of its type.
    """
    match column.type:
        case "comm" | "string":
            return encode_text(words_to_text([int(word) for word in parts], names.byteorder))
        case "ip":
            address = ipaddress.ip_address(parts[0])
            # IPv4 over an IPv6 socket is IPv4 on the wire.
            return str(getattr(address, "ipv4_mapped", None) or address)
        case "integer":
            return signed(int(parts[0]))
        case "unsigned" | "socket" | "port":
            return unsigned(int(parts[0]))
        case "boolean":
            return int(parts[0]) != 0
        case "device":
            number = unsigned(int(parts[0]))
            unnamed = f"{number >> _MINOR_BITS}:{number & ((1 << _MINOR_BITS) - 1)}"
            return names.devices.get(number, unnamed)
        case "enum":
            assert column.enum is not None
            return column.enum.label(signed(int(parts[0])), names.enums.get(column.enum.member, {}))
        case "syscall":
            return syscall_name(unsigned(int(parts[0])), names.arch)
        case "error":
            return error_name(unsigned(int(parts[0])))
        case "cgroup":
            return names.cgroups.get(unsigned(int(parts[0])))
        case "function":
            place = int(parts[0])
            return names.functions[place] if place in range(len(names.functions)) else parts[0]
        case "ksym":
            return parts[0]
        case "kernel-stack" | "user-stack":
            return decode_stack(parts[0])


def _unfit(declaration: TableDeclaration, printed: Any) -> NotUnderstood:
    return NotUnderstood(f"{declaration.map}: the key {printed!r} does not have the parts that are declared")

"""From printed maps to the tables that a recipe declares."""

from __future__ import annotations

import ipaddress
import itertools
from typing import TYPE_CHECKING, Any

from runner.bpftrace.messages import Pairs
from runner.capture.declaration import WORDS_PER_KEY
from runner.capture.encode import encode_text
from runner.capture.words import words_to_name
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runner.bpftrace.messages import Messages
    from runner.capture.declaration import KeyType, Kind, TableDeclaration
    from runner.capture.document import KeyValue, Problem, ScalarRow, Table
    from runner.capture.words import ByteOrder

_MERGE: Mapping[Kind, Callable[[Iterable[int]], int]] = {"count": sum, "sum": sum, "min": min, "max": max}
"""How rows whose keys decode to the same are one row, by kind."""

_ZERO_WHEN_ABSENT: frozenset[Kind] = frozenset({"count", "sum"})


def decode_tables(
    declarations: Sequence[TableDeclaration],
    messages: Messages,
    byteorder: ByteOrder,
    max_keys: int,
    *,
    is_whole: bool = True,
) -> tuple[list[Table], list[Problem]]:
    """Decode every declared table.

    :param max_keys: The room that each map had.
    :param is_whole: Whether all maps were printed: only then is an absent count a zero.
    :returns: The tables, in the order of their declarations, and what is wrong with them.
    :raises NotUnderstood: A map was printed in a shape that its declaration does not have.
    """
    tables = [
        _decode_table(declaration, messages, byteorder, is_whole=is_whole) for declaration in declarations
    ]
    return tables, list(_overflows(declarations, tables, max_keys))


def unowned_sockets(declarations: Sequence[TableDeclaration], messages: Messages) -> set[int]:
    """Return the inodes of the sockets whose owner no probe saw.

    :raises NotUnderstood: A map was printed in a shape that its declaration does not have.
    """
    found = set()
    for declaration in declarations:
        if declaration.socket_column is None:
            continue
        place = [key.name for key in declaration.keys].index(declaration.socket_column)
        _, data = messages.maps.get(declaration.map, (None, None))
        for printed, _ in data if isinstance(data, Pairs) else ():
            found.add(int(_split_key(declaration, printed)[place][0]))
    return found - {0}


def _decode_table(
    declaration: TableDeclaration, messages: Messages, byteorder: ByteOrder, *, is_whole: bool
) -> Table:
    _, data = messages.maps.get(declaration.map, (None, None))
    return {
        "name": declaration.name,
        "map": declaration.map,
        "kind": declaration.kind,
        "unit": declaration.unit,
        "keys": [{"name": key.name, "type": key.type} for key in declaration.keys],
        "rows": _scalar_rows(declaration, data, byteorder, is_whole=is_whole),
    }


def _scalar_rows(
    declaration: TableDeclaration, data: Any, byteorder: ByteOrder, *, is_whole: bool
) -> list[ScalarRow]:
    merge = _MERGE.get(declaration.kind)
    if merge is None:
        raise NotUnderstood(f"{declaration.map}: tables of kind {declaration.kind} cannot be decoded yet")
    if not declaration.keys:
        if data is None:
            return [{"key": {}, "value": 0}] if is_whole and declaration.kind in _ZERO_WHEN_ABSENT else []
        return [{"key": {}, "value": _integer(declaration, data)}]
    if data is None:
        return []
    if not isinstance(data, Pairs):
        raise NotUnderstood(f"{declaration.map} was printed without keys: {data!r}")
    values: dict[tuple[Any, ...], list[int]] = {}
    rows: dict[tuple[Any, ...], ScalarRow] = {}
    for printed, value in data:
        words = _split_key(declaration, printed)
        key = _decode_key(declaration, words, byteorder)
        identity = tuple(str(part) for part in key.values())
        if identity not in rows:
            rows[identity] = {"key": key, "value": 0}
            if _has_no_owner(declaration, words):
                rows[identity]["unattributed"] = True
        values.setdefault(identity, []).append(_integer(declaration, value))
    for identity, row in rows.items():
        row["value"] = merge(values[identity])
    return sorted(rows.values(), key=lambda row: (-row["value"], str(row["key"])))


def _split_key(declaration: TableDeclaration, printed: str) -> list[list[str]]:
    """Split a printed key into the parts of each declared key."""
    widths = [WORDS_PER_KEY.get(key.type, 1) for key in declaration.keys]
    parts = iter(printed.split(","))
    words = [list(itertools.islice(parts, width)) for width in widths]
    if [len(part) for part in words] != widths or next(parts, None) is not None:
        raise NotUnderstood(f"{declaration.map}: the key {printed!r} has not {sum(widths)} parts")
    return words


def _decode_key(
    declaration: TableDeclaration, words: Sequence[Sequence[str]], byteorder: ByteOrder
) -> dict[str, KeyValue]:
    is_unknown = _has_no_owner(declaration, words)
    try:
        return {
            column.name: None if is_unknown and column.owner else _decode_part(column.type, parts, byteorder)
            for column, parts in zip(declaration.keys, words, strict=True)
        }
    except ValueError as error:
        raise NotUnderstood(
            f"{declaration.map}: the key {words} does not fit its declaration: {error}"
        ) from error


def _decode_part(key_type: KeyType, parts: Sequence[str], byteorder: ByteOrder) -> KeyValue:
    match key_type:
        case "comm":
            return encode_text(words_to_name(int(parts[0]), int(parts[1]), byteorder))
        case "ip":
            address = ipaddress.ip_address(parts[0])
            # IPv4 over an IPv6 socket is IPv4 on the wire.
            return str(getattr(address, "ipv4_mapped", None) or address)
        case "integer" | "port" | "socket":
            return int(parts[0])
        case _:
            raise NotUnderstood(f"keys of type {key_type} cannot be decoded yet")


def _has_no_owner(declaration: TableDeclaration, words: Sequence[Sequence[str]]) -> bool:
    owners = [parts for column, parts in zip(declaration.keys, words, strict=True) if column.owner]
    return bool(owners) and all(part == "0" for parts in owners for part in parts)


def _integer(declaration: TableDeclaration, value: Any) -> int:
    # Since v0.24 an integer that a double cannot hold is printed as a string.
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise NotUnderstood(f"{declaration.map}: {value!r} is not a whole number")


def _overflows(
    declarations: Sequence[TableDeclaration], tables: Sequence[Table], max_keys: int
) -> Iterable[Problem]:
    """Find tables that had no room for all their keys: bpftrace before 0.23 says nothing of it."""
    by_name = {table["name"]: table for table in tables}
    checked = set()
    for declaration in declarations:
        if declaration.total_of is None:
            continue
        checked.add(declaration.total_of)
        total = sum(row["value"] for row in by_name[declaration.name]["rows"])  # type: ignore[typeddict-item]
        counted = sum(row["value"] for row in by_name[declaration.total_of]["rows"])  # type: ignore[typeddict-item]
        if total > counted:
            yield {
                "code": "map-full",
                "count": total - counted,
                "detail": f"{declaration.total_of} had no room for more than {max_keys} keys: "
                f"{total - counted} of {total} are in no row",
            }
    for table in tables:
        if table["keys"] and table["name"] not in checked and len(table["rows"]) >= max_keys:
            yield {
                "code": "map-full",
                "count": None,
                "detail": f"{table['name']} is full ({max_keys} keys): more may be missing",
            }

"""The rows of a table that have the keys of a condition, and those of which that cannot be known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import KeyMatch
    from runner.capture.declaration import KeyType
    from runner.capture.document import KeyValue, Row, Table


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a subject means, and those that it may mean."""

    rows: Sequence[Any]
    possible: Sequence[Any]


def select(table: Table, keys: Sequence[KeyMatch]) -> Selection:
    types = {column["name"]: column["type"] for column in table["keys"]}
    rows: Sequence[Any] = table["rows"]
    fits = [_fit(row, keys, types) for row in rows]
    return Selection(
        [row for row, fit in zip(rows, fits, strict=True) if fit],
        [row for row, fit in zip(rows, fits, strict=True) if fit is None],
    )


def _fit(row: Row, keys: Sequence[KeyMatch], types: dict[str, KeyType | None]) -> bool | None:
    """Return whether a row has the keys; None where that cannot be known."""
    fit: bool | None = True
    for key in keys:
        value = row["key"][key.name]
        # A process may be one of several that hold a socket; a task without a name for its cgroup is in none.
        is_unknown = value is None and (types[key.name] != "cgroup" or row.get("unattributed", False))
        if is_unknown or key.name in (*row.get("damaged", ()), *row.get("ambiguous", ())):
            fit = None
        elif not _is_equal(value, key, types[key.name]):
            return False
    return fit


def _is_equal(value: KeyValue, key: KeyMatch, kind: KeyType | None) -> bool:
    if isinstance(value, bool):
        return key.value == ("true" if value else "false")
    if isinstance(value, int):
        return key.value.removeprefix("-").isdecimal() and int(key.value) == value
    text = value["text"] if isinstance(value, dict) else value
    if not isinstance(text, str):
        return False
    if kind == "ip":
        # Nothing else needs it, and it takes milliseconds to load.
        import ipaddress  # noqa: PLC0415

        try:
            return ipaddress.ip_address(text) == ipaddress.ip_address(key.value)
        except ValueError:
            return False
    return text.startswith(key.value) if key.is_prefix else text == key.value

"""Read captures from files, checked against their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.capture.document import Capture, Table
from runner.capture.whole_file import read_whole
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from pathlib import Path

    from runner.capture.declaration import Kind

_WHOLE: frozenset[Kind] = frozenset({"count", "sum", "min", "max", "avg"})

_FIELDS: dict[Kind, frozenset[str]] = {
    "stats": frozenset({"count", "average", "total"}),
    "histogram": frozenset({"count", "buckets", "quantiles"}),
    "time-series": frozenset({"points"}),
}

_CAPTURE = TypeAdapter(Capture)

_SCHEMA = "ebpf-recipe/capture/v"


def read_capture(path: Path) -> Capture:
    """Read one capture. Fields that this release does not know are left out.

    :raises NotUnderstood: The file is not a capture of version 1.
    """
    raw = _read(path)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_json(path, error) from error
    return _checked(found, str(path))


def read_captures(path: Path) -> list[Capture]:
    """Read what one file holds: a capture, an array of them, or one on each line.

    :raises NotUnderstood: Something in it is not a capture of version 1.
    """
    raw = _read(path)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        found = _lines(raw, path)
        if found is None:
            raise _not_json(path, error) from error
    if not isinstance(found, list):
        found = [] if _is_event(found) else [found]
        if found:
            return [_checked(found[0], str(path))]
    if not found:
        raise NotUnderstood(f"{path} holds no capture")
    return [_checked(each, f"{path}: capture {place}") for place, each in enumerate(found, 1)]


def _read(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error


def _not_json(path: Path, error: orjson.JSONDecodeError, line: int | None = None) -> NotUnderstood:
    return NotUnderstood(f"{path}:{line or error.lineno}:{error.colno}: not JSON: {error.msg}")


def _lines(raw: bytes, path: Path) -> list[Any] | None:
    """Return the captures of a file of lines, without the events between them; None where it is none.

    :raises NotUnderstood: It begins as one, and a line is no JSON.
    """
    found = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            if not found:
                return None
            raise _not_json(path, error, number) from error
    return [each for each in found if not _is_event(each)]


def _is_event(found: Any) -> bool:
    return isinstance(found, dict) and str(found.get("schema")).startswith("ebpf-recipe/event/")


def _checked(found: Any, where: str) -> Capture:
    """Return a capture whose types and tables are held against what they say.

    :param where: The file, and which capture in it.
    :raises NotUnderstood: It is none.
    """
    schema = found.get("schema") if isinstance(found, dict) else None
    if isinstance(schema, str) and schema.startswith(_SCHEMA) and schema != f"{_SCHEMA}1":
        raise NotUnderstood(
            f"{where}: {schema} is newer than what this release reads ({_SCHEMA}1)",
            hint="a newer ebpf-recipe reads it",
        )
    try:
        capture = _CAPTURE.validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{where} is not a capture: {place}: {first['msg']}") from error
    for table in capture["tables"]:
        _check(table, where)
    for number, event in enumerate(capture["events"]):
        for name, value in event["fields"].items():
            if not all(_is_plain(each) for each in (value if isinstance(value, list) else [value])):
                raise NotUnderstood(f"{where} is not a capture: events.{number}.{name}: no value of a field")
    return capture


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a field of an event, or a word of it, has."""
    if isinstance(value, dict):
        return value.keys() == {"text", "base64"} and all(isinstance(each, str) for each in value.values())
    return value is None or isinstance(value, str | int)


def _is_histogram(row: Any) -> bool:
    """Whether buckets have bounds and counts, and each quantile is a pair of bounds or not known."""
    for bucket in row["buckets"]:
        lower, upper = bucket.get("lower", ""), bucket.get("upper", "")
        if not (
            (type(lower) is int or lower is None)
            and (type(upper) is int or upper is None)
            and type(bucket.get("count")) is int
        ):
            return False
    return type(row["count"]) is int and all(
        pair is None
        or (
            isinstance(pair, list)
            and len(pair) == 2
            and all(each is None or type(each) is int for each in pair)
        )
        for pair in row["quantiles"].values()
    )


def _check(table: Table, where: str) -> None:
    """Refuse a table whose rows are not what the table itself says: the types cannot say that.

    :raises NotUnderstood: Naming the table and the row.
    """
    names = {column["name"] for column in table["keys"]}
    fields = _FIELDS.get(table["kind"], frozenset({"value"}))
    for place, row in enumerate(table["rows"]):
        value = row.get("value", 0)
        if row["key"].keys() != names:
            problem = f"its keys are not {sorted(names)}"
        elif not fields <= row.keys():
            problem = f"it does not have {', '.join(sorted(fields - row.keys()))}"
        elif table["kind"] == "histogram" and not _is_histogram(row):
            problem = "its buckets or quantiles are none"
        elif table["kind"] in _WHOLE and type(value) is not int:
            problem = f"{value!r} is not a whole number"
        else:
            continue
        raise NotUnderstood(f"{where} is not a capture: table {table['name']}, row {place}: {problem}")

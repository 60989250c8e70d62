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


def read_capture(path: Path) -> Capture:
    """Read one capture. Fields that this release does not know are left out.

    :raises NotUnderstood: The file is not a capture of version 1.
    """
    try:
        capture = _CAPTURE.validate_python(orjson.loads(read_whole(path)))
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{path} is not a capture: {where}: {first['msg']}") from error
    for table in capture["tables"]:
        _check(table, path)
    for place, event in enumerate(capture["events"]):
        for name, value in event["fields"].items():
            if not all(_is_plain(each) for each in (value if isinstance(value, list) else [value])):
                raise NotUnderstood(f"{path} is not a capture: events.{place}.{name}: no value of a field")
    return capture


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a field of an event, or a word of it, has."""
    if isinstance(value, dict):
        return value.keys() == {"text", "base64"} and all(isinstance(each, str) for each in value.values())
    return value is None or isinstance(value, str | int)


def _is_histogram(row: Any) -> bool:
    """Whether buckets have bounds and counts, and each quantile is a pair of bounds or not known."""
    bounds = [[bucket.get("lower", ""), bucket.get("upper", "")] for bucket in row["buckets"]]
    bounds += [pair for pair in row["quantiles"].values() if pair is not None]
    counts = [row["count"], *(bucket.get("count") for bucket in row["buckets"])]
    return (
        all(isinstance(pair, list) and len(pair) == 2 for pair in bounds)
        and all(each is None or type(each) is int for pair in bounds for each in pair)
        and all(type(count) is int for count in counts)
    )


def _check(table: Table, path: Path) -> None:
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
        raise NotUnderstood(f"{path} is not a capture: table {table['name']}, row {place}: {problem}")

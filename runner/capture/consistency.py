"""What the types of a capture cannot say: rows that are what their table says, and numbers that can be.

What somebody's bpftrace printed is read as it is, however strange; but numbers that cannot be are compared
with no others.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.capture.arithmetic import CUMULATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.declaration import Kind
    from runner.capture.document import Capture, Table

_WHOLE: frozenset[Kind] = frozenset({"count", "sum", "min", "max", "avg"})

_FIELDS: dict[Kind, frozenset[str]] = {
    "stats": frozenset({"count", "average", "total"}),
    "histogram": frozenset({"count", "buckets", "quantiles"}),
    "time-series": frozenset({"points"}),
}

_LEAST_SECONDS = 1e-6
"""Durations are written in microseconds."""

_MOST_SECONDS = 1e10


def contradiction(capture: Capture) -> str | None:
    """Return what in a capture of the right types cannot be, and where; None where all of it can."""
    return next(_contradictions(capture), None)


def impossible_number(capture: Capture) -> str | None:
    """Return which number of a table cannot be, and where; None where all can."""
    for table in capture["tables"]:
        for place, row in enumerate(table["rows"]):
            problem = _impossible(table["kind"], row)
            if problem is not None:
                return f"table {table['name']}, row {place}: {problem}"
    return None


def _impossible(kind: Kind, row: Any) -> str | None:
    if kind == "histogram":
        whole = 0
        for bucket in row["buckets"]:
            lower, upper, count = bucket["lower"], bucket["upper"], bucket["count"]
            if count < 0:
                return "a bucket has fewer than no events"
            if lower is not None and upper is not None and lower > upper:
                return "a bucket ends before it begins"
            whole += count
        return "its count is not that of its buckets" if whole != row["count"] else None
    counted = row["value"] if kind == "count" else row["count"] if kind == "stats" else 0
    return f"a count of {counted} is below zero" if counted < 0 else None


def _contradictions(capture: Capture) -> Iterator[str]:
    seconds = capture["window"]["duration_seconds"]
    if seconds and not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        yield f"window.duration_seconds: no window lasts {seconds:g} s"
    workload = capture["window"].get("workload")
    if workload is not None and "work" in workload and workload["work"]["count"] < 0:
        yield f"window.workload.work: {workload['work']['count']} is below zero"
    kinds: dict[str, Kind] = {}
    for table in capture["tables"]:
        if table["name"] in kinds:
            yield f"two tables are called {table['name']}"
        kinds[table["name"]] = table["kind"]
        yield from _of_table(table)
    for table in capture["tables"]:
        of = table.get("total_of")
        if of in kinds and not {table["kind"], kinds[of]} <= CUMULATIVE:
            yield f"table {table['name']} is no total of {of}: one of them counts nothing"
    for number, event in enumerate(capture["events"]):
        for name, value in event["fields"].items():
            if not all(_is_plain(each) for each in (value if isinstance(value, list) else [value])):
                yield f"events.{number}.{name}: no value of a field"


def _of_table(table: Table) -> Iterator[str]:
    for text in (table.get("since"), table.get("until")):
        if text is not None and not _is_time(text):
            yield f"table {table['name']}: {text!r} is no time with its zone"
    names = {column["name"] for column in table["keys"]}
    fields = _FIELDS.get(table["kind"], frozenset({"value"}))
    for place, row in enumerate(table["rows"]):
        problem = _of_row(table["kind"], row, names, fields)
        if problem is not None:
            yield f"table {table['name']}, row {place}: {problem}"


def _of_row(kind: Kind, row: Any, names: set[str], fields: frozenset[str]) -> str | None:
    value = row.get("value", 0)
    if row["key"].keys() != names:
        return f"its keys are not {sorted(names)}"
    if not fields <= row.keys():
        return f"it does not have {', '.join(sorted(fields - row.keys()))}"
    if kind == "histogram" and not _is_histogram(row):
        return "its buckets or quantiles are none"
    if kind in _WHOLE and type(value) is not int:
        return f"{value!r} is not a whole number"
    return None


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


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a field of an event, or a word of it, has."""
    if isinstance(value, dict):
        return value.keys() == {"text", "base64"} and all(isinstance(each, str) for each in value.values())
    return value is None or isinstance(value, str | int)

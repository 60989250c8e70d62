"""The rows of a capture that stand out: the greatest of its first table, and of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.amounts import quantity
from runner.capture.condition import parse_condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.document import Capture, Table
    from runner.workflow.documents import Finding, PlannedStep

SHOWN = 5
"""So many rows of each capture."""

_STACKS = frozenset({"kernel-stack", "user-stack"})
_FRAMES = 4
"""Frames of a stack that are shown, innermost first."""


def findings_of(step: PlannedStep, capture: Capture) -> list[Finding]:
    """Return what stands out in a capture: of the table that its conditions name, and of its events."""
    found = [_of_events(step, capture), _of_table(step, capture)]
    return [each for each in found if each is not None and each["rows"]]


def _of_table(step: PlannedStep, capture: Capture) -> Finding | None:
    keyed = [each for each in capture["tables"] if each["keys"] and "total_of" not in each]
    named = [
        parse_condition(text, what="condition").subject.table
        for rule in step["rules"]
        if rule["says"] != "refutes"
        for text in rule["when"]
    ]
    # What a condition is about before the first of all, and what has rows before what has none.
    ordered = sorted(keyed, key=lambda each: (not each["rows"], each["name"] not in named))
    table = next(iter(ordered), None)
    if table is None:
        return None
    stats = _stats_beside(capture, table)
    rows: Sequence[Any] = stats["rows"] if stats is not None else table["rows"]
    chosen = stats if stats is not None else table
    ranked = sorted(rows, key=_size, reverse=True)[:SHOWN]
    types = {column["name"]: column["type"] for column in chosen["keys"]}
    return {
        "capture": step["name"],
        "recipe": step["recipe"],
        "scope": step["scope"],
        "table": chosen["name"],
        "unit": chosen["unit"],
        "rows": [
            {"what": _key(row["key"], types), "value": _value(row, chosen["unit"])}
            for row in ranked
            if _size(row)
        ],
    }


def _stats_beside(capture: Capture, table: Table) -> Table | None:
    """Return a table of stats with the keys of a histogram and more: who took how long, in a line each."""
    if table["kind"] != "histogram":
        return None
    names = {column["name"] for column in table["keys"]}
    beside = [each for each in capture["tables"] if each["kind"] == "stats"]
    return next((each for each in beside if names <= {column["name"] for column in each["keys"]}), None)


def _of_events(step: PlannedStep, capture: Capture) -> Finding | None:
    events = capture["events"]
    if not events:
        return None
    first = events[0]["fields"]
    name = next((each for each in ("path", "file", "remote_address", "comm") if each in first), None)
    length = next((each for each in ("latency",) if each in first), None)
    if name is None:
        return None
    groups: dict[str, list[int]] = {}
    for event in events:
        fields: Mapping[str, Any] = event["fields"]
        time = fields.get(length) if length else 0
        groups.setdefault(_text(fields.get(name)), []).append(time if isinstance(time, int) else 0)
    ranked = sorted(groups.items(), key=lambda each: (-len(each[1]), each[0]))[:SHOWN]
    unit = step["event_units"].get(str(length))
    rows = []
    for what, times in ranked:
        value = f"{len(times)} events"
        if length:
            value += f", the longest {quantity(max(times), unit)}"
        rows.append({"what": f"{name} {what}", "value": value})
    return {
        "capture": step["name"],
        "recipe": step["recipe"],
        "scope": step["scope"],
        "table": events[0]["name"],
        "unit": "events",
        "rows": rows,
    }


def _size(row: Any) -> int:
    return abs(int(row.get("total", row.get("value", row.get("count", 0))) or 0))


def _value(row: Any, unit: str | None) -> str:
    if "total" in row:
        return f"{quantity(row['total'], unit)} in {row['count']}"
    if "buckets" in row:
        return f"{row['count']} events"
    return quantity(row["value"], unit)


def _key(key: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {_text(value)}" for name, value in key.items() if _is_told(value, types.get(name))
    )


def _is_told(value: Any, kind: str | None) -> bool:
    return not (kind in _STACKS and not value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        frames = [str(each.get("symbol", each.get("address"))) for each in value[:_FRAMES]]
        return " < ".join(frames)
    if isinstance(value, dict):
        return str(value["text"])
    return "unknown" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

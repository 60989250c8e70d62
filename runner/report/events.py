"""Events as people and programs read them while they come: rows of columns, lines of JSON."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import orjson

from runner.capture.amounts import amount
from runner.report.words import printable, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.capture.declaration import EventDeclaration, Unit
    from runner.capture.document import Event

SCHEMA = "ebpf-recipe/event/v1"

_WIDTHS = {
    "integer": 8,
    "unsigned": 10,
    "comm": 16,
    "error": 8,
    "boolean": 5,
    "port": 5,
    "device": 8,
    "path": 24,
}
_TIME = 12
"""`10:15:02.123`: UTC, as captures and logs have it."""

_AMOUNT = 9


def event_line(event: Event, recipe: str) -> bytes:
    """Return an event as one line of JSON; integers are exact, however great.

    :param recipe: The id of the recipe that reports it.
    """
    document = {"schema": SCHEMA, "recipe": recipe, **event}
    try:
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(document, ensure_ascii=False).encode() + b"\n"


class EventColumns:
    """The columns of a recipe's events, wide enough for what they mostly hold; nothing is cut."""

    def __init__(self, declarations: Iterable[EventDeclaration]) -> None:
        """Lay out the columns."""
        self._fields = {each.name: each.fields for each in declarations}

    def head(self) -> str:
        """Return the lines that name the columns, one for each kind of event."""
        return "".join(f"{self._laid_out(name, 'time', self._names(name))}\n" for name in self._fields)

    def row(self, event: Event) -> str:
        """Return the line of an event."""
        fields = self._fields[event["name"]]
        doubtful = (*event.get("cut", ()), *event.get("damaged", ()))
        values = [
            _shown(event["fields"][each.name], each.unit) + (" (cut)" if each.name in doubtful else "")
            for each in fields
        ]
        time = (event["time"] or "").partition("T")[2].removesuffix("Z")
        return f"{self._laid_out(event['name'], time, values)}\n"

    def _names(self, name: str) -> list[str]:
        return [field.name for field in self._fields[name]]

    def _laid_out(self, name: str, time: str, values: Iterable[str]) -> str:
        return " ".join(self._cells(name, time, values)).rstrip()

    def _cells(self, name: str, time: str, values: Iterable[str]) -> Iterator[str]:
        yield f"{time:{_TIME}}"
        if len(self._fields) > 1:
            yield f"{name:{max(map(len, self._fields))}}"
        for field, value in zip(self._fields[name], values, strict=True):
            width = _AMOUNT if field.unit is not None else _WIDTHS.get(field.type, 0)
            is_number = field.unit is not None or field.type in ("integer", "unsigned", "port")
            yield f"{value:>{width}}" if is_number else f"{value:{width}}"


def format_events(events: Sequence[Event]) -> str:
    """Return a table of the events of a capture, of which only the values are known."""
    lines = []
    for event in events:
        time = (event["time"] or "").partition("T")[2].removesuffix("Z")
        cells = [printable(time), printable(event["name"])]
        for name, value in event["fields"].items():
            mark = " (cut)" if name in (*event.get("cut", ()), *event.get("damaged", ())) else ""
            cells.append(f"{printable(name)}={_shown(value, None)}{mark}")
        lines.append("  ".join(cells))
    return "\n".join(lines)


def _shown(value: Any, unit: Unit | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        # Quoted as a shell wants it: what is shown can be typed.
        return shlex.join(readable(word) for word in value)
    if isinstance(value, int) and not isinstance(value, bool) and unit is not None:
        return amount(value, unit)
    return printable(str(value["text"] if isinstance(value, dict) else value))

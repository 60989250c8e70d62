"""Statements that report an event as it happens: how each of its fields travels is settled here alone.

What is printed is one tuple of integers (of names and other texts of fixed size the words, see
`recording.py`) with one text at most, which every release prints exactly. What has no fixed size (a path, a
command line) goes before it, in pieces that carry the same time and thread.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from runner.capture.declaration import EVENT_MARK, PIECE_MARK
from runner.recipe.recording import MistakenRecord, code_of, key_parts, with_cgroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.capture.declaration import EventDeclaration, FieldDeclaration, TableDeclaration

_VARIABLE = re.compile(r"\$[a-z][a-z0-9_]*")
_IN_PIECES = ("path", "arguments")


class Emitter:
    """What templates call as `emit(event, at="$now", field=expression, …)`.

    `at` is a variable that holds `(uint64)nsecs`. A text is an expression `str(…)`. What goes in pieces is
    printed by `piece`, and the field is told how much there is: of a path the pieces, of arguments the bytes.
    """

    def __init__(self, events: Iterable[EventDeclaration], tables: Iterable[TableDeclaration]) -> None:
        """Report these events.

        :param tables: Among them those that count events (`events_of`).
        """
        self._events = {event.name: (index, event) for index, event in enumerate(events)}
        self._counters = {table.events_of: table.map for table in tables if table.events_of}

    def __call__(self, event: str, /, *, at: Any = None, **fields: Any) -> Markup:
        """Return the statements.

        :raises MistakenRecord: No such event, fields that it does not have, or no time.
        """
        index, declaration = self._found(event)
        fields = with_cgroup([each.key for each in declaration.fields if each.key is not None], fields)
        expected = {field.name for field in declaration.fields}
        if missing := sorted(expected - fields.keys()):
            raise MistakenRecord(f"emit({event!r}): it has no {', '.join(missing)}")
        if wrong := sorted(fields.keys() - expected):
            own = ", ".join(sorted(expected))
            raise MistakenRecord(f"emit({event!r}): it has no field {', '.join(wrong)}; its fields are {own}")
        parts = [part for field in declaration.fields for part in _parts(event, field, fields[field.name])]
        return Markup("\n  ").join(
            [
                _printed([f"(uint64){EVENT_MARK}", f"(uint64){index}", *_identity(event, at), *parts]),
                Markup(f"{self._counters[event]} = count();"),  # noqa: S704
            ]
        )

    def piece(self, event: str, field: str, parts: Any, /, *, at: Any = None) -> Markup:
        """Return what prints one piece of a field.

        :param parts: Expressions: `str(…)` of a path's component, or words of a command line.
        :raises MistakenRecord: No such field, or one that does not go in pieces.
        """
        index, declaration = self._found(event)
        names = [each.name for each in declaration.fields if each.type in _IN_PIECES]
        if field not in names:
            raise MistakenRecord(f"emit.piece({event!r}): {field!r} is no field that goes in pieces")
        place = [each.name for each in declaration.fields].index(field)
        codes = [code_of(event, part) for part in (parts if isinstance(parts, list | tuple) else [parts])]
        head = [f"(uint64){PIECE_MARK}", f"(uint64){index}", *_identity(event, at), f"(uint64){place}"]
        return _printed([*head, *codes])

    def _found(self, event: str) -> tuple[int, EventDeclaration]:
        if event not in self._events:
            raise MistakenRecord(
                f"emit({event!r}): there are {', '.join(sorted(self._events)) or 'no events'}"
            )
        return self._events[event]


def _identity(event: str, at: Any) -> list[str]:
    if at is None or not _VARIABLE.fullmatch(code_of(event, at)):
        raise MistakenRecord(f'emit({event!r}): at is a variable that holds (uint64)nsecs: at="$now"')
    return [f"(uint64){at}", "(uint64)tid"]


def _parts(event: str, field: FieldDeclaration, given: Any) -> list[str]:
    if field.key is not None:
        return list(key_parts(event, field.key, given))
    code = code_of(event, given)
    # Arithmetic widens by the source on every release (see recording.py).
    return [code if field.type == "text" else f"(int64)(({code}) + (int64)0)"]


def _printed(parts: list[str]) -> Markup:
    # Built from text of the template and from what the recipe declares; no value from outside is in it.
    return Markup(f"print(({', '.join(parts)}));")  # noqa: S704

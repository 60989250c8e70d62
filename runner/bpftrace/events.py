"""From printed tuples to the events that a recipe declares."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runner.bpftrace.keys import decode_part, in_64_bits, signed, unsigned
from runner.bpftrace.repair import as_bytes
from runner.capture.declaration import (
    ARGUMENT_BYTES,
    ARGUMENT_PIECE_BYTES,
    EVENT_MARK,
    PIECE_MARK,
)
from runner.capture.encode import encode_text
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.bpftrace.names import Names
    from runner.capture.declaration import EventDeclaration, FieldDeclaration
    from runner.capture.document import TextBytes

_MOST_WAITING = 4096
"""Events of which pieces came and the rest did not, or not yet: more of them were lost."""

_HEAD = 4
_WORD_BYTES = 8


class DecodedEvent:
    """An event as it was printed.

    :ivar at_ns: When it happened, on the clock of `nsecs`.
    :ivar cut: Fields that were longer than what is kept, and `damaged`, those of which pieces were lost.
    """

    __slots__ = ("at_ns", "cut", "damaged", "fields", "name")

    def __init__(self, name: str, at_ns: int) -> None:
        self.name = name
        self.at_ns = at_ns
        self.fields: dict[str, Any] = {}
        self.cut: list[str] = []
        self.damaged: list[str] = []


def is_of_events(kind: str, data: Any) -> bool:
    """Whether what a statement printed is an event, or a piece of one."""
    return kind == "value" and isinstance(data, list) and bool(data) and data[0] in (EVENT_MARK, PIECE_MARK)


class EventDecoder:
    """Puts events together; what it is given is in the order of the output."""

    def __init__(
        self,
        declarations: Sequence[EventDeclaration],
        names: Names,
        text_bytes: int,
    ) -> None:
        """Have seen nothing yet.

        :param text_bytes: How much of a text is kept, its NUL included.
        """
        self._declarations = declarations
        self._names = names
        self._text_bytes = text_bytes
        self._pieces: dict[tuple[int, int, int, int], list[list[Any]]] = {}

    def take(self, data: list[Any]) -> DecodedEvent | None:
        """Return the event that is whole now; None for a piece of one.

        :raises NotUnderstood: It does not have the shape that its declaration has.
        """
        try:
            index, at, thread = (_whole(each) for each in data[1:_HEAD])
            if data[0] == PIECE_MARK:
                place = (index, at, thread, _whole(data[_HEAD]))
                self._pieces.setdefault(place, []).append(data[_HEAD + 1 :])
                if len(self._pieces) > _MOST_WAITING:
                    del self._pieces[next(iter(self._pieces))]
                return None
            return self._decoded(index, at, thread, data[_HEAD:])
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise NotUnderstood(f"an event was printed in a shape that is not declared: {data!r}") from error

    def _decoded(self, index: int, at: int, thread: int, parts: list[Any]) -> DecodedEvent:
        declaration = self._declarations[index]
        event = DecodedEvent(declaration.name, at)
        if len(parts) != sum(field.parts for field in declaration.fields):
            raise ValueError
        for place, field in enumerate(declaration.fields):
            own, parts = parts[: field.parts], parts[field.parts :]
            pieces = self._pieces.pop((index, at, thread, place), [])
            event.fields[field.name] = self._value(event, field, own, pieces)
        return event

    def _value(
        self, event: DecodedEvent, field: FieldDeclaration, parts: list[Any], pieces: list[list[Any]]
    ) -> Any:
        if field.key is not None:
            if field.type == "error" and _whole(parts[0]) == 0:
                return None
            is_text = field.type == "ip"
            return decode_part(
                field.key, [part if is_text else str(_whole(part)) for part in parts], self._names
            )
        match field.type:
            case "text":
                return self._text(event, field, parts[0])
            case "path":
                return self._path(event, field, signed(_whole(parts[0])), pieces)
            case _:
                return self._arguments(event, field, signed(_whole(parts[0])), pieces)

    def _text(self, event: DecodedEvent, field: FieldDeclaration, text: Any) -> str | TextBytes:
        raw = as_bytes(_string(text))
        if len(raw) >= self._text_bytes - 1 and field.name not in event.cut:
            event.cut.append(field.name)
        return encode_text(raw)

    def _path(
        self, event: DecodedEvent, field: FieldDeclaration, count: int, pieces: list[list[Any]]
    ) -> str | TextBytes | None:
        """Return a path, whose components come from its end; a negative count says that it goes on."""
        names = [as_bytes(_string(name)) for (name,) in pieces]
        if len(names) != abs(count):
            event.damaged.append(field.name)
            return None
        if count == 0:
            return None
        if count < 0 or any(len(name) >= self._text_bytes - 1 for name in names):
            event.cut.append(field.name)
        return encode_text((b"" if count < 0 else b"/") + b"/".join(reversed(names)))

    def _arguments(
        self, event: DecodedEvent, field: FieldDeclaration, length: int, pieces: list[list[Any]]
    ) -> list[str | TextBytes] | None:
        """Return the words of a command line: its bytes as integers, each word with its NUL."""
        kept = min(max(length, 0), ARGUMENT_BYTES)
        if len(pieces) != -(-kept // ARGUMENT_PIECE_BYTES):
            event.damaged.append(field.name)
            return None
        raw = b"".join(
            unsigned(_whole(word)).to_bytes(_WORD_BYTES, self._names.byteorder)
            for piece in pieces
            for word in piece
        )
        if length > len(raw):
            event.cut.append(field.name)
        words = raw[:length].split(b"\0")
        if length <= len(raw) and words and not words[-1]:
            words.pop()
        return [encode_text(word) for word in words]


_DIGITS = re.compile(r"-?[0-9]{1,20}", re.ASCII)


def _whole(part: Any) -> int:
    """Return an integer of 64 bits; great ones are printed as texts by 0.27.

    :raises TypeError, ValueError: It is none.
    """
    if type(part) is str and _DIGITS.fullmatch(part):
        part = int(part)
    if type(part) is not int or not in_64_bits(part):
        raise TypeError(f"{part!r} is no integer of 64 bits")
    return part


def _string(part: Any) -> str:
    if type(part) is not str:
        raise TypeError(f"{part!r} is no text")
    return part

"""bpftrace's JSON output, line by line: nothing is dropped, no key that stands twice is lost."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

from runner.bpftrace.lines import Lines
from runner.bpftrace.output import ErrorMessage, Object, Pairs, PrintedMap
from runner.bpftrace.repair import HexadecimalCounts, quoted, readable, restored
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.bpftrace.evidence import Evidence
    from runner.bpftrace.output import Listener

_BEGINNING = b'{"type": "'
_SIGN = "\uffff".encode()
_STATEMENT_TYPES = ("printf", "time", "join", "cat")
_STATEMENTS = tuple(f'{{"type": "{kind}", "data": "'.encode() for kind in _STATEMENT_TYPES)
DEEPEST = 64
"""Objects and lists in one another; structures of the kernel are not nested half as deep."""

_ESCAPED = re.compile(rb"\\u")
_NAME = re.compile(r"@[A-Za-z0-9_]*")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no value")


_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_constant=_refuse)


def read_message(line: bytes) -> Object | None:
    """Return the object of a line of sound JSON, or None where the line holds none.

    :raises NotUnderstood: The line begins as a message and is none.
    """
    stripped = line.strip()
    if not stripped.startswith(_BEGINNING):
        return None
    try:
        return _parsed(stripped)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"bpftrace printed JSON that is none ({error}): {stripped[:120]!r}") from error


class JsonReader:
    """Reads `bpftrace -f json`, with what else was written to the same stream."""

    def __init__(self, listener: Listener, evidence: Evidence) -> None:
        """Begin at the beginning of the output.

        :param evidence: Which releases are possible; it is narrowed by what is read.
        """
        self._listener = listener
        self._evidence = evidence
        self._lines = Lines()
        self._numbers = HexadecimalCounts(evidence)
        self._was_plain = True
        self._blanks = 0
        self._start = 0
        self._batch: list[bytes] = []
        self._places: list[int] | None = None
        self._place = 0
        self._kinds: dict[str, Callable[[Any, bytes], None]] = {
            "map": self._map,
            "hist": self._hist,
            "stats": self._map,
            "tseries": self._hist,
            "lost_events": self._lost,
            "helper_error": self._error,
            "runtime_error": self._error,
            "attached_probes": self._attached,
        }

    @property
    def repaired(self) -> int:
        """Return how many numbers were read as hexadecimal."""
        return self._numbers.repaired

    @property
    def doubtful(self) -> int:
        """Return how many lines may have hexadecimal counts or not."""
        return self._numbers.doubtful

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        said, loads = self._listener.said, orjson.loads
        # No line of this chunk has an escape, not even the one that began in the chunk before.
        # A regular expression finds two bytes three times as fast as `in` does.
        has_escapes = _ESCAPED.search(chunk) is not None or chunk.endswith(b"\\")
        is_plain = not has_escapes and (chunk.isascii() or _SIGN not in chunk)
        was_plain, self._was_plain = self._was_plain, is_plain and (self._was_plain or b"\n" in chunk)
        is_plain = is_plain and was_plain and not self._numbers.is_turned
        self._batch = lines = self._lines.feed(chunk)
        self._places = None
        for place, line in enumerate(lines):
            # What there is most of without a detour.
            if is_plain and line.startswith(_STATEMENTS):
                try:
                    message = loads(line)
                    if message["type"] in _STATEMENT_TYPES:
                        said(message["type"], message["data"])
                        continue
                except (ValueError, KeyError, TypeError):
                    pass
            self._place = place
            if not is_plain and (self._numbers.is_turned or b"\\u" in line):
                line = self._numbers.rewrite(line)  # noqa: PLW2901
            if not is_plain and _SIGN in line:
                self._repair(line, self._position)
                continue
            self._read(line)
        self._start += sum(map(len, lines)) + len(lines)
        self._batch = []
        self._places = None
        self._place = 0

    @property
    def _position(self) -> int:
        """Return the place of the first byte of the line that is being read."""
        if self._places is None:
            self._places = [0, *itertools.accumulate(len(line) + 1 for line in self._batch)]
        return self._start + self._places[self._place]

    def close(self) -> None:
        """Read what stands behind the last newline: a message where it is whole, else it was cut."""
        rest = self._lines.rest()
        if not rest.strip():
            return
        if rest.lstrip().startswith(_BEGINNING) or _BEGINNING.startswith(rest.lstrip()[: len(_BEGINNING)]):
            try:
                self._tell(_parsed(self._numbers.rewrite(rest.strip())), rest)
            except (ValueError, RecursionError, NotUnderstood):
                self._listener.cut(rest, self._position)
        else:
            self._listener.strayed(rest)

    def _read(self, line: bytes) -> None:
        if not line.startswith(_BEGINNING):
            self._read_other(line)
            return
        try:
            message = orjson.loads(line)
            handler = self._kinds.get(message["type"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self._repair(line, self._position)
            return
        try:
            if handler is None:
                self._say(str(message["type"]), message, line)
            else:
                handler(message, line)
        except NotUnderstood as error:
            self._listener.unreadable(line, self._position, error.message)
        except RecursionError:
            self._listener.unreadable(line, self._position, "nested too deep")

    def _read_other(self, line: bytes) -> None:
        if not line.strip():
            # Up to 0.23 two empty lines precede the maps, in JSON too; children and wrappers print some.
            self._blanks += 1
            return
        place = line.find(_BEGINNING)
        if place < 0:
            self._listener.strayed(line)
            return
        # What somebody else wrote without a newline stands before the message.
        if line[:place].strip():
            self._listener.strayed(line[:place])
        self._repair(line[place:].rstrip(), self._position + place)

    def _repair(self, line: bytes, position: int) -> None:
        """Read what is no sound JSON: bytes that are not UTF-8, values without quotes (up to 0.24)."""
        try:
            message = _parsed(line)
        except (ValueError, RecursionError) as error:
            try:
                message = _parsed(quoted(line))
            except (ValueError, RecursionError):
                self._read_beginning(line, position, str(error))
                return
        try:
            self._tell(message, line)
        except NotUnderstood as error:
            self._listener.unreadable(line, position, error.message)
        except RecursionError:
            self._listener.unreadable(line, position, "nested too deep")

    def _read_beginning(self, line: bytes, position: int, why: str) -> None:
        """Read a message with something behind it that somebody else wrote."""
        text = line.decode("utf-8", "surrogateescape")
        try:
            message, end = _DECODER.raw_decode(text)
            if not isinstance(message, Pairs):
                raise ValueError("no object")  # noqa: TRY004
            self._tell(message, text[:end].encode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError, NotUnderstood):
            self._listener.unreadable(line, position, why)
            return
        self._listener.strayed(text[end:].encode("utf-8", "surrogateescape"))

    def _tell(self, message: Object, line: bytes) -> None:
        kind = message.get("type")
        handler = self._kinds.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self._say(str(kind), message, line)
        else:
            handler(message, line)

    def _say(self, kind: str, message: Object, line: bytes) -> None:
        data = message.get("data")
        if data is None:
            data = message.get("msg") or ""
        kind = readable(kind)
        if kind in ("errorf", "warnf"):
            self._evidence.since((0, 24))
        self._listener.said(kind, whole(data) if b"\\uffff" in line or b"\\ud" in line else data)

    def _map(self, message: Object, line: bytes) -> None:
        """Take a map or statistics; orjson keeps one of two equal keys, so the pairs are counted."""
        self._note_blanks()
        data = message.get("data")
        if not isinstance(data, dict | Pairs):
            raise NotUnderstood(f"a map whose data is {data!r}")
        kind = message.get("type")
        for name, value in data.items():
            if type(value) is dict and _may_have_more(value, line):
                self._tell(_parsed(line), line)
                return
            # Up to 0.23 a structure has spaces inside its braces, and a map's keys have none.
            is_structure = line.startswith(
                b'{"type": "map", "data": {"%b": { "' % name.encode(errors="replace")
            )
            has_keys = False if is_structure else None
            self._print(name, PrintedMap(kind, value, has_keys=has_keys))  # type: ignore[arg-type]

    def _hist(self, message: Object, line: bytes) -> None:
        data = message.get("data")
        if not isinstance(data, dict | Pairs):
            raise NotUnderstood(f"a map whose data is {data!r}")
        self._note_blanks()
        kind = message.get("type")
        if self._evidence.is_open:
            self._note_shape(str(kind), line)
        for name, value in data.items():
            if type(value) is dict and all(line.count(mark) != len(value) for mark in (b"[", b'": [')):
                self._tell(_parsed(line), line)
                return
            if isinstance(data, Pairs):
                value = _with_zeroed(value)  # noqa: PLW2901
            self._print(name, PrintedMap(kind, value))  # type: ignore[arg-type]

    def _print(self, name: str, printed: PrintedMap) -> None:
        if not _NAME.fullmatch(name):
            raise NotUnderstood(f"{name!r} is no name of a map")
        self._listener.printed(name, printed)

    def _note_shape(self, kind: str, line: bytes) -> None:
        if b'"min": -2147483648, "max": 0,' in line or b'"max": -2147483649,' in line:
            self._evidence.until((0, 19))  # bounds that overflow
        if kind == "tseries" or b'},{"min' in line:
            self._evidence.since((0, 24))
        elif b'}, {"min' in line:
            self._evidence.until((0, 23))

    def _note_blanks(self) -> None:
        if self._blanks > 1 and self._evidence.may_be_before((0, 24)):
            self._evidence.until((0, 23))
        self._blanks = 0

    def _lost(self, message: Object, line: bytes) -> None:
        del line
        data = message.get("data")
        if isinstance(data, str):
            # Up to 0.23 what a watchpoint lacks is told like this.
            self._listener.said("lost_events", data)
            return
        self._listener.lost(_number(data.get("events") if isinstance(data, dict | Pairs) else data))

    def _error(self, message: Object, line: bytes) -> None:
        del line
        if message.get("filename") is not None:
            self._evidence.since((0, 24))
        elif message.get("msg") is not None:
            self._evidence.since((0, 20))
            self._evidence.until((0, 23))
        else:
            self._evidence.until((0, 19))
        self._listener.failed(error_of(message), 1)

    def _attached(self, message: Object, line: bytes) -> None:
        del line
        if message.get("count") is not None:
            self._evidence.since((0, 24))
        else:
            self._evidence.until((0, 23))


def error_of(message: Object) -> ErrorMessage:
    """Return the error that a message of that type tells.

    :raises NotUnderstood: Its code is no number.
    """
    kind = str(message.get("type"))
    return ErrorMessage(
        kind,
        readable(str(message.get("helper") or "")),
        _number(message.get("retcode")) if kind == "helper_error" else 0,
        readable(str(message.get("msg") or "")),
        readable(f"{message.get('line')}:{message.get('col')}"),
    )


def whole(data: Any, depth: int = 0) -> Any:
    """Return data with the bytes that its strings had before they were printed.

    :raises NotUnderstood: It is nested as no release prints it.
    """
    if depth > DEEPEST:
        raise NotUnderstood(f"data that is nested more than {DEEPEST} deep")
    if isinstance(data, str):
        return restored(data)
    if isinstance(data, Pairs):
        return Pairs((restored(key), whole(value, depth + 1)) for key, value in data)
    if isinstance(data, dict):
        return {restored(key): whole(value, depth + 1) for key, value in data.items()}
    if isinstance(data, list):
        return [whole(value, depth + 1) for value in data]
    return data


def _with_zeroed(value: Any) -> Any:
    """Return a histogram; one that was zeroed is printed as nothing at all up to 0.15."""
    if value == "":
        return []
    if isinstance(value, Pairs):
        return Pairs((key, [] if each == "" else each) for key, each in value)
    return value


def _may_have_more(value: dict[str, Any], line: bytes) -> bool:
    """Whether the line may hold more pairs for a map than orjson kept.

    Every text that looks like the beginning of a value counts too. One byte is counted in half the time,
    and no fewer times than what it stands in; so it is counted first.
    """
    size = len(value)
    if type(next(iter(value.values()), None)) is dict:
        return line.count(b"{") - 3 != size and line.count(b'": {') - 2 != size
    return line.count(b'"') - 8 != 2 * size and line.count(b'": ') - 3 != size


def _parsed(line: bytes) -> Pairs:
    """Return the object of a line, pair by pair.

    :raises ValueError, RecursionError: It is none.
    """
    # Where char is unsigned (aarch64), and up to 0.16, bpftrace prints bytes as they are, UTF-8 or not.
    # U+FFFF is how JSON marks a damaged byte: where it stands itself, all bytes are taken one by one.
    text = line.decode("ascii" if _SIGN in line else "utf-8", "surrogateescape")
    message = _DECODER.decode(text)
    if not isinstance(message, Pairs):
        raise ValueError("no object")  # noqa: TRY004
    return message


def _number(number: Any) -> int:
    if type(number) is not int or not -(1 << 63) <= number < 1 << 64:
        raise NotUnderstood(f"bpftrace printed {str(number)[:40]} where a whole number should be")
    return number

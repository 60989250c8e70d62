"""bpftrace's JSON output, line by line, as messages; nothing is dropped, nothing typed yet."""

from __future__ import annotations

import errno
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.bpftrace.repair import HexadecimalCounts, readable, restored, unescaped_key
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.bpftrace.dialect import Dialect


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: bpftrace prints objects that have a key twice, and both count."""

    def get(self, name: str) -> Any:
        """Return the value of the last pair of that name, or None."""
        return next((value for key, value in reversed(self) if key == name), None)


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """What the kernel refused, or what the program did wrong.

    :param kind: `helper_error` or `runtime_error`.
    :param helper: Of a helper error: the helper's name, and `code` what it returned (negative errno).
    :param place: Line and column of the program, as bpftrace counts them.
    """

    kind: str
    helper: str
    code: int
    text: str
    place: str

    @property
    def is_full_map(self) -> bool:
        """Whether a map had no room for a new key."""
        return self.helper == "map_update_elem" and self.code == -errno.E2BIG

    @property
    def is_harmless(self) -> bool:
        """Whether a key was just not there: to be looked up, or because somebody else deleted it first."""
        return self.helper == "map_lookup_elem" or (
            self.helper == "map_delete_elem" and self.code == -errno.ENOENT
        )


@dataclass(slots=True)
class Messages:
    """Everything that one run of bpftrace printed.

    :param maps: The last printing of each map, by name: its message type and its data.
    :param rows: Rows that the program printed one by one, by map: key and value.
    :param others: Messages that are not maps (printf, time, …), in order: type and whole object.
    :param lost_events: How many things to print bpftrace says that it lost.
    :param errors: How often each error was reported.
    :param text_lines: Lines that are not JSON: what others wrote to the same stream.
    :param repaired: How many values were printed damaged, and restored.
    """

    maps: dict[str, tuple[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    others: list[tuple[str, Pairs]] = field(default_factory=list)
    lost_events: int = 0
    errors: Counter[ErrorMessage] = field(default_factory=Counter)
    text_lines: list[bytes] = field(default_factory=list)
    repaired: int = 0


_BEGINNING = b'{"type": "'
_MAPS = ("map", "hist", "stats", "tseries")


def read_message(line: bytes, numbers: HexadecimalCounts | None = None) -> Pairs | None:
    """Return the object of a line, or None where the line holds none.

    :param numbers: What knows which numbers of the stream are hexadecimal.
    :raises NotUnderstood: The line begins as a message and is none.
    """
    stripped = line.strip()
    if not stripped.startswith(_BEGINNING):
        return None
    # Where char is unsigned (aarch64) bpftrace prints bytes as they are, UTF-8 or not.
    text = stripped.decode("utf-8", "surrogateescape")
    try:
        message: Pairs = json.loads(numbers.rewrite(text) if numbers else text, object_pairs_hook=Pairs)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"bpftrace printed JSON that is none ({error}): {stripped[:120]!r}") from error
    return message


def read_messages(stdout: bytes, dialect: Dialect, errors: Mapping[bytes, int] | None = None) -> Messages:
    """Sort all of bpftrace's output.

    A last line without its newline is what a killed bpftrace had no time to finish: it is left out.

    :param errors: Lines of errors that were taken out of the output, with how often each came.
    :raises NotUnderstood: A whole line begins as a message and is none.
    """
    messages = Messages()
    numbers = HexadecimalCounts(dialect)
    for line, times in (errors or {}).items():
        message = read_message(line)
        if message is not None:
            _sort(message, messages, dialect, times)
    for line in stdout.split(b"\n")[:-1]:
        message = read_message(line, numbers)
        if message is None:
            # bpftrace before 0.24 prints two empty lines before the maps, in JSON too.
            if line.strip():
                messages.text_lines.append(line)
            continue
        _sort(message, messages, dialect)
    messages.repaired += numbers.repaired
    return messages


def _sort(message: Pairs, messages: Messages, dialect: Dialect, times: int = 1) -> None:
    kind = readable(str(message.get("type")))
    data = message.get("data")
    match kind:
        case "map" | "hist" | "stats" | "tseries" if isinstance(data, Pairs):
            for name, value in data:
                messages.maps[name] = (kind, _with_keys(value, dialect, messages))
        case "value" if isinstance(data, list) and len(data) == 3 and str(data[0]).startswith("@"):
            messages.rows.setdefault(data[0], []).append((_restored(data[1], messages), data[2]))
        case "lost_events" if isinstance(data, Pairs):
            messages.lost_events += _whole(data.get("events"))
        case "helper_error" | "runtime_error":
            messages.errors[_error(kind, message)] += times
        case "attached_probes":
            pass
        case _:
            messages.others.append((kind, message))


def _restored(key: Any, messages: Messages) -> Any:
    """Return a key, or the parts of one, with the bytes that it had before it was printed."""
    if isinstance(key, list):
        return [_restored(part, messages) for part in key]
    if not isinstance(key, str):
        return key
    text = restored(key)
    messages.repaired += text != key
    return text


def _with_keys(value: Any, dialect: Dialect, messages: Messages) -> Any:
    """Return the value of a map with its keys as they were before bpftrace printed them."""
    if not isinstance(value, Pairs) or not value:
        return value
    keys = [key for key, _ in value]
    if dialect.escapes_keys_twice:
        try:
            keys = [unescaped_key(key) for key in keys]
        except ValueError as error:
            raise NotUnderstood(f"bpftrace printed a key that is none ({error})") from error
    return Pairs((_restored(key, messages), each) for key, (_, each) in zip(keys, value, strict=True))


def _error(kind: str, message: Pairs) -> ErrorMessage:
    return ErrorMessage(
        kind,
        readable(str(message.get("helper") or "")),
        _whole(message.get("retcode")) if kind == "helper_error" else 0,
        readable(str(message.get("msg") or "")),
        readable(f"{message.get('line')}:{message.get('col')}"),
    )


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise NotUnderstood(f"bpftrace printed {number!r} where a whole number should be")
    return number

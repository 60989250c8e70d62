"""bpftrace's JSON output, line by line, as messages; nothing is dropped, nothing typed yet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from runner.errors import NotUnderstood


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: bpftrace prints objects that have a key twice, and both count."""

    def get(self, name: str) -> Any:
        """Return the value of the last pair of that name, or None."""
        return next((value for key, value in reversed(self) if key == name), None)


@dataclass(slots=True)
class Messages:
    """Everything that one run of bpftrace printed.

    :param maps: The last printing of each map, by name: its message type and its data.
    :param others: Messages that are not maps (printf, time, …), in order: type and whole object.
    :param lost_events: How many events bpftrace says that it lost.
    :param helper_errors: Failed helper calls: helper's name and return code, in order.
    :param text_lines: Lines that are not JSON: what others wrote to the same stream.
    """

    maps: dict[str, tuple[str, Any]] = field(default_factory=dict)
    others: list[tuple[str, Pairs]] = field(default_factory=list)
    lost_events: int = 0
    helper_errors: list[tuple[str, int]] = field(default_factory=list)
    text_lines: list[bytes] = field(default_factory=list)


def read_message(line: bytes) -> Pairs | None:
    """Return the object of a line, or None where the line holds none.

    :raises NotUnderstood: The line begins as a message and is none.
    """
    stripped = line.strip()
    if not stripped.startswith(b'{"type": "'):
        return None
    try:
        message: Pairs = json.loads(stripped, object_pairs_hook=Pairs)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"bpftrace printed JSON that is none ({error}): {stripped[:120]!r}") from error
    return message


def read_messages(stdout: bytes) -> Messages:
    """Sort all of bpftrace's output.

    A last line without its newline is what a killed bpftrace had no time to finish: it is left out.

    :raises NotUnderstood: A whole line begins as a message and is none.
    """
    messages = Messages()
    for line in stdout.split(b"\n")[:-1]:
        message = read_message(line)
        if message is None:
            # bpftrace before 0.24 prints two empty lines before the maps, in JSON too.
            if line.strip():
                messages.text_lines.append(line)
            continue
        _sort(message, messages)
    return messages


def _sort(message: Pairs, messages: Messages) -> None:
    kind = str(message.get("type"))
    data = message.get("data")
    match kind:
        case "map" | "hist" | "stats" | "tseries" if isinstance(data, Pairs):
            for name, value in data:
                messages.maps[name] = (kind, value)
        case "lost_events" if isinstance(data, Pairs):
            messages.lost_events += _whole(data.get("events"))
        case "helper_error":
            messages.helper_errors.append((str(message.get("helper")), _whole(message.get("retcode"))))
        case "attached_probes":
            pass
        case _:
            messages.others.append((kind, message))


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise NotUnderstood(f"bpftrace printed {number!r} where a whole number should be")
    return number

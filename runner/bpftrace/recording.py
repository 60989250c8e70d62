"""What a session left, in memory and as a file that can be decoded again anywhere."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import orjson

from runner.capture.whole_file import read_whole
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "ebpf-recipe/recording/v1"


_READINGS, _CLOSE_NS = 10, 100_000
"""How often two clocks are read at most, until the readings are so close together."""


def clock_ns() -> int:
    """Return the nanoseconds since the host's start, sleep included: the clock of bpftrace's `nsecs`."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def rfc3339(time: datetime) -> str:
    """Return a UTC time as captures have it, to the millisecond."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time on both clocks: `clock_ns()`, and UTC."""

    clock_ns: int
    wall: datetime

    @classmethod
    def now(cls) -> Self:
        """Return this moment, to a tenth of a millisecond if the reader is let run for so long at all."""
        for _ in range(_READINGS):
            before, wall, after = clock_ns(), datetime.now(UTC), clock_ns()
            if after - before < _CLOSE_NS:
                break
        return cls((before + after) // 2, wall)

    def time_of(self, reading_ns: int) -> datetime:
        """Return the UTC time of another reading of `clock_ns()`."""
        return self.wall + timedelta(microseconds=(reading_ns - self.clock_ns) / 1000)


@dataclass(slots=True)
class Recording:
    """What a session left: everything that bpftrace wrote, and when.

    :param stdout: All of it, the token of readiness included.
    :param end_value: What the map that is printed last holds when the output is whole.
    :param exit_code: bpftrace's own; negative for the signal that ended it.
    :param dropped_bytes: How much of stdout was too much to keep, before its last part.
    :param errors: Lines of errors that were taken out of stdout, with how often each came.
    """

    started: Moment
    end_value: int
    attached: Moment | None = None
    ended: Moment | None = None
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    dropped_bytes: int = 0
    errors: dict[bytes, int] = field(default_factory=dict)

    def has_printed(self, name: str) -> bool:
        """Return whether a map of this name, without keys, was printed (its name in a string is none)."""
        forms = (f'\n{{"type": "map", "data": {{"{name}": ', f"\n{name}: ")
        return any(form.encode() in self.stdout for form in forms)

    def time_of(self, reading_ns: int) -> str:
        """Return the UTC time (RFC 3339) of a reading of `clock_ns()`, as of the program's `nsecs`."""
        return rfc3339((self.attached or self.started).time_of(reading_ns))


def write_recording(recording: Recording, **context: Any) -> bytes:
    """Return a recording as JSON.

    :param context: What else is needed to decode it: host facts, program, why it ended.
    """
    moments = {
        name: {"clock_ns": moment.clock_ns, "wall": moment.wall.isoformat()} if moment else None
        for name, moment in (
            ("started", recording.started),
            ("attached", recording.attached),
            ("ended", recording.ended),
        )
    }
    document = {
        "schema": SCHEMA,
        **context,
        **moments,
        "end_value": recording.end_value,
        "exit_code": recording.exit_code,
        "dropped_bytes": recording.dropped_bytes,
        "errors": [
            {"line": line.decode(errors="replace"), "count": count}
            for line, count in recording.errors.items()
        ],
        "stdout": _text(recording.stdout),
        "stderr": _text(recording.stderr),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_recording(path: Path) -> tuple[Recording, dict[str, Any]]:
    """Read a recording and the context it was written with.

    :raises NotUnderstood: The file is not a recording.
    """
    try:
        document = orjson.loads(read_whole(path))
        if document["schema"] != SCHEMA:
            raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
        moments = {
            name: Moment(_whole(document[name]["clock_ns"]), datetime.fromisoformat(document[name]["wall"]))
            if document[name]
            else None
            for name in ("started", "attached", "ended")
        }
        started = moments["started"]
        if started is None:
            raise ValueError("it has no start")
        recording = Recording(
            started=started,
            end_value=_whole(document["end_value"]),
            attached=moments["attached"],
            ended=moments["ended"],
            stdout=bytearray(_bytes(document["stdout"])),
            stderr=bytearray(_bytes(document["stderr"])),
            exit_code=None if document["exit_code"] is None else _whole(document["exit_code"]),
            dropped_bytes=_whole(document["dropped_bytes"]),
            errors={str(each["line"]).encode(): _whole(each["count"]) for each in document["errors"]},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotUnderstood(f"{path} is not a recording: {error}") from error
    return recording, document


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise TypeError(f"{number!r} is not a whole number")
    return number


def _text(raw: bytearray) -> list[str] | dict[str, str]:
    """Return lines where the bytes are UTF-8 (a recording is read by people too), else base64."""
    try:
        return raw.decode().split("\n")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _bytes(text: list[str] | dict[str, str]) -> bytes:
    return base64.b64decode(text["base64"]) if isinstance(text, dict) else "\n".join(text).encode()

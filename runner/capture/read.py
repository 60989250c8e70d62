"""Read captures from files, checked against their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.capture.consistency import contradiction
from runner.capture.document import Capture
from runner.capture.whole_file import read_whole
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from pathlib import Path

_CAPTURE = TypeAdapter(Capture)

_SCHEMA = "ebpf-recipe/capture/v"


def read_capture(path: Path) -> Capture:
    """Read one capture. Fields that this release does not know are left out.

    :raises NotUnderstood: The file is not a capture of version 1.
    """
    raw = _read(path)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_json(path, error) from error
    return _checked(found, str(path))


def read_captures(path: Path) -> list[Capture]:
    """Read what one file holds: a capture, an array of them, or one on each line.

    :raises NotUnderstood: Something in it is not a capture of version 1.
    """
    raw = _read(path)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        found = _lines(raw, path)
        if found is None:
            raise _not_json(path, error) from error
    if not isinstance(found, list):
        found = [] if _is_event(found) else [found]
        if found:
            return [_checked(found[0], str(path))]
    if not found:
        raise NotUnderstood(f"{path} holds no capture")
    return [_checked(each, f"{path}: capture {place}") for place, each in enumerate(found, 1)]


def _read(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error


def _not_json(path: Path, error: orjson.JSONDecodeError, line: int | None = None) -> NotUnderstood:
    return NotUnderstood(f"{path}:{line or error.lineno}:{error.colno}: not JSON: {error.msg}")


def _lines(raw: bytes, path: Path) -> list[Any] | None:
    """Return the captures of a file of lines, without the events between them; None where it is none.

    :raises NotUnderstood: It begins as one, and a line is no JSON.
    """
    found = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            if not found:
                return None
            raise _not_json(path, error, number) from error
    return [each for each in found if not _is_event(each)]


def _is_event(found: Any) -> bool:
    return isinstance(found, dict) and str(found.get("schema")).startswith("ebpf-recipe/event/")


def _checked(found: Any, where: str) -> Capture:
    """Return a capture whose types and tables are held against what they say.

    :param where: The file, and which capture in it.
    :raises NotUnderstood: It is none.
    """
    schema = found.get("schema") if isinstance(found, dict) else None
    if isinstance(schema, str) and schema.startswith(_SCHEMA) and schema != f"{_SCHEMA}1":
        raise NotUnderstood(
            f"{where}: {schema} is newer than what this release reads ({_SCHEMA}1)",
            hint="a newer ebpf-recipe reads it",
        )
    try:
        capture = _CAPTURE.validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{where} is not a capture: {place}: {first['msg']}") from error
    problem = contradiction(capture)
    if problem is not None:
        raise NotUnderstood(f"{where} is not a capture: {problem}")
    return capture

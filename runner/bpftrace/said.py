"""What statements print (printf, time, print of a value, …) as messages of a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from runner.bpftrace.output import Pairs
from runner.bpftrace.repair import as_bytes
from runner.capture.encode import encode_text

if TYPE_CHECKING:
    from runner.capture.document import Message


def message_of(kind: str, data: Any) -> Message:
    """Return a message. What is no text has its value beside its JSON text."""
    if isinstance(data, str):
        return {"type": kind, "text": encode_text(as_bytes(data))}
    value = plain(data)
    return {"type": kind, "text": orjson.dumps(value, default=str).decode(), "data": value}


def plain(data: Any) -> Any:
    """Return printed data as a capture has it: objects as dictionaries, or as pairs where keys repeat."""
    if isinstance(data, str):
        return encode_text(as_bytes(data))
    if isinstance(data, dict | Pairs):
        pairs = [(readable_key(key), plain(value)) for key, value in data.items()]
        made = dict(pairs)
        return made if len(made) == len(pairs) else [list(pair) for pair in pairs]
    if isinstance(data, list):
        return [plain(value) for value in data]
    return data


def readable_key(key: str) -> str:
    """Return the name of a field; one that is not UTF-8 with U+FFFD."""
    return as_bytes(key).decode(errors="replace")

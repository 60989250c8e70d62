"""What statements print (printf, time, print of a value, …) as messages of a capture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.bpftrace.json_output import DEEPEST
from runner.bpftrace.keys import in_64_bits
from runner.bpftrace.output import Pairs
from runner.bpftrace.repair import as_bytes
from runner.capture.encode import encode_text
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from runner.capture.document import Message


def message_of(kind: str, data: Any) -> Message:
    """Return a message. What is no text has its value beside its JSON text."""
    if isinstance(data, str):
        return {"type": kind, "text": encode_text(as_bytes(data))}
    value = plain(data)
    return {"type": kind, "text": json.dumps(value, ensure_ascii=False), "data": value}


def plain(data: Any, depth: int = 0) -> Any:
    """Return printed data as a capture has it: objects as dictionaries, or as pairs where keys repeat.

    :raises NotUnderstood: No release prints such data.
    """
    if depth > DEEPEST:
        raise NotUnderstood(f"data that is nested more than {DEEPEST} deep")
    if isinstance(data, float) or (type(data) is int and not in_64_bits(data)):
        raise NotUnderstood(f"{str(data)[:40]} is no number that bpftrace prints")
    if isinstance(data, str):
        return encode_text(as_bytes(data))
    if isinstance(data, dict | Pairs):
        pairs = [(readable_key(key), plain(value, depth + 1)) for key, value in data.items()]
        made = dict(pairs)
        return made if len(made) == len(pairs) else [list(pair) for pair in pairs]
    if isinstance(data, list):
        return [plain(value, depth + 1) for value in data]
    return data


def readable_key(key: str) -> str:
    """Return the name of a field; one that is not UTF-8 with U+FFFD."""
    return as_bytes(key).decode(errors="replace")

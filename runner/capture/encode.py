"""Captures as JSON text, and the ids of captures."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Capture, TextBytes


def encode_capture(capture: Capture) -> bytes:
    """Return the capture as indented JSON with a final newline; integers are exact, however great."""
    try:
        return orjson.dumps(capture, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # More than 64 bits: sums of many captures.
        return json.dumps(capture, indent=2, ensure_ascii=False).encode() + b"\n"


def encode_captures(captures: Sequence[Capture]) -> bytes:
    """Return captures as an indented JSON array."""
    try:
        return orjson.dumps(captures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(captures, indent=2, ensure_ascii=False).encode() + b"\n"


def encode_text(raw: bytes) -> str | TextBytes:
    """Return bytes as a plain string where they are UTF-8, else readable text with the exact bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"text": raw.decode(errors="replace"), "base64": base64.b64encode(raw).decode("ascii")}


def new_id() -> str:
    """Return an id that sorts by time: 12 hex digits of milliseconds since 1970, 20 random ones."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"

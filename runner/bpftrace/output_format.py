"""Whether bytes are bpftrace's JSON or its text, found from their beginning."""

from __future__ import annotations

import re
from typing import Literal

import orjson

from runner.errors import NotUnderstood

OutputFormat = Literal["json", "text"]

_MESSAGE = b'{"type": "'
_MAP = re.compile(rb"@[A-Za-z0-9_]*(?:\[|:)")
_NOTICE = re.compile(rb"Attach(?:ing|ed) \d+ probes?")
_ENOUGH_MAPS = 16
"""Lines that look like a map's, after which no JSON is waited for."""


def format_of(head: bytes, *, is_all: bool) -> OutputFormat | None:
    """Return the format; None where more of the output must be seen.

    :param head: The output from its beginning.
    :param is_all: There is no more.
    :raises NotUnderstood: It is neither.
    """
    lines = head.split(b"\n")
    maps = 0
    for line in lines if is_all else lines[:-1]:
        stripped = line.lstrip()
        if _MESSAGE in line:
            return "json"
        if _NOTICE.match(line):
            return "text"
        # A map may be what somebody else printed first; so many are the output itself.
        maps += _MAP.match(line) is not None
        if maps > _ENOUGH_MAPS:
            return "text"
        if stripped.startswith((b"{", b"[")) and _is_json(line):
            raise NotUnderstood(
                f"this is JSON, and not bpftrace's: {line[:80]!r}",
                hint='bpftrace -f json prints lines that begin with {"type": "',
            )
    if is_all and _is_json(head):
        raise NotUnderstood("this is JSON, and not bpftrace's, which is an object on each line")
    if (
        is_all
        and len(lines) == 1
        and lines[0].startswith((b"{", b"["))
        and not _MESSAGE.startswith(lines[0][:10])
    ):
        raise NotUnderstood(
            f"this is one line that begins as JSON does, and not as bpftrace's: {head[:40]!r}"
        )
    if not is_all:
        # A line that goes on tells already how it begins.
        return "json" if lines[-1].startswith(_MESSAGE) else None
    if not head.strip():
        raise NotUnderstood("the output is empty: bpftrace printed nothing, or it is not its output")
    if b"\0" in head:
        raise NotUnderstood(
            f"this is no output of bpftrace: byte {head.index(0)} is zero, as in binary files"
        )
    return "text"


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True

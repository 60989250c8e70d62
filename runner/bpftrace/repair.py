"""What bpftrace's JSON does to bytes and numbers, undone: exactly, or not at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.bpftrace.dialect import Dialect

_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u")
_HEXADECIMAL = re.compile(r'(?<=[ ,{])("count"|"events"|"value"): ?([0-9a-f]+)')
_BYTE = re.compile("\uffffff([89a-f][0-9a-f])")
_SIGN = 1 << 63


def restored(text: str) -> str:
    r"""Return a decoded JSON string with the bytes that were printed as `\uffffffXX` (since 0.17).

    A character that bpftrace sign-extended becomes U+FFFF, "ff" and two digits; a true U+FFFF never
    appears, for its three bytes are printed in the same way. Bytes that are not UTF-8 are surrogates,
    as `surrogateescape` has them.
    """
    if "\uffff" not in text:
        return text
    escaped = _BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)
    return as_bytes(escaped).decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the bytes of a restored string; of other surrogates, which no release prints, what they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def readable(text: str) -> str:
    """Return a string for people: what is not UTF-8 in it is U+FFFD."""
    return as_bytes(restored(text)).decode(errors="replace")


def unescaped_key(key: str) -> str:
    """Return a key that was escaped twice, unescaped a second time.

    :raises ValueError: It was not.
    """
    if "\\" not in key:
        return key
    text = json.loads(f'"{key}"')
    if not isinstance(text, str):
        raise ValueError(f"{key!r} is not an escaped text")  # noqa: TRY004
    return text


class HexadecimalCounts:
    """Follows bpftrace's output stream and knows from where on its counts are hexadecimal."""

    def __init__(self, dialect: Dialect) -> None:
        """Begin at the beginning of the output."""
        self._can_turn = dialect.counts_turn_hexadecimal
        self._is_turned = False
        self.repaired = 0
        """How many values were read as hexadecimal."""

    def rewrite(self, line: str) -> str:
        """Return a line of the output with decimal numbers; lines must come in their order."""
        if not self._can_turn:
            return line
        start = 0
        if not self._is_turned:
            turn = _ESCAPE.search(line)
            if turn is None:
                return line
            self._is_turned, start = True, turn.end()
        if not line.startswith(('{"type": "hist"', '{"type": "tseries"', '{"type": "lost_events"')):
            return line
        return line[:start] + _HEXADECIMAL.sub(self._decimal, line[start:])

    def _decimal(self, match: re.Match[str]) -> str:
        self.repaired += 1
        number = int(match[2], 16)
        # A negative value comes as its two's complement.
        return f"{match[1]}: {number - 2 * _SIGN if number >= _SIGN else number}"

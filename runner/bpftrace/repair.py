"""What bpftrace's JSON does to bytes and numbers, undone: exactly, or not at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.bpftrace.evidence import Evidence

_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u")
_HEXADECIMAL = re.compile(rb'(?<=[ ,{])("count"|"events"|"value"): ?([0-9a-f]{1,16})')
_LETTERS = re.compile(rb'(?<=[ ,{])"(?:count|events|value)": ?[0-9]*[a-f]')
_BYTE = re.compile("\uffffff([89a-f][0-9a-f])")
_SIGN = 1 << 63

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_DATA = re.compile(rb'\{"type": "(?:map|stats|hist|value|tseries)", "data": (?:\{"@\w*": )?')
_PAIR = re.compile(rb"(?:^\{?|, )(" + _STRING + rb"): ")
_TOKEN = re.compile(_STRING + rb"(?:\s*:)?|[\[\]{},]|[^\[\]{},\"]+|(?s:\".*)")
_SOUND = re.compile(rb"\s*(?:-?(?:0|[1-9]\d*)|true|false|null)?\s*")
_POINT = re.compile(rb'"interval_start":\s{0,4}([\d:. T-]{1,40}?),\s{0,4}"value"')


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


def quoted(line: bytes) -> bytes:
    """Return a message whose values stand without quotes, with quotes.

    Times up to 0.21, hardware addresses up to 0.23, paths of control groups up to 0.19, texts of errors
    0.16 to 0.19; nothing at all for what cannot be printed (up to 0.22) and for zeroed histograms (up to
    0.15); series of 0.24 have neither quotes nor commas.
    """
    line = _POINT.sub(rb'"interval_start":"\1","value"', line).replace(b"}{", b"},{")
    head = _DATA.match(line)
    if head is None:
        return line
    tail = b"}}" if head[0].endswith(b'": ') and b"@" in head[0] else b"}"
    body = line[head.end() :]
    if not body.endswith(tail):
        return line
    body = body[: -len(tail)]
    if not body.startswith((b"{", b"[")):
        return head[0] + _quoted_value(body) + tail
    if body.startswith(b"{") and body.endswith(b"}") and b'": {' not in body and b'": [' not in body:
        # A value may have commas in it: it goes on until the next key.
        pairs = list(_PAIR.finditer(body[:-1]))
        if pairs:
            ends = [each.start() for each in pairs[1:]] + [len(body) - 1]
            entries = [
                each[1] + b": " + _quoted_value(body[each.end() : end])
                for each, end in zip(pairs, ends, strict=True)
            ]
            return head[0] + b"{" + b", ".join(entries) + b"}" + tail
    return head[0] + _quoted_tokens(body) + tail


def _quoted_value(value: bytes) -> bytes:
    if value and (_SOUND.fullmatch(value) or value[:1] == b'"'):
        return value
    return b'"' + value.strip().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _quoted_tokens(body: bytes) -> bytes:
    made: list[bytes] = []
    for token in _TOKEN.findall(body):
        if token.isspace():
            continue
        if made and made[-1].endswith(b":") and token in (b",", b"}", b"]"):
            made.append(b'""')
        elif token[:1] not in b'"[]{},' and not _SOUND.fullmatch(token):
            token = _quoted_value(token)  # noqa: PLW2901
        made.append(token)
    return b"".join(made)


class HexadecimalCounts:
    """Follows bpftrace's output stream and knows from where on its counts are hexadecimal (since 0.24)."""

    def __init__(self, evidence: Evidence) -> None:
        """Begin at the beginning of the output."""
        self._evidence = evidence
        self.is_turned = False
        self.repaired = 0
        """How many values were read as hexadecimal."""
        self.doubtful = 0
        """Lines whose numbers are hexadecimal or not: the releases that are possible differ in it."""

    def rewrite(self, line: bytes) -> bytes:
        """Return a line of the output with decimal numbers; lines must come in their order."""
        if not self._evidence.may_be_since((0, 24)):
            return line
        start = 0
        if not self.is_turned:
            if b"\\u" not in line:
                return line
            turn = _ESCAPE.search(line)
            if turn is None:
                return line
            self.is_turned, start = True, turn.end()
        if not line.startswith((b'{"type": "hist"', b'{"type": "tseries"', b'{"type": "lost_events"')):
            return line
        if self._evidence.may_be_before((0, 24)) and not self._is_known(line, start):
            return line
        return line[:start] + _HEXADECIMAL.sub(self._decimal, line[start:])

    def _is_known(self, line: bytes, start: int) -> bool:
        """Return whether the line itself shows that it is of 0.24 or later."""
        evidence = self._evidence
        if b'},{"min' in line or b'"count": 0, "data"' in line or _LETTERS.search(line, start):
            evidence.since((0, 24))
            return True
        if b'}, {"min' not in line and b'"lost_events"' not in line:
            self.doubtful += 1
        return False

    def _decimal(self, match: re.Match[bytes]) -> bytes:
        self.repaired += 1
        number = int(match[2], 16)
        # A negative value comes as its two's complement.
        return b"%s: %d" % (match[1], number - 2 * _SIGN if number >= _SIGN else number)

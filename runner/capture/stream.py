"""Captures with any number of messages, written without holding them in memory."""

from __future__ import annotations

import json
import tempfile
from typing import IO, TYPE_CHECKING

import orjson

from runner.capture.encode import encode_capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.document import Capture, Message

_PLACE = b'"messages": [],'
_MOST_IN_MEMORY = 1 << 22
_CHUNK = 1 << 20


def encode_message(message: Message) -> bytes:
    """Return a message as one line of JSON."""
    try:
        return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def encode_line(capture: Capture) -> bytes:
    """Return a capture as one line of JSON; integers are exact, however great."""
    try:
        return orjson.dumps(capture, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(capture, ensure_ascii=False).encode() + b"\n"


class MessageFile:
    """Keeps messages in a temporary file, a few of them in memory, until the capture around them is known."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115
        self.count = 0

    def append(self, message: Message) -> None:
        """Keep one.

        :raises OSError: The file system has no room for it.
        """
        self._file.write(b",\n    " if self.count else b"\n    ")
        self._file.write(encode_message(message)[:-1])
        self.count += 1

    def encode(self, capture: Capture) -> Iterator[bytes]:
        """Return the capture as JSON with these messages, piece by piece.

        :param capture: Without messages.
        """
        head, place, tail = encode_capture(capture).rpartition(_PLACE)
        assert place
        yield head + b'"messages": ['
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk
        yield (b"\n  ]," if self.count else b"],") + tail

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

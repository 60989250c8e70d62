"""What commands print, line by line as it comes: a secret that comes in two pieces is seen as a whole."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 1 << 16
MOST = 1 << 20
"""Characters of one command that are handed on."""


class OutputLines:
    """Takes bytes, hands on lines.

    :param take: Is given each line, without its end.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._room = MOST

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self.feed_text(self._decoder.decode(data))

    def feed_text(self, text: str) -> None:
        """Take what came as text."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._hand_on(line)
        if len(self._rest) > LONGEST:
            self._hand_on(f"(a line of more than {LONGEST >> 10} KiB)")
            self._rest = ""

    def end(self) -> None:
        """Hand on what has no end of line."""
        if self._rest:
            self._hand_on(self._rest)
            self._rest = ""

    def _hand_on(self, line: str) -> None:
        if self._room <= 0:
            return
        self._room -= len(line) + 1
        self._take(line.rstrip("\r") if self._room > 0 else "(more was printed than is kept)")

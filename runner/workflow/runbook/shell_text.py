"""Where a value may stand in the text of a shell: only where its quotation marks are read as such.

A quoted value is safe as a word or a part of one. Inside other quotation marks, behind a backslash, in a
comment or in a document behind `<<` its own marks mean something else, and what it holds could run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEFORE_COMMENT = frozenset(" \t\n;&|()<>")
_SUBSTITUTION = re.compile(r"\$\([^\"'`\\()]*\)|\$\{[^\"'`\\{}\s]*\}")
"""One that has no quotation marks of its own in it."""


class Misplaced(NamedTuple):
    """A value that cannot stand where it does.

    :ivar number: Which one of the text's, from 0.
    """

    number: int
    why: str


def misplaced_value(pieces: Sequence[str | None]) -> Misplaced | None:
    """Return the first value that cannot stand where it does; None where all of them can.

    :param pieces: The text in order; None where a value stands.
    """
    reader = _Reader()
    number = 0
    for piece in pieces:
        if piece is None:
            why = reader.why_not_here()
            if why is not None:
                return Misplaced(number, why)
            reader.take_value()
            number += 1
        else:
            reader.read(piece)
    return None


class _Reader:
    """Follows quotation through a text, as far as that is simple; gives up where it is not."""

    def __init__(self) -> None:
        self._state = "plain"
        self._last = "\n"
        self._given_up: str | None = None

    def why_not_here(self) -> str | None:
        """Return why no value can stand here."""
        if self._given_up is not None:
            return (
                f"a value behind {self._given_up}: where that ends cannot be told; "
                'give the value under `environment: {NAME: …}`, and write "$NAME" here'
            )
        if self._state in ("'", '"'):
            return "a value inside quotation marks: without them, it is quoted by itself"
        if self._state == "#":
            return "a value in a comment: a line of its own would end that"
        if self._last in ("\\", "$"):
            return f"a value behind {self._last}, which changes what its quotation means"
        return None

    def take_value(self) -> None:
        self._last = "'"

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            at += self._step(text, at)

    def _step(self, text: str, at: int) -> int:
        """Read what stands at a place; return how many letters that were."""
        letter = text[at]
        before, self._last = self._last, letter
        if self._state == "#":
            self._state = "plain" if letter == "\n" else "#"
        elif self._state == "'":
            self._state = "plain" if letter == "'" else "'"
        elif letter == "\\":
            if at + 1 < len(text):
                self._last = "x"
                return 2
        elif letter == "`" or text.startswith(("$(", "${"), at):
            return self._substitution(text, at)
        elif self._state == '"':
            self._state = "plain" if letter == '"' else '"'
        elif letter in ("'", '"'):
            if before == "$":
                self._given_up = "$'…'"
            self._state = letter
        elif letter == "#" and before in _BEFORE_COMMENT:
            self._state = "#"
        elif text.startswith("<<", at):
            self._given_up = "<<"
        return 1

    def _substitution(self, text: str, at: int) -> int:
        if text[at] == "`":
            self._given_up = "`"
            return 1
        simple = _SUBSTITUTION.match(text, at)
        if simple is not None:
            self._last = ")"
            return len(simple[0])
        if self._state == "plain" and text.startswith("$(", at):
            # Quotation inside is like outside.
            self._last = "("
            return 2
        self._given_up = text[at : at + 2]
        return 2

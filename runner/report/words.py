"""Text from a traced host as a terminal may show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.capture.document import TextBytes


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters as escapes, never obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def readable(value: int | str | TextBytes) -> str:
    """Return a value as a terminal shows it."""
    return printable(value["text"] if isinstance(value, dict) else str(value))

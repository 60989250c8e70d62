"""Where text with styles becomes lines: of a terminal's width and colours, or of a pipe's."""

from __future__ import annotations

import io
import os

from rich.console import Console

NARROWEST = 40
"""Columns below which a table says nothing; a COLUMNS of 0 or 1 is no terminal's."""

WIDEST = 1000
"""Columns where nobody looks: what a pipe searches for is not cut in two."""


def new_console(*, in_color: bool, width: int | None = None) -> Console:
    """Return a console that keeps its text; COLUMNS, TERM and NO_COLOR are honoured.

    :param in_color: The text goes to a terminal.
    :param width: Columns to use; None asks the terminal and COLUMNS.
    """
    console = Console(file=io.StringIO(), highlight=False, force_terminal=in_color or None)
    if width is not None:
        console.width = max(width, NARROWEST)
    elif in_color or "COLUMNS" in os.environ:
        console.width = max(console.width, NARROWEST)
    else:
        console.width = WIDEST
    return console


def text_of(console: Console) -> str:
    """Return what was printed on a console that keeps its text."""
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"

"""Texts in lines as wide as the terminal."""

from __future__ import annotations

import shutil
import textwrap


def wrapped(text: str, indent: str) -> list[str]:
    """Return a text in lines, all but the first indented by two more."""
    columns = shutil.get_terminal_size((100, 24)).columns
    return textwrap.wrap(
        " ".join(text.split()),
        width=min(max(columns, 40), 120),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )

"""Runs that last as long as something beside them: each waits in a command of its own until it is told."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AS_LONG_AS_OTHERS = ': > "$0"; read _ || :'
_SO_LONG = ': > "$0"; exec sleep "$1"'


def waiting_command(attached: str, seconds: float | None = None) -> list[str]:
    """Return the command of such a run: it makes a file once the probes are attached, then waits.

    :param attached: The file.
    :param seconds: How long; None until a line comes on its stdin.
    """
    if seconds is None:
        return ["sh", "-c", _AS_LONG_AS_OTHERS, attached]
    return ["sh", "-c", _SO_LONG, attached, f"{seconds:g}"]


@contextlib.contextmanager
def end_signal() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe: a line for each run that waits ends them."""
    read_end, write_end = os.pipe()
    try:
        yield read_end, write_end
    finally:
        os.close(read_end)
        os.close(write_end)

"""Waiting until something is so, by looking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def until(condition: Callable[[], bool], what: str, limit_seconds: float = 30) -> None:
    """Wait until something is so.

    :param what: What is awaited, for the message.
    :raises TimeoutError: It does not come about.
    """
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {limit_seconds:g} s: {what}")
        time.sleep(0.02)

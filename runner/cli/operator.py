"""Whoever runs a runbook: what is told on stderr, and asked on the terminal."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def has_operator() -> bool:
    """Whether there is somebody to ask: stdin is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


class Operator:
    """Reads on stderr, answers on stdin."""

    def say(self, text: str) -> None:
        """Show a line."""
        from runner.cli.output import say

        say(text)

    def ask(self, question: str, choices: Sequence[str], default: str | None) -> str:
        """Ask until there is an answer that may be.

        :raises Interrupted, Terminated: A signal came instead.
        :raises HostRefused: The terminal is at its end.
        """
        from runner.cli.output import say
        from runner.errors import HostRefused
        from runner.interrupts import LONGEST_WAIT_SECONDS

        shown = "/".join(choices) if choices else "text"
        rest = f", Enter is {default}" if default is not None else ""
        while True:
            say(f"  {question} [{shown}{rest}]")
            while not select.select([sys.stdin], [], [], LONGEST_WAIT_SECONDS)[0]:
                pass
            # As it is, whatever the locale says of it.
            line = sys.stdin.buffer.readline().decode(errors="replace")
            if not line:
                raise HostRefused("the terminal is at its end, and there is no answer")
            answer = line.strip() or default or ""
            found = _meant(answer, choices)
            if found is not None:
                return found
            say(f"  one of {', '.join(choices)}" if choices else "  an answer has at least one letter")


def _meant(answer: str, choices: Sequence[str]) -> str | None:
    """Return what an answer means: a choice, or the only one that begins so; None where it means nothing."""
    if not choices or answer in choices:
        return answer or None
    begins = [each for each in choices if answer and each.casefold().startswith(answer.casefold())]
    return begins[0] if len(begins) == 1 else None

"""How a step ended, before it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a step.

    :param exit_code: Of one that failed; 0 of one that passed.
    :param reason: Why it failed.
    """

    exit_code: int = 0
    reason: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        """Whether it failed."""
        return self.exit_code != 0


class Console(Protocol):
    """Where whoever runs a runbook reads and answers."""

    def say(self, text: str) -> None:
        """Show a line."""
        ...

    def ask(self, question: str, choices: Sequence[str], default: str | None) -> str:
        """Return what was answered to a question.

        :raises Interrupted, Terminated: A signal came instead.
        :raises HostRefused: There is nobody to ask.
        """
        ...

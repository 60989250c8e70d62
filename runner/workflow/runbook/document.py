"""The document of a runbook that was run, as the JSON that it is (schema `ebpf-recipe/runbook-run/v1`).

Additive changes only within v1. Times are UTC; `null` says "not known" or "not yet". Secrets are
in none of it.
"""

from typing import Any, Literal

from typing_extensions import TypedDict

SCHEMA = "ebpf-recipe/runbook-run/v1"

Outcome = Literal["passed", "failed", "skipped"]
Ending = Literal["passed", "failed", "interrupted", "running"]


class StepResult(TypedDict):
    """A step that was run or skipped; one that is repeated stands once for each round."""

    name: str
    kind: Literal["run", "shell", "expect", "ask", "gate", "experiment", "repeat", "steps"]
    within: str | None
    """The step that it is inside of, or whose failure it was run for."""
    round: int | None
    """Of the innermost repeat around it, from 1."""
    started: str
    ended: str
    outcome: Outcome
    reason: str | None
    """Why it failed or was skipped."""
    exit_code: int | None
    """Of a step that failed: the exit code that the runbook has for it."""
    is_ignored: bool
    """It failed, and that decides nothing: the runbook says so, or the repeat around it judges."""
    outputs: dict[str, Any]
    """By name. `capture` is a file in the work directory; a statistic has `lower`, `upper` and `unit`."""


class WhichRunbook(TypedDict):
    """The runbook that was run."""

    id: str
    title: str
    path: str
    digest: str


class RunbookRun(TypedDict):
    """A run of a runbook, as far as it came."""

    schema: Literal["ebpf-recipe/runbook-run/v1"]
    id: str
    runbook: WhichRunbook
    host: str
    work: str
    """The directory with the transcript and the captures."""
    parameters: dict[str, Any]
    """As they were given; of a secret `***`."""
    started: str
    ended: str | None
    outcome: Ending
    exit_code: int | None
    reason: str | None
    next: str | None
    """The command that goes on from where it stopped."""
    steps: list[StepResult]

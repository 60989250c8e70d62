"""Every text of a step that may hold values, with its place and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.workflow.runbook.model import (
    AskStep,
    ExpectStep,
    ExperimentStep,
    GateStep,
    RepeatStep,
    RunStep,
    ShellStep,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.workflow.runbook.model import AnyStep

Use = Literal["word", "shell", "duration", "answer", "environment", "gate"]
"""`shell`: read by a shell; `answer` and `environment`: a secret may stand there."""


@dataclass(frozen=True, slots=True)
class StepText:
    """A text of a step.

    :param place: Where it is in the step.
    """

    text: str
    place: tuple[str | int, ...]
    use: Use = "word"


def texts_of(step: AnyStep) -> Iterator[StepText]:
    """Return the texts of a step itself, without those of steps inside it."""
    match step:
        case RunStep():
            for name, given in step.given.items():
                yield from _several([given] if isinstance(given, str) else given, ("with", name), given)
            for key, text in (("duration", step.duration), ("budget", step.budget), ("replay", step.replay)):
                if text is not None:
                    yield StepText(text, (key,), "duration" if key == "duration" else "word")
            yield from _several(step.command or [], ("command",))
            for name, text in step.measure.items():
                yield StepText(text, ("measure", name), "gate")
        case ShellStep():
            if isinstance(step.shell, str):
                yield StepText(step.shell, ("shell",), "shell")
            else:
                yield from _several(step.shell, ("shell",))
        case ExpectStep():
            yield from _several(step.expect, ("expect",))
            for number, each in enumerate(step.dialog):
                if each.answer is not None:
                    yield StepText(each.answer, ("dialog", number, "answer"), "answer")
        case AskStep():
            yield StepText(step.ask, ("ask",))
            if step.default is not None:
                yield StepText(step.default, ("default",))
        case GateStep():
            for number, gate in enumerate(step.conditions):
                yield StepText(gate, ("gate", number), "gate")
        case ExperimentStep():
            yield from _several(step.words, ("experiment",), step.experiment)
        case RepeatStep():
            yield StepText(step.repeat.every, ("repeat", "every"), "duration")
        case _:
            pass
    if isinstance(step, ShellStep | ExpectStep):
        for name, text in step.environment.items():
            yield StepText(text, ("environment", name), "environment")
        if step.timeout is not None:
            yield StepText(step.timeout, ("timeout",), "duration")


def _several(texts: Sequence[str], place: tuple[str | int, ...], given: object = None) -> Iterator[StepText]:
    for number, text in enumerate(texts):
        yield StepText(text, place if isinstance(given, str) else (*place, number))

"""What every step is performed in: the runbook's values, its directory, who watches, and signals."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.recipe.durations import parse_with_unit
from runner.workflow.runbook.context import Outputs, context_of
from runner.workflow.runbook.output_lines import OutputLines
from runner.workflow.runbook.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.interrupts import Interrupts
    from runner.workflow.runbook.given import Given
    from runner.workflow.runbook.load import LoadedRunbook
    from runner.workflow.runbook.result import Console
    from runner.workflow.runbook.work_directory import WorkDirectory


@dataclass(frozen=True, slots=True)
class Scene:
    """The run of a runbook.

    :param outputs: Of the steps that ended.
    :param run_options: Words for every run step (`--bpftrace PATH`).
    :param takes_defaults: Nobody is asked.
    """

    loaded: LoadedRunbook
    given: Given
    work: WorkDirectory
    console: Console
    signals: Interrupts
    outputs: Outputs
    run_options: tuple[str, ...]
    takes_defaults: bool

    def context(self) -> dict[str, Any]:
        """Return what expressions are evaluated with now."""
        return context_of(self.loaded, self.given, self.outputs, self.work.path)

    def text(self, text: str) -> str:
        """Return a text with its values."""
        return Template(text).render(self.context())

    def words(self, texts: list[str]) -> list[str]:
        """Return the words of a command with their values; an expression with several stands for them all."""
        found: list[str] = []
        for text in texts:
            value = Template(text).value(self.context())
            found += [str(each) for each in value] if isinstance(value, list) else [self.text(text)]
        return found

    def seconds(self, option: str, text: str) -> float:
        """Return a duration in seconds."""
        return parse_with_unit(option, self.text(text))

    def environment(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a command: ours and what the step adds."""
        return {**os.environ, **{name: self.text(text) for name, text in texts.items()}}

    def tell(self, event: str, step: str | None, text: str, *, is_shown: bool = True, **more: Any) -> None:
        """Write into the transcript, and show it."""
        shown = self.given.mask(text)
        self.work.write(event, step, shown, **more)
        if not is_shown:
            return
        shown = shown.replace("\n", "\n    ")
        mark = {"output": "  | ", "command": "  $ "}.get(event, "  ")
        self.console.say(shown if event in ("begin", "step", "end") else f"{mark}{shown}")

    def lines(self, step: str) -> OutputLines:
        """Return what takes the output of a step's command."""
        return OutputLines(lambda line: self.tell("output", step, line))

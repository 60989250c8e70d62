"""A runbook that was run as a table on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table
from rich.text import Text

from runner.report.console import new_console, text_of
from runner.report.gates import measured_text
from runner.report.words import printable

if TYPE_CHECKING:
    from runner.capture.document import Measured
    from runner.workflow.runbook.document import RunbookRun, StepResult

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim", "interrupted": "bold red"}
_MOST_OUTPUT = 60
"""Letters of an output; the document has it all."""


def format_runbook(run: RunbookRun, *, in_color: bool) -> str:
    """Return what became of each step, and how to go on where it stopped.

    :param in_color: The text goes to a terminal.
    """
    console = new_console(in_color=in_color)
    given = [f"--{name} {each}" for name, value in run["parameters"].items() for each in _several(value)]
    head = " · ".join([run["runbook"]["id"], *given, run["host"], run["started"], run["outcome"]])
    console.print(Text(printable(head)), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("step", "kind", "outcome"):
        table.add_column(name, no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("reason and outputs", overflow="fold")
    for step in run["steps"]:
        round_ = f" #{step['round']}" if step["round"] is not None else ""
        table.add_row(
            Text(("  " if step["within"] else "") + step["name"] + round_),
            step["kind"],
            Text(step["outcome"], style=_STYLES[step["outcome"]]),
            f"{_seconds(step):.1f}" if step["outcome"] != "skipped" else "",
            Text(printable(_details(step))),
        )
    console.print(table)
    if run["reason"]:
        console.print(
            Text(printable(f"{run['outcome']}: {run['reason']}"), style=_STYLES.get(run["outcome"], ""))
        )
    console.print(Text(printable(f"transcript: {run['work']}/transcript.txt")), soft_wrap=True)
    if run["next"]:
        console.print(Text(printable(f"to go on: {run['next']}")), soft_wrap=True)
    return text_of(console)


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _seconds(step: StepResult) -> float:
    return (datetime.fromisoformat(step["ended"]) - datetime.fromisoformat(step["started"])).total_seconds()


def _details(step: StepResult) -> str:
    if step["reason"]:
        return step["reason"] + (" (ignored)" if step["is_ignored"] else "")
    shown = {
        name: _output(value) for name, value in step["outputs"].items() if name not in ("gates", "exit_code")
    }
    return ", ".join(f"{name}: {text}" for name, text in shown.items() if text)


def _output(value: Any) -> str:
    if isinstance(value, dict):
        return measured_text(cast("Measured", value))
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_OUTPUT else f"{text[: _MOST_OUTPUT - 1]}…"

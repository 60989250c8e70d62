"""The names that texts and conditions see while a runbook runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import ValueRefused
from runner.workflow.runbook.values import Measured, OutputOfSkipped, Values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.workflow.runbook.given import Given
    from runner.workflow.runbook.load import LoadedRunbook

Outputs = dict[str, dict[str, Any]]
"""Of each step that ended, by its name: its latest outputs as the document has them, and its `outcome`."""


def context_of(loaded: LoadedRunbook, given: Given, outputs: Outputs, work: Path | None) -> dict[str, Any]:
    """Return what expressions are evaluated with.

    :param work: The directory of the captures; None where nothing is run.
    """
    steps = {name.replace("-", "_"): _outputs(name, values, work) for name, values in outputs.items()}
    return {
        "parameters": Values(given.values, lambda name: ValueRefused(f"there is no parameter {name}")),
        "steps": Values(
            steps, lambda name: ValueRefused(f"the step {name.replace('_', '-')} has not been run")
        ),
        "runbook": Values(
            {"directory": str(loaded.path.absolute().parent)}, lambda name: ValueRefused(f"no {name}")
        ),
    }


def _outputs(name: str, values: Mapping[str, Any], work: Path | None) -> Values:
    outcome = values.get("outcome")

    def missing(output: str) -> ValueRefused:
        what = f"steps.{name.replace('-', '_')}.{output} has no value: {name}"
        if outcome == "skipped":
            return OutputOfSkipped(f"{what} was skipped")
        return ValueRefused(f"{what} has {outcome}")

    made = {key: _value(key, value, work) for key, value in values.items()}
    return Values(made, missing)


def _value(name: str, value: Any, work: Path | None) -> Any:
    if isinstance(value, dict) and value.keys() == {"lower", "upper", "unit"}:
        return Measured(**value)
    if name == "capture" and work is not None:
        return str(work / value)
    return value

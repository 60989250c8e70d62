"""Gates and the rules that decide them as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.amounts import number
from runner.capture.evidence import EFFECTS

if TYPE_CHECKING:
    from runner.capture.document import GateResult, Measured


STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}


def gate_line(result: GateResult) -> str:
    """Return what a gate says in one line."""
    line = f"gate {result['gate']}: {result['verdict']}"
    if result["verdict"] == "inconclusive":
        line += f", counts as {result['counts_as']}"
    if result["measured"] is not None:
        line += f" (measured: {measured_text(result['measured'])})"
    return line if result["reason"] is None else f"{line}: {result['reason']}"


def measured_text(measured: Measured) -> str:
    """Return what was measured: a number, or between which bounds it lies."""
    lower, upper, unit = measured["lower"], measured["upper"], measured["unit"]
    if lower is None and upper is None:
        return "not known"
    if lower is None or upper is None:
        bound = number(upper if lower is None else lower, unit)  # type: ignore[arg-type]
        return f"at most {bound}" if lower is None else f"at least {bound}"
    if lower == upper:
        return number(lower, unit)
    return f"{number(lower, unit)} to {number(upper, unit)}"


def effects_as_markdown() -> str:
    """Return the table of what each problem of a capture does to a gate."""
    rows = [f"| `{code}` | {effect} |" for code, effect in EFFECTS.items()]
    return "\n".join(["| problem | does |", "|---|---|", *rows]) + "\n"

"""An experiment for people: the verdict, what was measured, how the host was left; terminal and Markdown."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING, cast

from runner.report.comparison_words import interval_words, outcome_name, p_words, shift_words, side_words
from runner.report.gates import gate_line
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.document import GateResult
    from runner.compare.document import Row
    from runner.workflow.experiment.document import Comparison, ExperimentResult

_COLUMNS = 100
_HEAD = 2
"""Lines at the beginning: the verdict, and its reason."""

_STATES = {
    "as-before": "The host is as it was before.",
    "kept": "The change stays.",
    "changed": "The change is switched on.",
    "not-as-before": "THE HOST IS NOT AS IT WAS BEFORE.",
}
_ENDINGS = {
    "running": "It is under way, or was killed.",
    "interrupted": "No verdict: it was interrupted.",
    "failed": "No verdict: it could not be carried through.",
}


def experiment_as_text(result: ExperimentResult) -> str:
    """Return an experiment for a terminal."""
    lines: list[str] = []
    before = 0
    for number, (depth, text) in enumerate(_lines(result)):
        # The verdict and its reason stand together, as do the lines at the end.
        if depth == 0 and (before != 0 or number == _HEAD):
            lines.append("")
        before = depth
        if depth < 0:
            lines.append("      " + text)
            continue
        indent = "  " * depth
        lines += textwrap.wrap(text, _COLUMNS, initial_indent=indent, subsequent_indent=indent) or [""]
    return "\n".join([*lines, "", f"kept in {printable(result['directory'])}"]) + "\n"


def experiment_as_markdown(result: ExperimentResult) -> str:
    """Return an experiment as Markdown."""
    (_, title), *rest = _lines(result)
    lines = [f"# {title}"]
    before = 0
    for depth, text in rest:
        if depth <= 0 and (depth == 0 or before != depth):
            lines.append("")
        before = depth
        escaped = text if depth < 0 else text.replace("*", r"\*").replace("<", "&lt;")
        lines.append({-1: "    ", 0: "", 1: "- ", 2: "  - "}[depth] + escaped)
    return "\n".join(lines) + "\n"


def _lines(result: ExperimentResult) -> Iterator[tuple[int, str]]:
    """Return lines, each with how deep it stands; -1 is a command to type."""
    for depth, text in _raw_lines(result):
        # A command of several lines is typed as such.
        for line in text.split("\n") if depth < 0 else [text]:
            yield depth, printable(line)


def _raw_lines(result: ExperimentResult) -> Iterator[tuple[int, str]]:
    yield 0, f"{result['title']}: {result['verdict'] or 'no verdict'}"
    if result["ending"] == "finished":
        yield 0, f"{result['reason'][:1].upper()}{result['reason'][1:]}."
    else:
        yield 0, f"{_ENDINGS[result['ending']]} {result['reason']}"
    for comparison in result["comparisons"]:
        yield from _comparison(comparison)
    change = result["change"]
    yield 0, "What was changed:"
    for setting in change["settings"]:
        after = setting["after"] if setting["after"] is not None else "not changed"
        yield 1, f"{setting['name']}: {setting['before'] or 'nothing'} → {after or 'nothing'}"
    if change["netns"]:
        yield 1, f"in the network namespace {change['netns']}"
    if change["counters"]:
        counted = ", ".join(f"{name} {count:,}" for name, count in change["counters"].items())
        yield 1, f"it counted while it was on: {counted}"
    for setting in change["settings"]:
        if setting["became"] == "gone":
            yield 1, f"{setting['name']} is gone: there was nothing to put back"
    yield 0, _STATES[result["state"]]
    if result["state"] == "kept":
        yield 0, "The way back:"
        for setting in reversed(change["settings"]):
            for command in setting["revert"]:
                yield -1, command
    design = result["design"]
    load = (
        shlex.join(design["load"]) if design["load"] else f"what comes by itself, {design['duration']} a run"
    )
    seconds = f"{result['seconds']:.0f} s" if result["seconds"] is not None else "not known"
    predicted = design["seconds_predicted"]
    told = f" (foretold: {predicted:.0f} s)" if predicted is not None else ""
    order = f"{design['runs']} runs in the order {design['order']}, A without the change and B with it"
    recorded = sum(run["number"] > 0 for run in result["runs"])
    if recorded < design["runs"]:
        order = f"{recorded} of {order}"
    yield (
        0,
        f"{order}, after {design['warm_up']} to warm up; {seconds} in all{told}.",
    )
    yield 0, f"Load: {load}"
    commands = [command for setting in change["settings"] for command in setting["change"]]
    # What several lines do needs what the experiment had made for it: --keep does that.
    typed = not any("\n" in command for command in commands)
    if result["verdict"] == "better" and result["state"] == "as-before" and typed:
        yield 0, "To have it for good, change it where the host's settings are kept; until the next start:"
        yield from ((-1, command) for command in commands)
    if result["next"]:
        yield 0, "Next:"
        yield -1, result["next"]


def _comparison(comparison: Comparison) -> Iterator[tuple[int, str]]:
    yield 0, f"{' '.join(comparison['words'])}: {comparison['verdict']}"
    for outcome in comparison["outcomes"]:
        row = cast("Row", outcome)
        before, after = side_words(row)
        yield (
            1,
            (
                f"{outcome_name(row)}: {before} without it, {after} with it: {shift_words(row)} "
                f"(99% interval {interval_words(row)}, p {p_words(row['p_value'])}): {row['verdict']}"
            ),
        )
    if comparison["anew"]:
        yield 1, f"to decide it: {comparison['anew']}"
    for gate in comparison["gates"]:
        yield 1, gate_line(cast("GateResult", gate))
    for problem in comparison["problems"]:
        yield 1, f"note: {problem}"

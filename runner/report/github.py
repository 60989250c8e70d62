"""Workflow commands of GitHub Actions: annotations of a comparison, and how they are escaped.

GitHub shows ten of each level of a step; the verdict comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from runner.report.comparison_words import UNREADABLE, outcome_name, primaries, problem_text, recipe_words
from runner.report.gates import gate_line
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.document import GateResult
    from runner.compare.document import Comparison, Word

Level = Literal["error", "warning", "notice"]

_LEVELS: dict[Word, Level] = {
    "worse": "error",
    "inconclusive": "warning",
    "changed": "notice",
    "same": "notice",
    "better": "notice",
}


def github_of_comparison(comparison: Comparison) -> str:
    """Return a line for the verdict, for each gate, and for each problem that leaves something out.

    `worse`, a gate that counts as failed and a file that cannot be read are errors; what is inconclusive, and
    what is left out, is a warning.
    """
    return "\n".join(_commands(comparison)) + "\n"


def _commands(comparison: Comparison) -> Iterator[str]:
    recipe = recipe_words(comparison)
    yield _annotation(
        _LEVELS[comparison["verdict"]],
        f"{recipe}: {comparison['verdict']}",
        _reasons(comparison["reason"], comparison["anew"]),
    )
    for gate in comparison["gates"]:
        word = gate["verdict"]
        yield _annotation(_level_of_gate(gate), f"{recipe}: gate {word}", gate_line(gate))
    rows = primaries(comparison)
    for row in rows if len(rows) > 1 else ():
        yield _annotation(
            _LEVELS[row["verdict"]],
            f"{recipe}: {outcome_name(row)} {row['verdict']}",
            _reasons(row.get("reason") or "no reason is known", row.get("anew")),
        )
    for problem in comparison["problems"]:
        if problem["left_out"]:
            level: Level = "error" if problem["code"] in UNREADABLE else "warning"
            yield _annotation(level, f"{recipe}: {problem['code']}", problem_text(problem))


def _reasons(reason: str, anew: str | None) -> str:
    return f"{reason}\nrecord anew: {anew}" if anew else reason


def _level_of_gate(gate: GateResult) -> Level:
    if gate["counts_as"] == "fail":
        return "error"
    return "notice" if gate["verdict"] == "pass" else "warning"


def _annotation(level: Level, title: str, message: str) -> str:
    # Of what names bring along only the line ends of ours are kept: a log is shown on terminals too.
    lines = [printable(line) for line in message.split("\n")]
    return workflow_command(level, "\n".join(lines), title=printable(title))


def workflow_command(level: str, message: str, **properties: str | int) -> str:
    """Return a workflow command: `%`, ends of lines, and in properties `:` and `,` are written as numbers."""
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{level} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

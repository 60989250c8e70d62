"""The end of a comparison: what stderr says of it, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.output import say
from runner.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.capture.document import GateResult
    from runner.compare.document import Comparison, ComparisonProblem

_UNREAD = {"unreadable", "not-a-capture"}

_MISTAKES = {"duplicate", "overlapping", "other-recipe"}
"""Problems of what was named on the command line."""


def say_comparison(comparison: Comparison, *, is_shown: bool) -> None:
    """Say what was decided, and what was left out: stdout may go into a file.

    :param is_shown: The verdict stands on the terminal.
    """
    say_left_out(comparison["problems"])
    say_gate_results(comparison["gates"])
    if not is_shown:
        say(f"{comparison['verdict']}: {comparison['reason']}")


def say_left_out(problems: Iterable[ComparisonProblem]) -> None:
    """Say what was left out."""
    from runner.report.comparison_words import problem_text

    for problem in problems:
        if problem["left_out"]:
            say(f"note: {problem_text(problem)}")


def say_gate_results(results: Iterable[GateResult]) -> None:
    """Say what gates said."""
    from runner.report.gates import gate_line

    for result in results:
        say(gate_line(result))


def exit_code(comparison: Comparison) -> ExitCode:
    """Return the exit code of a comparison."""
    code = code_of_problems(comparison["problems"])
    if code is ExitCode.DONE and comparison["verdict"] == "worse":
        return ExitCode.NEGATIVE
    return code or code_of_gates(comparison["gates"])


def code_of_problems(problems: Iterable[ComparisonProblem]) -> ExitCode:
    """Return the exit code of what was left out: where it was read, or named wrongly."""
    codes = {problem["code"] for problem in problems if problem["left_out"]}
    if codes & _UNREAD:
        return ExitCode.DECODE
    return ExitCode.VALUE if codes & _MISTAKES else ExitCode.DONE


def code_of_gates(results: Iterable[GateResult]) -> ExitCode:
    """Return the exit code of gates."""
    is_failed = any(result["counts_as"] == "fail" for result in results)
    return ExitCode.NEGATIVE if is_failed else ExitCode.DONE

"""Why an outcome decides nothing, whatever its numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.compare.findings import SIDES
from runner.compare.hosts import host_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.compare.document import ComparisonProblem
    from runner.compare.outcome import Numbers, Outcome
    from runner.compare.runs import RecordedRun

_ANEW_PROGRAM = "record both sides with the same release of the recipe and the same options"
_ANEW_HOST = "record both sides on one host, in turns"
_ANEW_EMPTY = "record longer runs, or while the load runs"


def obstacle(
    outcome: Outcome,
    sides: Sequence[Sequence[RecordedRun]],
    numbers: Sequence[Numbers],
    problems: Iterable[ComparisonProblem],
) -> tuple[str, str] | None:
    """Return why nothing may be decided by an outcome, and what to record anew; None where it may.

    :param numbers: What each side's runs say of it.
    """
    for name, runs, side in zip(SIDES, sides, numbers, strict=True):
        if side.why:
            runs_without = f"{len(side.why)} of {len(runs)} runs {name} say nothing of {outcome.subject}"
            return f"{runs_without}: {side.why[0]}", _ANEW_EMPTY
    for problem in problems:
        if problem["code"] == "other-program":
            return f"the sides were recorded by different programs: {problem['detail']}", _ANEW_PROGRAM
    hosts = host_names([run for side in sides for run in side])
    if len(hosts) > 1 and outcome.per_work is None:
        return (
            f"the runs are of {len(hosts)} hosts, and across hosts only counts per unit of work say anything",
            _ANEW_HOST,
        )
    return None

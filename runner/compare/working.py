"""What the runs of both sides did: units of work of their commands, or events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.compare.load import Loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.outcome import Outcome
    from runner.compare.runs import RecordedRun


def common_work(sides: Sequence[Sequence[RecordedRun]]) -> str | None:
    """Return the unit of the work that all runs' commands did; None where one did none, or another kind."""
    found = [run.work for side in sides for run in side]
    names = {each[1] or "unit" for each in found if each is not None and each[0] > 0}
    return (
        names.pop() if len(names) == 1 and all(each is not None and each[0] > 0 for each in found) else None
    )


def loads_of(
    sides: Sequence[Sequence[RecordedRun]], outcomes: Sequence[Outcome], work: str | None
) -> Loads | None:
    """Return what each run did per second: work, or events of what decides; None where neither is known.

    Where a rate decides its events are what is compared, and no load.
    """
    if work is not None:
        rates = [[_per_second(run) for run in side] for side in sides]
        if all(each is not None for side in rates for each in side):
            before, after = ([each for each in side if each is not None] for side in rates)
            return Loads(before, after, work)
    for outcome in outcomes:
        are_known = all(outcome.is_of(run) for side in sides for run in side)
        if outcome.subject.statistic != "rate" and are_known:
            rates = [[run.events_per_second(outcome.subject.table) for run in side] for side in sides]
            if all(each is not None for side in rates for each in side):
                before, after = ([each for each in side if each is not None] for side in rates)
                return Loads(before, after)
    return None


def _per_second(run: RecordedRun) -> float | None:
    return run.work[0] / run.seconds if run.work is not None and run.seconds else None

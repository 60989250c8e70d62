"""What the runs of both sides did: units of work of their commands, or events."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.compare.load import Loads
from runner.compare.load_drift import load_drift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.design import Arrangement
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
    sides: Sequence[Sequence[RecordedRun]],
    arrangement: Arrangement,
    outcomes: Sequence[Outcome],
    work: str | None,
) -> Loads | None:
    """Return what each run did per second: work, or events of what decides; None where neither is known.

    Where a rate decides its events are what is compared, and no load.
    """
    if work is not None:
        found = _known([[_per_second(run) for run in side] for side in sides], arrangement, work)
        if found is not None:
            return found
    for outcome in outcomes:
        are_known = all(outcome.is_of(run) for side in sides for run in side)
        if outcome.subject.statistic != "rate" and are_known:
            table = outcome.subject.table
            rates = [[run.events_per_second(table) for run in side] for side in sides]
            found = _known(rates, arrangement, "events")
            if found is not None:
                return found
    return None


def _known(rates: Sequence[Sequence[float | None]], arrangement: Arrangement, unit: str) -> Loads | None:
    """Return the loads of both sides; None where that of a run is not known, or no number can hold it."""
    before, after = ([each for each in side if each is not None and math.isfinite(each)] for side in rates)
    if (len(before), len(after)) != tuple(map(len, rates)):
        return None
    if not arrangement.is_in_blocks:
        return Loads(before, after, unit)
    in_order = [(is_after, (after if is_after else before)[place]) for is_after, place in arrangement.order]
    return Loads(before, after, unit, load_drift(in_order))


def _per_second(run: RecordedRun) -> float | None:
    return run.work[0] / run.seconds if run.work is not None and run.seconds else None

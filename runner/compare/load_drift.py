"""The load over the rounds of ABBA: whether it drifted, or varied too much, to have been one load.

Blocks of ABBA take a linear drift out of the effect. They do not make one load of two: what was measured
under the first round's load and what was under the last one's are different experiments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from runner.capture.percent import in_percent
from runner.compare.limits import ALPHA, LARGEST_RATIO
from runner.compare.student import t_cdf

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_VARIATION = LARGEST_RATIO - 1
"""Of the runs of one side: their standard deviation over their mean.

A judgement. Where it is as large as that, half of the pairs of runs of one side are further apart than the
two sides may be (of normal runs), so "the same load" has no meaning left. Unlike the greatest over the
least it does not grow with the number of runs.
"""

_MOST_LOG = 700.0
"""What is more has no exponential: of captures that somebody changed."""


@dataclass(frozen=True, slots=True)
class LoadDrift:
    """How the load went from the first run to the last.

    :param drift: The change from first to last on a fitted line, of the logarithm; as a ratio less 1. None
        where a run had no load, which has no logarithm.
    :param p: Two-sided, of no drift; None likewise.
    :param variation: The coefficient of variation of the runs of a side: of the side that varied more.
    """

    drift: float | None
    p: float | None
    variation: float

    @property
    def drifts(self) -> bool:
        """Whether it drifted by more than 10 %, and not by chance."""
        if self.drift is None or self.p is None or self.p > ALPHA:
            return False
        return not 1 / LARGEST_RATIO <= 1 + self.drift <= LARGEST_RATIO

    @property
    def varies(self) -> bool:
        """Whether the runs of a side differ too much for one load."""
        return self.variation > LARGEST_VARIATION

    def in_words(self) -> str | None:
        """Return what keeps the load from being one; None where nothing does."""
        if self.drift is not None and self.drifts:
            change = f"{'-' if self.drift < 0 else '+'}{in_percent(abs(self.drift))}"
            return (
                f"the load drifted by {change} from the first run to the last: the order of ABBA takes that "
                "out of the change, but what was measured was not measured under one load"
            )
        if self.varies:
            return (
                f"the load varied too much between the runs of one side: by {in_percent(self.variation)} "
                f"(standard deviation over mean), and two sides may differ by {in_percent(LARGEST_VARIATION)}"
            )
        return None


def load_drift(runs: Sequence[tuple[bool, float]]) -> LoadDrift:
    """Return how the load of all runs went.

    The line is fitted by least squares to the logarithm of the load over the place of each run, with the
    side beside it: what the change itself makes of the load is no drift.

    :param runs: In the order of their beginning, of each whether it is of the side after, and its load; at
        least two of either side.
    """
    sides = [[load for is_after, load in runs if is_after == side] for side in (False, True)]
    variation = max(stdev(side) / fmean(side) if any(side) else 0.0 for side in sides)
    if any(load <= 0 for _, load in runs):
        return LoadDrift(None, None, variation)
    of_after = [is_after for is_after, _ in runs]
    places = _around_their_sides([float(place) for place in range(len(runs))], of_after)
    logs = _around_their_sides([math.log(load) for _, load in runs], of_after)
    spread = math.fsum(place * place for place in places)
    slope = math.fsum(place * log for place, log in zip(places, logs, strict=True)) / spread
    left = math.fsum((log - slope * place) ** 2 for place, log in zip(places, logs, strict=True))
    # Two means and a slope are fitted.
    freedom = len(runs) - 3
    error = math.sqrt(left / freedom / spread)
    # A line that is met exactly leaves no error: then any slope is real.
    p = 2 * t_cdf(-abs(slope / error), freedom) if error > 0 else float(slope == 0)
    return LoadDrift(math.expm1(min(slope * (len(runs) - 1), _MOST_LOG)), p, variation)


def _around_their_sides(values: Sequence[float], of_after: Sequence[bool]) -> list[float]:
    """Return values less the mean of their side: what least squares leaves of them beside it."""
    means = [
        fmean(value for value, is_after in zip(values, of_after, strict=True) if is_after == side)
        for side in (False, True)
    ]
    return [value - means[is_after] for value, is_after in zip(values, of_after, strict=True)]

"""Whether both sides did the same work: without the same load there is nothing to compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, ClassVar

from runner.capture.percent import in_percent
from runner.compare.limits import LARGEST_RATIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.load_drift import LoadDrift


@dataclass(frozen=True, slots=True)
class Loads:
    """What each side did, per second.

    :param before: Of each run, and `after` likewise: units of work, or events, per second.
    :param unit: What was counted.
    :param drift: How it went over the rounds, where runs were recorded in blocks of ABBA; else None.
    """

    ANEW: ClassVar[str] = "record both sides again under one load"
    STEADY: ClassVar[str] = "record again under a steady load"

    before: Sequence[float]
    after: Sequence[float]
    unit: str = "events"
    drift: LoadDrift | None = None

    @property
    def differ(self) -> bool:
        """Whether the mean of one side is more than 10 % above the other's."""
        least, most = sorted((fmean(self.before), fmean(self.after)))
        return most > least * LARGEST_RATIO

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Return why nothing is compared under them, and what to record anew; None where it may be."""
        if self.differ:
            return f"the load differs: {self.in_words()}", self.ANEW
        unsteady = None if self.drift is None else self.drift.in_words()
        return None if unsteady is None else (unsteady, self.STEADY)

    def in_words(self) -> str:
        """Return both as people read them."""
        before, after = fmean(self.before), fmean(self.after)
        change = "" if before == 0 else f" ({'+' if after > before else '-'}{_change(before, after)})"
        return f"{before:,.4g} {self.unit} per second before, {after:,.4g} after{change}"


def _change(before: float, after: float) -> str:
    return in_percent(math.fabs(after / before - 1))

"""Bounds between which a statistic of a capture lies, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Bound = Fraction | None


@dataclass(frozen=True, slots=True)
class Measure:
    """Where a statistic lies, both bounds inclusive; None is open.

    :param unit: Of the bounds: the table's, `ratio`, `events`, or one of these per second (`packets/s`).
    :param why: Why they are wider than the table alone would have them.
    """

    lower: Bound
    upper: Bound
    unit: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """There is nothing to measure, and why."""

    why: str

"""Exact permutation tests of the difference between two sides, and the interval that they leave.

The statistic is the difference of the means (within blocks, the least-squares estimate of it: the sum of
the side *after* decides in both). It is not studentised: where the two sides have the same number of
runs, which the recorded designs have, unequal variances leave the test its size for large numbers of runs
(Chung and Romano, "Exact and asymptotically robust permutation tests", Annals of Statistics 41, 2013),
and the plain difference has an interval in closed form.

Supposed the true effect is e, taking it away from the side *after* makes the runs exchangeable. An
arrangement is then as extreme as the observed one where e is at least the mean of the runs that leave
less the mean of those that enter: one *critical effect* for each arrangement. Their order statistics are
the p-value of every supposed effect and, by inversion, the interval (Tritchler, "On inverting permutation
tests", JASA 79, 1984). The same holds for ratios: the critical ratio is the sum of those that leave over
the sum of those that enter.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.compare.exchange import exchanges, least_p
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

Scale = Literal["difference", "ratio"]
"""Whether a change adds to the value of each run or multiplies it."""

_ROUNDING = 1e-12
"""Sums whose difference is smaller, relative to the values, are ties: p is never less than exact."""


@dataclass(frozen=True, slots=True)
class Block:
    """Runs that were recorded together (ABBA); an unpaired comparison is one block.

    :param before: One number of each run, and `after` likewise.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the number of runs before and after."""
        return len(self.before), len(self.after)


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """What all arrangements say of every supposed effect.

    :param effect: The observed one: after less before, or after over before.
    :param greater: Sorted: the supposed effects from which on each arrangement is as extreme as the observed
        one on the side of greater effects.
    :param less: Sorted: the same for lesser ones, up to which it is.
    :param least: The least two-sided p that this number of runs can reach.
    """

    effect: float
    greater: Sequence[float]
    less: Sequence[float]
    least: float
    tolerance: float

    def p_greater(self, supposed: float) -> float:
        """Return the one-sided p of the effect being no greater than the supposed one.

        (b + 1)/(m + 1): the observed arrangement is one of them (Phipson and Smyth, "Permutation p-values
        should never be zero", 2010).
        """
        return (bisect_right(self.greater, supposed + self.tolerance) + 1) / (len(self.greater) + 1)

    def p_less(self, supposed: float) -> float:
        """Return the one-sided p of the effect being no less than the supposed one."""
        extreme = len(self.less) - bisect_left(self.less, supposed - self.tolerance)
        return (extreme + 1) / (len(self.less) + 1)

    def p(self, supposed: float) -> float:
        """Return the two-sided p of the supposed effect: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(supposed), self.p_less(supposed)))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the effects that are not refuted, two-sided, at this level; infinite for too few runs."""
        beyond = math.floor(alpha / 2 * (len(self.greater) + 1))
        if beyond == 0:
            return -math.inf, math.inf
        return self.greater[beyond - 1], self.less[-beyond]


def permutation_test(blocks: Sequence[Block], scale: Scale) -> PermutationTest:
    """Return the test of the runs of two sides.

    :param blocks: Each with runs of both sides.
    :raises ValueRefused: A side of a block is empty, or a ratio is asked of values below zero.
    """
    values = [value for block in blocks for value in (*block.before, *block.after)]
    if not blocks or any(0 in block.sizes for block in blocks):
        raise ValueRefused("a comparison has runs of both sides", hint="compare BEFORE… --with AFTER…")
    if scale == "ratio" and min(values) < 0:
        raise ValueRefused(f"{min(values):g} is below zero: such values have no ratio")
    found = exchanges([block.before for block in blocks], [block.after for block in blocks])
    size = max(map(abs, values))
    if scale == "difference":
        # What was drawn and exchanges nothing is the observed arrangement: extreme whatever is supposed.
        greater = [(left - entered) / runs if runs else -math.inf for left, entered, runs in found]
        greater.sort()
        less = greater[bisect_right(greater, -math.inf) :]
        less += [math.inf] * (len(greater) - len(less))
        tolerance = size * _ROUNDING
    else:
        pairs = [(left, entered) for left, entered, _ in found]
        less = [left / entered if entered > 0 else math.inf for left, entered in pairs]
        less.sort()
        # Where nothing enters no ratio makes it as extreme, unless nothing leaves either: then each does.
        both = sum(entered <= 0 and left <= 0 for left, entered in pairs)
        greater = [-math.inf] * both + less[: len(less) - both]
        tolerance = _ROUNDING
    sizes = [block.sizes for block in blocks]
    return PermutationTest(observed_effect(blocks, scale), greater, less, least_p(sizes), tolerance)


def observed_effect(blocks: Sequence[Block], scale: Scale) -> float:
    """Return the weighted mean of the blocks' differences, or the ratio of the weighted means.

    The weights n·m/(n + m) are those of least squares: what permuting the sum of the side *after* tests.
    """
    before = after = weights = 0.0
    for block in blocks:
        n, m = block.sizes
        weight = n * m / (n + m)
        before += weight * math.fsum(block.before) / n
        after += weight * math.fsum(block.after) / m
        weights += weight
    if scale == "difference":
        return (after - before) / weights
    if before == 0:
        return math.inf if after > 0 else 1.0
    return after / before

"""The windows of one run: their mean, their drift, and how many independent ones they are worth.

Consecutive windows are no independent measurements: a permutation of them finds differences where there
are none. So a run is one number, the mean of its windows, and the windows show whether the run was
steady.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from runner.compare.student import t_cdf

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_WINDOWS = 8
"""Of fewer, neither drift nor autocorrelation can be told."""

_ALPHA = 0.01
_Z = NormalDist().inv_cdf(1 - _ALPHA)
_BLOCK_LENGTHS = 2
"""Blocks are that many correlation lengths long: what the means of two neighbours share is little."""


@dataclass(frozen=True, slots=True)
class Series:
    """What the windows of a run say, in their order and of equal length.

    :param mean: The number of the run.
    :param drift: The change from the first window to the last on a fitted line, in the values' unit; None for
        fewer than 8 windows.
    :param drift_p: Two-sided p of no drift; the autocorrelation is in it.
    :param autocorrelation: Of neighbours, around that line, the bias of short series taken off.
    :param correlation_length: The integrated autocorrelation time, in windows: as many are worth one.
        Drift is in it: windows that drift are not exchangeable.
    """

    mean: float
    windows: int
    drift: float | None = None
    drift_p: float | None = None
    autocorrelation: float | None = None
    correlation_length: float | None = None

    @property
    def effective(self) -> float | None:
        """Return how many independent windows they are worth."""
        return None if self.correlation_length is None else self.windows / self.correlation_length

    @property
    def block_length(self) -> int | None:
        """Return how many windows make a block that can be taken for independent of the next."""
        if self.correlation_length is None:
            return None
        if self.correlation_length <= 1:
            return 1
        return math.ceil(_BLOCK_LENGTHS * self.correlation_length)

    @property
    def has_drift(self) -> bool:
        """Whether a drift was found (p at most 0.01)."""
        return self.drift_p is not None and self.drift_p <= _ALPHA

    @property
    def has_autocorrelation(self) -> bool:
        """Whether neighbours resemble each other more than chance has it (one-sided, p about 0.01)."""
        return self.autocorrelation is not None and self.autocorrelation > _Z / math.sqrt(self.windows)


def series(values: Sequence[float]) -> Series:
    """Return what the windows of one run say.

    :param values: One number of each window, in their order; at least one.
    """
    count = len(values)
    mean = fmean(values)
    if count < LEAST_WINDOWS:
        return Series(mean, count)
    if max(values) == min(values):
        return Series(mean, count, 0.0, 1.0, 0.0, 1.0)
    centre = (count - 1) / 2
    spread = count * (count * count - 1) / 12
    slope = math.fsum((place - centre) * value for place, value in enumerate(values)) / spread
    around = [value - mean - slope * (place - centre) for place, value in enumerate(values)]
    neighbours = _unbiased(_correlation(around, 1), count)
    drift_p = _drift_p(slope, around, spread, _length(around))
    length = _length([value - mean for value in values])
    return Series(mean, count, slope * (count - 1), drift_p, neighbours, length)


def block_means(values: Sequence[float], length: int) -> list[float]:
    """Return the means of consecutive blocks of windows; what is left over at the beginning is left out."""
    first = len(values) % length
    return [fmean(values[start : start + length]) for start in range(first, len(values), length)]


def _drift_p(slope: float, around: Sequence[float], spread: float, length: float) -> float:
    """Return the p of no slope: as many windows as the series is worth, and no more."""
    freedom = len(around) / length - 2
    squares = math.fsum(each * each for each in around)
    if freedom < 1:
        return 1.0
    if squares <= 0:
        return 0.0 if slope else 1.0
    error = math.sqrt(squares / (len(around) - 2) / spread * length)
    return 2 * t_cdf(-abs(slope / error), freedom)


def _correlation(centred: Sequence[float], lag: int) -> float:
    squares = math.fsum(each * each for each in centred)
    if squares <= 0:
        return 0.0
    pairs = zip(centred, centred[lag:], strict=False)
    return math.fsum(one * other for one, other in pairs) / squares


def _unbiased(correlation: float, count: int) -> float:
    """Return a lag-1 correlation without its bias of -(1 + 4r)/n (Marriott and Pope, Biometrika 41, 1954)."""
    return max(-1.0, min(1.0, (correlation + 1 / count) / (1 - 4 / count)))


def _length(centred: Sequence[float]) -> float:
    """Return the integrated autocorrelation time, at least 1 and at most all windows.

    The greater one of two: the initial positive sequence (Geyer, "Practical Markov chain Monte Carlo",
    Statistical Science 7, 1992), which sees any shape; and that of an autoregression of first order, (1 +
    r)/(1 - r), which is less noisy and whose bias can be taken off.
    """
    count = len(centred)
    r = _unbiased(_correlation(centred, 1), count)
    first_order = (1 + r) / (1 - r) if r < 1 else math.inf
    positive = -1.0
    for lag in range(0, count - 1, 2):
        pair = _correlation(centred, lag) + _correlation(centred, lag + 1)
        # Two that cancel leave what rounding made of them.
        if pair <= 1e-12:
            break
        positive += 2 * pair
    return min(float(count), max(1.0, first_order, positive))

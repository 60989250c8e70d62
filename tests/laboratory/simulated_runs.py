"""Runs of a load that is made up: histograms and counts of their windows, with every way of not being independent."""

import functools
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist, fmean
from typing import Any

from runner.capture.buckets import LogBuckets
from runner.capture.distribution import count_above
from runner.compare.statistic import mean_log2

WINDOWS = 20
EVENTS = 300
"""Of a window, on average; the table of counts has a fifth of them."""

MEDIAN_OCTAVES = 11.0
SPREAD_OCTAVES = 1.0
THRESHOLD = 8192
"""2.3 % of the events of an undisturbed window are above it: it is two octaves above the median."""

JITTER_OCTAVES = math.log2(1.05)
"""One standard deviation of windows: 5 % of the latency, and of the rate."""

_THRESHOLD = Fraction(THRESHOLD)
_LAYOUT = LogBuckets(2)
_BUCKETS = [_LAYOUT.bounds(index, is_unsigned=False) for index in range(24, 64)]
_EDGES = [math.log2(lower or 1) for lower, _ in _BUCKETS[1:]]
_NORMAL = NormalDist()
_LEAST_EXPECTED = 1e-3
_NEARLY_NORMAL = 12


def _skewed(value: float) -> float:
    return -math.log(1 - _NORMAL.cdf(value)) - 1


def _bimodal(value: float) -> float:
    """Return one of two values, the upper one in three of ten windows; mean 0, standard deviation 1."""
    return math.sqrt(7 / 3) if value > _NORMAL.inv_cdf(0.7) else -math.sqrt(3 / 7)


_SHAPES: dict[str, Callable[[float], float]] = {
    "normal": lambda value: value,
    "skewed": _skewed,
    "bimodal": _bimodal,
}


@dataclass(frozen=True)
class Condition:
    """How windows and runs differ from each other although nothing was changed.

    :param correlation: Of neighbouring windows.
    :param offset: Standard deviation of what a run has of its own, in those of windows.
    :param drift: By how much the last window of a run is above its first one.
    :param windows: Shape of the windows' distribution, `runs` that of the runs' offsets.
    :param after: The offset of runs after the change, where it is another.
    :param session: By how much the last run of a comparison is above its first one.
    :param session_load: The same of the load.
    """

    name: str
    correlation: float = 0.0
    offset: float = 0.0
    drift: float = 0.0
    windows: str = "normal"
    runs: str = "normal"
    after: float | None = None
    session: float = 0.0
    session_load: float = 0.0


@dataclass(frozen=True)
class Run:
    """The numbers of one run: each the mean of its windows."""

    share: float
    octaves: float
    rate: float
    load: float


def simulate(chance: random.Random, condition: Condition, factor: float = 1.0, place: float = 0.0) -> Run:
    """Return a run.

    :param factor: What a change makes of every latency, and of the rate.
    :param place: From 0 to 1: where in the session it was recorded.
    """
    session = place * math.log2(1 + condition.session)
    latency, rate = (
        [session + each for each in _levels(chance, condition)],
        [session + each for each in _levels(chance, condition)],
    )
    grown = place * math.log2(1 + condition.session_load)
    load = [grown + each for each in _levels(chance, condition)]
    shares, octaves, counts, events = [], [], [], []
    for window in range(WINDOWS):
        row = _histogram(chance, latency[window] + math.log2(factor), EVENTS * 2 ** load[window])
        above, possible = count_above(row["buckets"], _THRESHOLD, is_cut=True)
        mean = mean_log2([row])
        assert mean is not None
        assert not possible
        shares.append(above / row["count"])
        octaves.append(mean)
        counts.append(_poisson(chance, EVENTS / 5 * factor * 2 ** rate[window]))
        events.append(row["count"])
    return Run(fmean(shares), fmean(octaves), fmean(counts), fmean(events))


def levels(chance: random.Random, correlation: float, count: int) -> list[float]:
    """Return windows around 0 with standard deviation 1, each of which resembles the one before."""
    value = chance.gauss(0, 1)
    found = []
    for _ in range(count):
        found.append(value)
        value = correlation * value + math.sqrt(1 - correlation * correlation) * chance.gauss(0, 1)
    return found


def _levels(chance: random.Random, condition: Condition) -> list[float]:
    """Return the octaves by which each window lies above the load's own level."""
    shape = _SHAPES[condition.windows]
    offset = condition.offset * _SHAPES[condition.runs](chance.gauss(0, 1))
    drift = math.log2(1 + condition.drift) / (WINDOWS - 1)
    own = levels(chance, condition.correlation, WINDOWS)
    return [JITTER_OCTAVES * (offset + shape(value)) + drift * place for place, value in enumerate(own)]


def _histogram(chance: random.Random, octaves: float, events: float) -> dict[str, Any]:
    buckets = []
    for (lower, upper), probability in zip(_BUCKETS, _probabilities(round(octaves * 1024)), strict=True):
        expected = probability * events
        count = _poisson(chance, expected) if expected > _LEAST_EXPECTED else 0
        if count:
            buckets.append({"lower": lower, "upper": upper, "count": count})
    return {"key": {}, "count": sum(bucket["count"] for bucket in buckets), "buckets": buckets}


@functools.lru_cache(maxsize=1 << 14)
def _probabilities(shift: int) -> list[float]:
    centre = MEDIAN_OCTAVES + shift / 1024
    below = [0.0, *(_NORMAL.cdf((edge - centre) / SPREAD_OCTAVES) for edge in _EDGES), 1.0]
    return [high - low for low, high in itertools.pairwise(below)]


def _poisson(chance: random.Random, mean: float) -> int:
    if mean > _NEARLY_NORMAL:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit = math.exp(-mean)
    count = 0
    product = chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count

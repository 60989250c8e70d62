"""What a histogram says of quantiles, sums and means: bounds, never an invented point."""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_left
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.capture.document import Bounds, Bucket, Quantiles

CONFIDENCE: Final = 0.95
LEAST_BEYOND: Final = 10
"""A quantile with fewer events beyond it is not known."""

_TAIL = (1 - CONFIDENCE) / 2
_MOST_TERMS_VARIANCE = 250_000
_Z = NormalDist().inv_cdf(1 - _TAIL)
_PERMILLE = {"p50": 500, "p95": 950, "p99": 990, "p999": 999}


@functools.lru_cache(maxsize=4096)
def ranks(count: int, permille: int) -> tuple[int, int]:
    """Return the ranks of the two observations between which a quantile lies, at 95 % confidence.

    Order statistics: the number of observations below the quantile is binomial, whatever the
    distribution of the values, as long as they are independent.

    :returns: From 1 to count; 0 and count + 1 where the sample has no observation beyond.
    """
    share = permille / 1000
    variance = count * share * (1 - share)
    if variance > _MOST_TERMS_VARIANCE:
        # Cornish-Fisher's first correction; what it leaves is far below one rank, which is given away.
        centre = count * share + (_Z * _Z - 1) * (1 - 2 * share) / 6
        margin = _Z * math.sqrt(variance)
        return max(0, math.floor(centre - margin) - 1), min(count + 1, math.ceil(centre + margin) + 2)
    mode = min(count, int((count + 1) * share))
    ratio = share / (1 - share)
    below = list(_falling(_downward(mode, count, ratio)))
    above = list(_falling(_upward(mode, count, ratio)))
    whole = 1 + sum(below) + sum(above)
    # P(X <= low - 1) and P(X >= high) are each at most a tail.
    low, weight = mode - len(below), 0.0
    for term in [*reversed(below), 1.0, *above]:
        weight += term
        if weight > _TAIL * whole:
            break
        low += 1
    high, weight = mode + len(above) + 1, 0.0
    for term in [*reversed(above), 1.0, *below]:
        weight += term
        if weight > _TAIL * whole:
            break
        high -= 1
    return low, high


def _downward(mode: int, count: int, ratio: float) -> Iterator[float]:
    """Return each factor from one binomial probability to the one below it, from the mode on."""
    return (k / ((count - k + 1) * ratio) for k in range(mode, 0, -1))


def _upward(mode: int, count: int, ratio: float) -> Iterator[float]:
    return ((count - k) * ratio / (k + 1) for k in range(mode, count))


def _falling(factors: Iterator[float]) -> Iterator[float]:
    return itertools.takewhile(lambda term: term > 1e-17, itertools.accumulate(factors, lambda a, b: a * b))


def quantiles(buckets: Sequence[Bucket]) -> Quantiles:
    """Return the bounds of the usual quantiles: bucket width and sampling error (95 %) are in them.

    :param buckets: In the order of their values.
    """
    ends = list(itertools.accumulate(bucket["count"] for bucket in buckets))
    count = ends[-1] if ends else 0
    found = {name: _bounds(buckets, ends, count, permille) for name, permille in _PERMILLE.items()}
    return {"p50": found["p50"], "p95": found["p95"], "p99": found["p99"], "p999": found["p999"]}


def _bounds(buckets: Sequence[Bucket], ends: Sequence[int], count: int, permille: int) -> Bounds | None:
    if count * (1000 - permille) < LEAST_BEYOND * 1000:
        return None
    low, high = ranks(count, permille)
    lower = None if low < 1 else buckets[bisect_left(ends, low)]["lower"]
    upper = None if high > count else buckets[bisect_left(ends, high)]["upper"]
    return [lower, upper]


def sum_bounds(buckets: Sequence[Bucket]) -> Bounds:
    """Return the least and the greatest sum that the events of a histogram can have."""
    lower: int | None = 0
    upper: int | None = 0
    for bucket in buckets:
        lower = (
            None if lower is None or bucket["lower"] is None else lower + bucket["lower"] * bucket["count"]
        )
        upper = (
            None if upper is None or bucket["upper"] is None else upper + bucket["upper"] * bucket["count"]
        )
    return [lower, upper]


def mean_bounds(buckets: Sequence[Bucket]) -> tuple[Fraction | None, Fraction | None] | None:
    """Return the least and the greatest mean that the events can have; None where there are none."""
    count = sum(bucket["count"] for bucket in buckets)
    if count == 0:
        return None
    lower, upper = (None if bound is None else Fraction(bound, count) for bound in sum_bounds(buckets))
    return lower, upper

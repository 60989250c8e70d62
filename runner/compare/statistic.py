"""Numbers of the rows of a histogram that are compared: a mean log2, a mean, a quantile inside its bucket.

A quantile is known by bounds, and no more is said of one anywhere else. What two sides are compared by needs
a number that moves with the events: here the quantile is interpolated inside its bucket, in the same way on
both sides, and nothing but their ratio is made of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from runner.capture.quantiles import LEAST_BEYOND
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Bucket


def mean_log2(rows: Sequence[Any]) -> float | None:
    """Return the mean log2 of the events' values, each taken for the middle of its bucket on that scale.

    A change of all values by one factor moves it by the log2 of the factor, wherever they lie; 2 to its
    power is their geometric mean. A bucket [lower, upper] holds what lies from lower up to upper + 1, for
    the kernel cuts to whole units; the middle of one that begins at zero is its arithmetic one.

    :param rows: Of a histogram.
    :returns: In octaves; None where there are no events.
    :raises ValueRefused: A bucket with events is open, or below zero: it has no middle.
    """
    count = 0
    total = 0.0
    for row in rows:
        for bucket in row["buckets"]:
            events = bucket["count"]
            bounds = bucket["lower"], bucket["upper"]
            middle = _MIDDLES.get(bounds)
            if middle is None:
                middle = _middle(*bounds)
                if len(_MIDDLES) < _MOST_MIDDLES:
                    _MIDDLES[bounds] = middle
            count += events
            total += events * middle
    return total / count if count else None


_MIDDLES: dict[tuple[int | None, int | None], float] = {}
"""Those that were asked for: histograms of one layout have the same buckets, again and again."""

_MOST_MIDDLES = 4096


def _middle(lower: int | None, upper: int | None) -> float:
    if lower is None or upper is None or lower < 0:
        raise ValueRefused(
            f"the bucket from {'-∞' if lower is None else lower} to {'∞' if upper is None else upper} has no "
            "logarithm",
            hint="compare the share above a threshold instead",
        )
    if lower == 0:
        return math.log2((upper + 1) / 2)
    return (math.log2(lower) + math.log2(upper + 1)) / 2


def mean(buckets: Sequence[Bucket]) -> float | None:
    """Return the mean of the events, each taken for the middle of its bucket, in their unit.

    :returns: None where there are no events, or an open bucket has some.
    """
    count = sum(bucket["count"] for bucket in buckets)
    total = 0.0
    for bucket in buckets:
        if bucket["lower"] is None or bucket["upper"] is None:
            return None
        total += bucket["count"] * (bucket["lower"] + bucket["upper"] + 1) / 2
    return total / count if count else None


def quantile_inside(buckets: Sequence[Bucket], permille: int) -> float | None:
    """Return a quantile, interpolated in its bucket: geometrically above zero, else linearly.

    :param permille: 990 for p99.
    :returns: In the table's unit; None where fewer than 10 events lie beyond it, or in an open bucket.
    """
    count = sum(bucket["count"] for bucket in buckets)
    if count * min(permille, 1000 - permille) < LEAST_BEYOND * 1000:
        return None
    left = count * permille / 1000
    for bucket in buckets:
        if left <= bucket["count"]:
            lower, upper = bucket["lower"], bucket["upper"]
            if lower is None or upper is None:
                return None
            part = left / bucket["count"]
            if lower <= 0:
                return lower + part * (upper + 1 - lower)
            return float(lower * ((upper + 1) / lower) ** part)
        left -= bucket["count"]
    return None

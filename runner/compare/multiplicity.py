"""Several outcomes at once: Holm for those that decide, Benjamini and Hochberg for those that only point."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values, in their order, adjusted so that one at most alpha is false with probability alpha.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
    1979; whatever the dependence.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    raised = ((len(values) - rank) * values[place] for rank, place in enumerate(order))
    return _in_order(order, [min(1.0, each) for each in itertools.accumulate(raised, max)])


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Return p-values, in their order, adjusted so that of those at most q a share of q is false on average.

    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 57, 1995; for outcomes that are
    independent or rise together, as rows of one table under one load do.
    """
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    count = len(values)
    raised = (count / (count - rank) * values[place] for rank, place in enumerate(order))
    return _in_order(order, [min(1.0, each) for each in itertools.accumulate(raised, min)])


def _in_order(order: Sequence[int], adjusted: Sequence[float]) -> list[float]:
    found = [1.0] * len(order)
    for place, value in zip(order, adjusted, strict=True):
        found[place] = value
    return found

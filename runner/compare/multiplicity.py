"""Many outcomes at once, which only point: how many of those that are found are false, on average."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Return p-values, in their order, adjusted so that of those at most q a share of q is false on average.

    Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B 57, 1995; for outcomes that are
    independent or rise together, as rows of one table under one load do.
    """
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    count = len(values)
    raised = (count / (count - rank) * values[place] for rank, place in enumerate(order))
    found = [1.0] * count
    for place, value in zip(order, itertools.accumulate(raised, min), strict=True):
        found[place] = min(1.0, value)
    return found

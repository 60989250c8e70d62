"""The histograms of both sides, all events of a side in one: for the eye, no verdict comes from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.distribution import joined_buckets
from runner.capture.quantiles import quantiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.compare.document import Distribution, DistributionPair
    from runner.compare.runs import RecordedRun


def distributions(sides: Sequence[Sequence[RecordedRun]], names: Iterable[str]) -> list[DistributionPair]:
    """Return the pairs of the tables that are histograms of one unit, each side's buckets cut in one way.

    :param names: Of tables.
    """
    pairs: list[DistributionPair] = []
    for name in dict.fromkeys(names):
        units = {table["unit"] for side in sides for run in side for table in run.tables(name)}
        if len(units) != 1:
            continue
        before, after = (_joined(side, name) for side in sides)
        if before is not None and after is not None:
            (unit,) = units
            pairs.append({"name": name, "unit": unit, "before": before, "after": after})
    return pairs


def _joined(side: Sequence[RecordedRun], name: str) -> Distribution | None:
    tables = [table for run in side for table in run.tables(name)]
    if not tables or any(table["kind"] != "histogram" for table in tables):
        return None
    buckets = joined_buckets([row for table in tables for row in table["rows"]])
    if buckets is None:
        return None
    return {
        "count": sum(bucket["count"] for bucket in buckets),
        "buckets": buckets,
        "quantiles": quantiles(buckets),
    }

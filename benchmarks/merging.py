"""`make bench`: how long it takes to merge the histograms of many captures."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from runner.capture.arithmetic import merge
from runner.capture.buckets import LogBuckets
from runner.capture.rows import histogram_row

if TYPE_CHECKING:
    from runner.capture.document import Table

CAPTURES = 10_000
HISTOGRAMS = 50
_DIFFERENT = 100
"""Captures that are made; the others are these again: merging does not remember what it saw."""


def _table(chance: random.Random) -> Table:
    layout = LogBuckets(2)
    rows: list[Any] = []
    for number in range(HISTOGRAMS):
        first = chance.randrange(20, 60)
        counts = {
            layout.bounds(index, is_unsigned=False): chance.randrange(1, 1000)
            for index in range(first, first + chance.randrange(10, 30))
        }
        rows.append(histogram_row({"comm": f"service-{number}"}, counts))
    return {
        "name": "latency", "map": "@latency", "kind": "histogram", "unit": "us",
        "keys": [{"name": "comm", "type": "comm"}], "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Print the time."""
    chance = random.Random(1)  # noqa: S311
    made = [_table(chance) for _ in range(_DIFFERENT)]
    tables = [made[number % _DIFFERENT] for number in range(CAPTURES)]
    start = time.perf_counter()
    merged = merge(tables)
    taken = time.perf_counter() - start
    assert len(merged["rows"]) == HISTOGRAMS
    print(f"merging {CAPTURES} captures of {HISTOGRAMS} histograms: {taken:.1f} s")


if __name__ == "__main__":
    main()

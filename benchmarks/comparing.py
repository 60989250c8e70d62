"""`make bench`: how long it takes to compare two sides of many captures, from their tables to the verdict."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from runner.capture.buckets import LogBuckets
from runner.capture.rows import histogram_row
from runner.compare.exploratory import explore
from runner.compare.margin import Margin
from runner.compare.permutation import Block
from runner.compare.statistic import mean_log2, share_above
from runner.compare.verdict import Question, judge

if TYPE_CHECKING:
    from runner.capture.document import HistogramRow

RUNS = 50
KEYS = 200
_THRESHOLD = LogBuckets(2).bounds(40, is_unsigned=False)[0] or 0


def _rows(chance: random.Random) -> list[HistogramRow]:
    layout = LogBuckets(2)
    rows = []
    for number in range(KEYS):
        first = 20 + number % 10
        counts = {
            layout.bounds(index, is_unsigned=False): chance.randrange(1, 1000)
            for index in range(first, first + 20)
        }
        rows.append(histogram_row({"comm": f"service-{number}"}, counts))
    return rows


def main() -> None:
    """Print the time."""
    chance = random.Random(1)  # noqa: S311
    sides: list[list[list[Any]]] = [[_rows(chance) for _ in range(RUNS)] for _ in range(2)]
    start = time.perf_counter()
    shares = [[share_above(rows, _THRESHOLD) for rows in side] for side in sides]
    block = Block(*(tuple(float(share[0]) for share in side if share) for side in shares))
    verdict = judge([block], Question("lower", Margin.share()))
    each = [[[mean_log2([row]) or 0.0 for row in rows] for rows in side] for side in sides]
    found = explore([each[0]], [each[1]])
    taken = time.perf_counter() - start
    assert len(found) == KEYS
    assert verdict.word in ("same", "inconclusive")
    print(f"comparing 2 x {RUNS} captures of {KEYS} histograms: {taken:.2f} s")


if __name__ == "__main__":
    main()

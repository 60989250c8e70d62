"""How many runs carry a decision: the least that can, and how many the noise of given runs asks for."""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import fmean
from typing import TYPE_CHECKING

from runner.compare.exchange import arrangements, least_p
from runner.compare.permutation import observed_effect
from runner.compare.student import t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.margin import Margin
    from runner.compare.permutation import Block

LEAST_RUNS = 5
"""Of each side of an unpaired comparison; fewer cannot reach a p of 0.01 (4 reach 2/70)."""

LEAST_BLOCKS = 3
LEAST_RUNS_IN_BLOCKS = 6
MOST_RUNS = 50
"""Who would need more than that a side is better served by longer runs or a steadier load."""

POWER = 0.8


def can_decide(sizes: Sequence[tuple[int, int]], alpha: float) -> bool:
    """Whether this many runs can reach a decision at all, whatever they say.

    :param sizes: Runs before and after, of each block; one pair where the comparison is unpaired.
    """
    least = LEAST_RUNS if len(sizes) == 1 else LEAST_RUNS_IN_BLOCKS
    if len(sizes) > 1 and len(sizes) < LEAST_BLOCKS:
        return False
    return min(map(sum, zip(*sizes, strict=True))) >= least and least_p(sizes) <= alpha


def least_runs(alpha: float, *, in_blocks: bool) -> int:
    """Return the least number of runs a side that can reach a decision: unpaired, or in blocks of ABBA."""
    if not in_blocks:
        runs = LEAST_RUNS
        while 2 / arrangements([(runs, runs)]) > alpha:
            runs += 1
        return runs
    blocks = LEAST_BLOCKS
    while 2 / arrangements([(2, 2)] * blocks) > alpha:
        blocks += 1
    return 2 * blocks


def runs_to_decide(blocks: Sequence[Block], margin: Margin, alpha: float) -> int | None:
    """Return how many new runs a side would decide, if the effect and the noise are what they seem.

    With a power of 80 %: where the distance of the effect from the nearest edge of the margin is both
    quantiles of t (alpha/2 and power) times the standard error, which permutation tests come near to. It
    is a plan for new runs: these ones had their say.

    :returns: None where more than 50 would not: the effect lies at the edge of the margin, or the runs differ
        too much.
    """
    in_blocks = len(blocks) > 1
    effect = observed_effect(blocks, margin.scale)
    distance = min(abs(effect - margin.lower), abs(effect - margin.upper))
    deviation = _deviation(blocks)
    if margin.scale == "ratio":
        mean = fmean(value for block in blocks for value in block.before)
        if mean == 0:
            return None
        deviation /= mean

    def is_enough(runs: int) -> bool:
        freedom = 2 * runs - 1 - (runs // 2 if in_blocks else 1)
        quantiles = t_quantile(1 - alpha / 2, freedom) + t_quantile(POWER, freedom)
        return quantiles * deviation * math.sqrt(2 / runs) <= distance

    numbers = range(least_runs(alpha, in_blocks=in_blocks), MOST_RUNS + 1, 2 if in_blocks else 1)
    place = bisect_left(numbers, True, key=is_enough)
    return numbers[place] if place < len(numbers) else None


def _deviation(blocks: Sequence[Block]) -> float:
    """Return the standard deviation of runs: what blocks and sides together leave unexplained."""
    effect = observed_effect(blocks, "difference")
    squares = 0.0
    freedom = -len(blocks) - 1
    for block in blocks:
        n, m = block.sizes
        before, after = fmean(block.before), fmean(block.after)
        squares += math.fsum((value - before) ** 2 for value in block.before)
        squares += math.fsum((value - after) ** 2 for value in block.after)
        squares += n * m / (n + m) * (after - before - effect) ** 2
        freedom += n + m
    return math.sqrt(squares / freedom) if freedom > 0 else math.inf

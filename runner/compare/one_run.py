"""What the windows of one run of each side may say: at most whether it is worth recording more runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.compare.permutation import Block
from runner.compare.planning import LEAST_RUNS
from runner.compare.series import block_means, series
from runner.compare.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.load import Loads
    from runner.compare.verdict import Question, Verdict


def judge_windows(
    before: Sequence[float], after: Sequence[float], question: Question, loads: Loads | None = None
) -> Verdict:
    """Return an inconclusive verdict; with enough independent blocks it has the effect and its interval.

    Blocks of windows longer than the correlation length stand for runs. They show what changes within a
    run; what differs from one start of the load to the next they cannot show, so nothing is decided by
    them.

    :param before: One number of each window of one run, in their order; `after` likewise.
    """
    sides = [series(before), series(after)]
    lengths = [side.block_length for side in sides]
    single = judge([Block((sides[0].mean,), (sides[1].mean,))], question, loads)
    if loads is not None and loads.obstacle is not None:
        return single
    if lengths[0] is None or lengths[1] is None:
        return replace(single, reason=f"{single.reason}, and its windows are too few to say anything")
    length = max(lengths[0], lengths[1])
    blocks = Block(tuple(block_means(before, length)), tuple(block_means(after, length)))
    worth = f"its {len(before)} and {len(after)} windows are worth {sides[0].effective:.0f} and "
    worth += f"{sides[1].effective:.0f} independent ones"
    if min(blocks.sizes) < LEAST_RUNS:
        return replace(single, reason=f"{single.reason}, and {worth}: too few to say anything")
    within = judge([blocks], question)
    return replace(
        within,
        word="inconclusive",
        reason=f"{single.reason}; {worth}. Within these two runs alone: {within.reason}",
        anew=single.anew,
        runs=single.runs,
    )

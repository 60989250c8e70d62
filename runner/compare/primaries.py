"""Verdicts on several outcomes that are declared primary, none of which may be false by their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.compare.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.load import Loads
    from runner.compare.permutation import Block
    from runner.compare.verdict import Question, Verdict


def judge_primaries(
    outcomes: Sequence[tuple[Sequence[Block], Question]], loads: Loads | None = None
) -> list[Verdict]:
    """Return the verdicts, in the order of the outcomes, by Holm's procedure.

    The outcome that is clearest is judged at alpha over their number, the next one at alpha over one
    less, and so on until one is undecided; it and all that follow are judged at the level where that
    happened.

    :param outcomes: All of one alpha.
    """
    first = [judge(blocks, question, loads) for blocks, question in outcomes]
    order = sorted(range(len(first)), key=lambda place: min(first[place].p_beyond, first[place].p_same))
    verdicts = dict(enumerate(first))
    tested = len(outcomes)
    for place in order:
        blocks, question = outcomes[place]
        verdicts[place] = judge(blocks, replace(question, alpha=question.alpha / tested), loads)
        if verdicts[place].word != "inconclusive":
            tested -= 1
    return [verdicts[place] for place in range(len(first))]

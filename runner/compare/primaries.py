"""Verdicts on several outcomes that are declared primary, none of which may be false by their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.compare.multiplicity import holm
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
    values = [min(verdict.p_beyond, verdict.p_same) for verdict in first]
    order = sorted(range(len(values)), key=values.__getitem__)
    decided = sum(
        adjusted <= question.alpha for adjusted, (_, question) in zip(holm(values), outcomes, strict=True)
    )
    verdicts = dict(enumerate(first))
    for rank, place in enumerate(order):
        blocks, question = outcomes[place]
        level = question.alpha / (len(outcomes) - min(rank, decided))
        verdicts[place] = judge(blocks, replace(question, alpha=level), loads)
    return [verdicts[place] for place in range(len(first))]

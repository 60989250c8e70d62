"""Verdicts on the outcomes that are declared primary, none of which may be false by their number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.compare.verdict import judge, judge_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.load import Loads
    from runner.compare.permutation import Block
    from runner.compare.verdict import Question, Verdict, Word


@dataclass(frozen=True, slots=True)
class Asked:
    """One outcome and what is asked of it.

    :param least: The least that each run says, by block; `most` the greatest.
    """

    least: Sequence[Block]
    most: Sequence[Block]
    question: Question

    def verdict(self, loads: Loads | None, alpha: float) -> Verdict:
        """Return what is said of it at a level."""
        question = replace(self.question, alpha=alpha)
        if self.least == self.most:
            return judge(self.least, question, loads)
        return judge_bounds(self.least, self.most, question, loads)


def judge_primaries(asked: Sequence[Asked], loads: Loads | None = None) -> list[Verdict]:
    """Return the verdicts, in the order of the outcomes, by Holm's procedure.

    The outcome that is clearest is judged at alpha over their number, the next one at alpha over one
    less, and so on until one is undecided; it and all that follow are judged at the level where that
    happened (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979; whatever the dependence).

    :param asked: All of one alpha.
    """
    first = [each.verdict(loads, each.question.alpha) for each in asked]
    values = [min(verdict.p_beyond, verdict.p_same) for verdict in first]
    verdicts = dict(enumerate(first))
    left = len(asked)
    is_decided = True
    for place in sorted(range(len(values)), key=values.__getitem__):
        verdicts[place] = asked[place].verdict(loads, asked[place].question.alpha / left)
        # Runs may be too few for a level that p reaches: such an outcome is undecided too.
        is_decided = is_decided and verdicts[place].word != "inconclusive"
        left -= is_decided
    return [verdicts[place] for place in range(len(first))]


def together(words: Sequence[Word]) -> Word:
    """Return the verdict on all outcomes: what one says and no other contradicts."""
    found = set(words)
    if {"better", "worse"} <= found:
        return "changed"
    for word in ("worse", "changed", "better"):
        if word in found:
            return word
    return "same" if found == {"same"} else "inconclusive"

"""The verdict on one outcome: better, worse, changed, same, or inconclusive and what to record anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from runner.compare.equivalence import p_beyond, p_same
from runner.compare.limits import ALPHA
from runner.compare.permutation import Block, permutation_test
from runner.compare.planning import MOST_RUNS, can_decide, least_runs, runs_to_decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.load import Loads
    from runner.compare.margin import Margin
    from runner.compare.permutation import PermutationTest

Word = Literal["better", "worse", "same", "changed", "inconclusive"]
Direction = Literal["lower", "higher", "neutral"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two sides, fixed before either is looked at.

    :param direction: Which way is better; where neither is, what is beyond the margin has `changed`.
    :param margin: Effects that are taken for none.
    :param alpha: Of each statement; two-sided where there are two sides to err on.
    """

    direction: Direction
    margin: Margin
    alpha: float = ALPHA


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said, and why.

    :param before: Mean of the runs, and `after` likewise.
    :param p: Two-sided, of no difference at all.
    :param p_beyond: Two-sided, of the effect not lying beyond the margin on the side where it was seen.
    :param p_same: Of the effect lying outside the margin (two one-sided tests).
    :param effect: In the margin's measure: after over before, or after less before.
    :param interval: Of the effect, at level 1 - alpha; infinite where the runs are too few for one.
    :param anew: What to record, where it is inconclusive.
    :param runs: How many new runs a side that asks for; None where a number of runs is not what is missing.
    """

    word: Word
    reason: str
    before: float
    after: float
    p: float
    p_beyond: float
    p_same: float
    effect: float
    interval: tuple[float, float]
    anew: str | None = None
    runs: int | None = None


def judge(blocks: Sequence[Block], question: Question, loads: Loads | None = None) -> Verdict:
    """Return the verdict on the runs of both sides.

    :param blocks: One number of each independent run, by block; one block where the comparison is unpaired.
    :param loads: What each side did per second, where that is known: without one load nothing is compared.
    :raises ValueRefused: A side is empty, or a ratio is asked of values below zero.
    """
    margin, alpha = question.margin, question.alpha
    test = permutation_test(blocks, margin.scale)
    below, above = p_beyond(test, margin)
    facts = Verdict(
        "inconclusive",
        "",
        fmean(value for block in blocks for value in block.before),
        fmean(value for block in blocks for value in block.after),
        test.p(margin.no_effect),
        min(below, above),
        p_same(test, margin),
        test.effect,
        test.interval(alpha),
    )
    obstacle = None if loads is None else loads.obstacle
    if obstacle is not None:
        return replace(facts, reason=obstacle[0], anew=obstacle[1])
    sizes = [block.sizes for block in blocks]
    if not can_decide(sizes, alpha):
        return _too_few(facts, sizes, test, alpha)
    seen = _seen(facts, margin, alpha)
    if facts.p_beyond <= alpha:
        upwards = above <= below
        word: Word = _DIRECTED[question.direction, upwards]
        return replace(facts, word=word, reason=f"{seen}: all of it beyond the margin of {margin.in_words()}")
    if facts.p_same <= alpha:
        return replace(
            facts,
            word="same",
            reason=f"{seen}: inside the margin of {margin.in_words()} (p = {facts.p_same:.2g})",
        )
    return _undecided(facts, blocks, question, seen)


def judge_bounds(
    least: Sequence[Block], most: Sequence[Block], question: Question, loads: Loads | None = None
) -> Verdict:
    """Return the verdict where runs are known by bounds: a threshold inside a bucket, lost events.

    A threshold inside a bucket has two ends, and at both of them shares are exact. Both bounds are judged,
    and what both say holds.

    :param least: The least share of each run, and `most` the greatest.
    """
    one, other = judge(least, question, loads), judge(most, question, loads)
    if one.word == other.word == "inconclusive":
        return other
    if one.word == other.word:
        found = max(one, other, key=_deciding_p)
        bound, opposite = ("lower", "upper") if found is one else ("upper", "lower")
        return replace(
            found,
            reason=f"{found.reason}, by the {bound} bounds of the runs; by the {opposite} ones it is so too",
        )
    return replace(
        other,
        word="inconclusive",
        reason=f"the runs are known by bounds: by the lower ones it is {one.word}, by the upper {other.word}",
        anew="record both sides again with the threshold as the recipe's own, which is counted exactly",
        runs=None,
    )


_DIRECTED: dict[tuple[Direction, bool], Word] = {
    ("lower", True): "worse",
    ("lower", False): "better",
    ("higher", True): "better",
    ("higher", False): "worse",
    ("neutral", True): "changed",
    ("neutral", False): "changed",
}
"""By the direction that is better, and whether the effect is upwards."""


def _deciding_p(verdict: Verdict) -> float:
    return verdict.p_same if verdict.word == "same" else verdict.p_beyond


def _seen(facts: Verdict, margin: Margin, alpha: float) -> str:
    return (
        f"{margin.effect_in_words(facts.effect)} "
        f"({100 * (1 - alpha):g}% interval {margin.interval_in_words(facts.interval)}; p = {facts.p:.2g})"
    )


def _too_few(
    facts: Verdict, sizes: Sequence[tuple[int, int]], test: PermutationTest, alpha: float
) -> Verdict:
    before, after = (sum(side) for side in zip(*sizes, strict=True))
    in_blocks = len(sizes) > 1
    runs = least_runs(alpha, in_blocks=in_blocks)
    if (before, after) == (1, 1):
        reason = "one run against one says nothing of what differs from run to run"
    else:
        how = f" in {len(sizes)} blocks" if in_blocks else ""
        reason = f"{before} runs before and {after} after{how} cannot carry a decision: "
        reason += (
            f"whatever they say, p is {test.least:.2g} or more, and {alpha:.2g} is asked for"
            if test.least > alpha
            else f"it takes {runs} of each side{' in 3 blocks' if in_blocks else ''}"
        )
    anew = f"record {runs} new runs of each side, interleaved"
    anew += f" in {runs // 2} blocks of ABBA" if in_blocks else ""
    return replace(facts, reason=reason, anew=anew, runs=runs)


def _undecided(facts: Verdict, blocks: Sequence[Block], question: Question, seen: str) -> Verdict:
    margin, alpha = question.margin, question.alpha
    if margin.measure == "ratio" and not any(any(block.before) or any(block.after) for block in blocks):
        return replace(
            facts,
            reason="there was nothing to count on either side, and a part of nothing is no margin",
            anew="record both sides while it happens, or name a margin in its own unit",
        )
    if facts.p <= alpha:
        reason = f"{seen}: it differs, but perhaps by no more than the margin of {margin.in_words()}"
    else:
        reason = f"{seen}: neither a difference nor its absence (margin {margin.in_words()}) is shown"
    runs = None if math.isinf(facts.effect) else runs_to_decide(blocks, margin, alpha)
    if runs is None:
        anew = (
            f"more runs are no help (it would take over {MOST_RUNS} a side): record longer ones under a "
            "steadier load, or settle on another margin before you do"
        )
    else:
        anew = (
            f"record {runs} new runs of each side and judge those alone: runs that are added until a verdict "
            "comes prove nothing"
        )
    return replace(facts, reason=reason, anew=anew, runs=runs)

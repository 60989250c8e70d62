"""From two sides of captures to the comparison document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from runner.compare.blocks import blocks_of, known
from runner.compare.declared import declared_outcome, outcome_of
from runner.compare.described import described_load, described_side
from runner.compare.design import arrange
from runner.compare.distributions import distributions
from runner.compare.exploring import explored
from runner.compare.findings import SIDES
from runner.compare.fitness import fit_runs
from runner.compare.gates import TwoSides, gate_results
from runner.compare.limits import ALPHA
from runner.compare.loading import Read
from runner.compare.margin import Margin
from runner.compare.obstacles import obstacle
from runner.compare.one_run import judge_windows
from runner.compare.outcome import DECIDING
from runner.compare.permutation import Block
from runner.compare.planning import can_decide
from runner.compare.primaries import Asked, judge_primaries, together
from runner.compare.primary_rows import primary_row, said_together
from runner.compare.verdict import Question
from runner.compare.working import common_work, loads_of
from runner.errors import NotUnderstood, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import Condition, Subject
    from runner.capture.gate import Inconclusive
    from runner.compare.design import Arrangement
    from runner.compare.document import Comparison, Word
    from runner.compare.findings import Findings
    from runner.compare.load import Loads
    from runner.compare.outcome import Numbers, Outcome
    from runner.compare.runs import RecordedRun
    from runner.compare.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of two sides.

    :param primaries: Outcomes that decide in place of the recipe's own.
    :param margin: In place of the usual one.
    """

    primaries: Sequence[Subject] = ()
    margin: Margin | None = None
    gates: Sequence[Condition] = ()
    inconclusive: Inconclusive = "fail"


def compare(before: Read, after: Read, wanted: Wanted) -> Comparison:
    """Return what may be said of the difference of two sides.

    :raises ValueRefused: A side has nothing that can be compared, or what is asked for does not exist.
    """
    sides, found = fit_runs([before, after])
    for name, side, read in zip(SIDES, sides, (before, after), strict=True):
        if not side:
            refusal = ValueRefused if read.captures or not read.problems else NotUnderstood
            raise refusal(_empty(name, read, found), hint="compare BEFORE… --with AFTER…")
    reference = sides[0][0]
    arrangement = arrange(*sides)
    work = common_work(sides)
    outcomes = _outcomes([run for side in sides for run in side], wanted)
    if work is not None:
        outcomes = [each.with_work(work) if each.subject.statistic == "rate" else each for each in outcomes]
    numbers = [[outcome.numbers(side) for side in sides] for outcome in outcomes]
    loads = loads_of(sides, arrangement, outcomes, work)
    if loads is None:
        detail = "nothing says whether both sides did the same work (let the command write its units of work)"
        found.add("load-unknown", None, [], detail, left_out=False)
    two = TwoSides(sides, arrangement, work, loads, found.problems)
    blocked = None
    for outcome, both in zip(outcomes, numbers, strict=True):
        _tell_of_runs_without(outcome, sides, both, found)
        blocked = blocked or obstacle(outcome, sides, both, found.problems)
    verdicts = _verdicts(sides, arrangement, outcomes, numbers, loads)
    rows = [
        primary_row(outcome, verdict, blocked) for outcome, verdict in zip(outcomes, verdicts, strict=True)
    ]
    word: Word = together([row["verdict"] for row in rows])
    described = {
        name: described_side(side, name, outcomes, [both[place] for both in numbers], found)
        for place, (side, name) in enumerate(zip(sides, SIDES, strict=True))
    }
    recipe = reference.first["recipe"]
    return {
        "schema": "ebpf-recipe/comparison/v1",
        "verdict": word,
        "reason": said_together(rows, word, "reason") or "",
        "anew": said_together(rows, word, "anew") if word == "inconclusive" else None,
        "recipe": {
            "id": None if recipe is None else recipe["id"],
            "variant": None if recipe is None else recipe["variant"],
            "digest": None if recipe is None else recipe["digest"],
        },
        "parameters": reference.first["parameters"],
        "design": {
            "kind": _kind(sides, arrangement),
            "blocks": len(arrangement.blocks),
            "alpha": ALPHA,
            "can_decide": can_decide(_sizes(arrangement), ALPHA / len(outcomes)),
            "interleaved": arrangement.is_interleaved,
        },
        "load": described_load(loads),
        "sides": described,
        "tables": rows + explored(sides, arrangement, outcomes, work),
        "distributions": distributions(sides, [each.subject.table for each in outcomes]),
        "problems": found.problems,
        "gates": gate_results(wanted.gates, two, wanted.inconclusive),
    }


def why_undecidable(read: Read, wanted: Wanted) -> str | None:
    """Return why runs like these say nothing of what is asked for, whatever is compared; None where they do.

    :raises ValueRefused: What is asked for does not exist.
    """
    (side, _), found = fit_runs([read, Read([])])
    if not side:
        return _empty("before", read, found)
    for outcome in _outcomes(side, wanted):
        why = outcome.numbers(side).why
        if why:
            return f"{outcome.subject} has no number: {why[0]}"
    return None


def _empty(name: str, read: Read, found: Findings) -> str:
    if not read.captures and not read.problems:
        return f"there are no captures {name}"
    why = [each for each in found.problems if each["left_out"] and each["side"] in (name, None)]
    reasons = "; ".join(f"{', '.join(each['files'][:3])}: {each['detail']}" for each in why[:5])
    return f"there is no run {name} that can be compared: {reasons or 'all are left out'}"


def _outcomes(runs: Sequence[RecordedRun], wanted: Wanted) -> list[Outcome]:
    if wanted.primaries:
        subjects = dict.fromkeys(wanted.primaries)
        outcomes = [outcome_of(each, runs, what="--primary", there_is=DECIDING) for each in subjects]
    else:
        outcomes = [declared_outcome(runs)]
    if wanted.margin is None:
        return outcomes
    return [replace(each, margin=_given(wanted.margin, each)) for each in outcomes]


def _given(margin: Margin, outcome: Outcome) -> Margin:
    """Return a margin in the measure of an outcome."""
    if margin.measure == outcome.margin.measure:
        return margin
    if {margin.measure, outcome.margin.measure} == {"ratio", "octaves"}:
        return Margin.octaves(margin.upper - 1)
    hint = "--margin 0.5pp" if outcome.margin.measure == "share" else "--margin 10%"
    raise ValueRefused(f"the margin of {outcome.subject} is not in {margin.in_words()}", hint=hint)


def _tell_of_runs_without(
    outcome: Outcome,
    sides: Sequence[Sequence[RecordedRun]],
    numbers: Sequence[Numbers],
    found: Findings,
) -> None:
    for name, runs, side in zip(SIDES, sides, numbers, strict=True):
        without = [run for run, value in zip(runs, side.most, strict=True) if value is None]
        for run, why in zip(without, side.why, strict=True):
            found.add(
                "no-outcome", name, run.files, f"{outcome.subject} has no number: {why}", left_out=False
            )


def _verdicts(
    sides: Sequence[Sequence[RecordedRun]],
    arrangement: Arrangement,
    outcomes: Sequence[Outcome],
    numbers: Sequence[Sequence[Numbers]],
    loads: Loads | None,
) -> list[Verdict | None]:
    if any(side.why for both in numbers for side in both):
        return [None] * len(outcomes)
    if [len(side) for side in sides] == [1, 1]:
        return [
            _of_one_run(sides, outcome, both, loads) for outcome, both in zip(outcomes, numbers, strict=True)
        ]
    asked = []
    for outcome, both in zip(outcomes, numbers, strict=True):
        least = blocks_of(arrangement, [side.least for side in both])
        most = blocks_of(arrangement, [side.most for side in both])
        asked.append(Asked(least, most, _question(outcome)))
    return list(judge_primaries(asked, loads))


def _of_one_run(
    sides: Sequence[Sequence[RecordedRun]], outcome: Outcome, both: Sequence[Numbers], loads: Loads | None
) -> Verdict:
    windows = [outcome.of_windows(side[0]) for side in sides]
    if all(windows):
        return judge_windows(windows[0], windows[1], _question(outcome), loads)
    single = [Block(tuple(map(known, both[0].most)), tuple(map(known, both[1].most)))]
    return Asked(single, single, _question(outcome)).verdict(loads, ALPHA)


def _question(outcome: Outcome) -> Question:
    return Question(outcome.better or "neutral", outcome.margin)


def _sizes(arrangement: Arrangement) -> list[tuple[int, int]]:
    return [(len(before), len(after)) for before, after in arrangement.blocks]


def _kind(
    sides: Sequence[Sequence[RecordedRun]], arrangement: Arrangement
) -> Literal["unpaired", "abba", "windows"]:
    if all(len(side) == 1 and side[0].windows for side in sides):
        return "windows"
    return "abba" if arrangement.is_in_blocks else "unpaired"

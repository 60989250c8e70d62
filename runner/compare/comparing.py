"""From two sides of captures to the comparison document."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from runner.compare.blocks import blocks_of, known
from runner.compare.declared import declared_outcome, outcome_of
from runner.compare.design import arrange
from runner.compare.distributions import distributions
from runner.compare.exploring import explored
from runner.compare.findings import SIDES
from runner.compare.fitness import fit_runs
from runner.compare.gates import gate_results
from runner.compare.hosts import host_names
from runner.compare.load import Loads
from runner.compare.margin import Margin
from runner.compare.one_run import judge_windows
from runner.compare.outcome import DECIDING
from runner.compare.permutation import Block
from runner.compare.planning import can_decide
from runner.compare.primaries import Asked, judge_primaries, together
from runner.compare.series import LEAST_WINDOWS, series
from runner.compare.verdict import ALPHA, Question
from runner.errors import NotUnderstood, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import Condition, Subject
    from runner.capture.gate import Inconclusive
    from runner.compare.design import Arrangement
    from runner.compare.document import Comparison, Load, Row, Run, Series, Side, Word
    from runner.compare.findings import Findings
    from runner.compare.loading import Read
    from runner.compare.outcome import Numbers, Outcome
    from runner.compare.runs import RecordedRun
    from runner.compare.verdict import Verdict

_ANEW_PROGRAM = "record both sides with the same release of the recipe and the same options"
_ANEW_HOST = "record both sides on one host, in turns"
_ANEW_EMPTY = "record longer runs, or while the load runs"


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
    work = _common_work(sides)
    outcomes = _outcomes([run for side in sides for run in side], wanted)
    if work is not None:
        outcomes = [each.with_work(work) if each.subject.statistic == "rate" else each for each in outcomes]
    numbers = [[outcome.numbers(side) for side in sides] for outcome in outcomes]
    loads = _loads(sides, outcomes, work)
    if loads is None:
        detail = "nothing says whether both sides did the same work (let the command write its units of work)"
        found.add("load-unknown", None, [], detail, left_out=False)
    blocked = _blocked(sides, outcomes, numbers, found)
    verdicts = _verdicts(sides, arrangement, outcomes, numbers, loads)
    rows = [
        _primary_row(outcome, verdict, blocked) for outcome, verdict in zip(outcomes, verdicts, strict=True)
    ]
    word: Word = together([row["verdict"] for row in rows])
    described = [
        _side(side, name, outcomes, numbers, place, found)
        for place, (side, name) in enumerate(zip(sides, SIDES, strict=True))
    ]
    recipe = reference.first["recipe"]
    return {
        "schema": "ebpf-recipe/comparison/v1",
        "verdict": word,
        "reason": _together(rows, word, "reason") or "",
        "anew": _together(rows, word, "anew") if word == "inconclusive" else None,
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
        "load": _load(loads),
        "sides": dict(zip(SIDES, described, strict=True)),
        "tables": rows + explored(sides, arrangement, outcomes, work),
        "distributions": distributions(sides, [each.subject.table for each in outcomes]),
        "problems": found.problems,
        "gates": gate_results(
            wanted.gates,
            sides,
            arrangement,
            work,
            loads,
            wanted.inconclusive,
            None if blocked is None else blocked[0],
        ),
    }


def _empty(name: str, read: Read, found: Findings) -> str:
    if not read.captures and not read.problems:
        return f"there are no captures {name}"
    why = [each for each in found.problems if each["left_out"] and each["side"] in (name, None)]
    reasons = "; ".join(f"{', '.join(each['files'][:3])}: {each['detail']}" for each in why[:5])
    return f"there is no run {name} that can be compared: {reasons or 'all are left out'}"


def _outcomes(runs: Sequence[RecordedRun], wanted: Wanted) -> list[Outcome]:
    if wanted.primaries:
        outcomes = [
            outcome_of(subject, runs, what="--primary", there_is=DECIDING) for subject in wanted.primaries
        ]
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


def _common_work(sides: Sequence[Sequence[RecordedRun]]) -> str | None:
    """Return the unit of the work that all runs' commands did; None where one did none, or another kind."""
    found = [run.work for side in sides for run in side]
    names = {each[1] or "unit" for each in found if each is not None and each[0] > 0}
    return (
        names.pop() if len(names) == 1 and all(each is not None and each[0] > 0 for each in found) else None
    )


def _loads(
    sides: Sequence[Sequence[RecordedRun]], outcomes: Sequence[Outcome], work: str | None
) -> Loads | None:
    """Return what each run did per second: work, or events of what decides; None where neither is known.

    Where a rate decides its events are what is compared, and no load.
    """
    if work is not None:
        rates = [[_per_second(run) for run in side] for side in sides]
        if all(each is not None for side in rates for each in side):
            before, after = ([each for each in side if each is not None] for side in rates)
            return Loads(before, after, work)
    for outcome in outcomes:
        are_known = all(outcome.is_of(run) for side in sides for run in side)
        if outcome.subject.statistic != "rate" and are_known:
            rates = [[run.events_per_second(outcome.subject.table) for run in side] for side in sides]
            if all(each is not None for side in rates for each in side):
                before, after = ([each for each in side if each is not None] for side in rates)
                return Loads(before, after)
    return None


def _per_second(run: RecordedRun) -> float | None:
    return run.work[0] / run.seconds if run.work is not None and run.seconds else None


def _blocked(
    sides: Sequence[Sequence[RecordedRun]],
    outcomes: Sequence[Outcome],
    numbers: Sequence[Sequence[Numbers]],
    found: Findings,
) -> tuple[str, str] | None:
    """Return why nothing may be decided, and what to record anew; None where it may."""
    for outcome, both in zip(outcomes, numbers, strict=True):
        for name, runs, side in zip(SIDES, sides, both, strict=True):
            if side.why:
                files = [run.files[0] for run, value in zip(runs, side.least, strict=True) if value is None]
                detail = f"{outcome.subject} has no number: {side.why[0]}"
                found.add("no-outcome", name, files, detail, left_out=False)
                runs_without = f"{len(side.why)} of {len(runs)} runs {name} say nothing of {outcome.subject}"
                return f"{runs_without}: {side.why[0]}", _ANEW_EMPTY
    for problem in found.problems:
        if problem["code"] == "other-program":
            return f"the sides were recorded by different programs: {problem['detail']}", _ANEW_PROGRAM
    hosts = host_names([run for side in sides for run in side])
    if len(hosts) > 1 and any(outcome.per_work is None for outcome in outcomes):
        return (
            f"the runs are of {len(hosts)} hosts, and across hosts only counts per unit of work say anything",
            _ANEW_HOST,
        )
    return None


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


def _primary_row(outcome: Outcome, verdict: Verdict | None, blocked: tuple[str, str] | None) -> Row:
    margin = outcome.margin
    row: Row = {
        "name": outcome.subject.table,
        "key": {key.name: f"{key.value}{'*' if key.is_prefix else ''}" for key in outcome.subject.keys},
        "statistic": outcome.statistic,
        "unit": outcome.shown_unit,
        "primary": True,
        "better": outcome.better,
        "verdict": "inconclusive",
        "before": None,
        "after": None,
        "shift": None,
        "p_value": None,
        "margin": {"measure": margin.measure, "lower": margin.lower, "upper": margin.upper},
    }
    if outcome.subject.threshold is not None:
        row["threshold"] = str(outcome.subject.threshold)
    if verdict is not None:
        lower, upper = verdict.interval
        row["before"], row["after"] = verdict.before, verdict.after
        row["shift"], row["p_value"] = _finite(verdict.effect), verdict.p
        row["interval"] = [_finite(lower), _finite(upper)]
        row["p_beyond"], row["p_same"] = verdict.p_beyond, verdict.p_same
        row["verdict"], row["reason"] = verdict.word, verdict.reason
        row["anew"], row["runs_needed"] = verdict.anew, verdict.runs
        row["shown"] = {
            "before": outcome.in_words(verdict.before),
            "after": outcome.in_words(verdict.after),
            "shift": margin.effect_in_words(verdict.effect),
            "interval": margin.interval_in_words(verdict.interval),
            "margin": margin.in_words(),
        }
    if blocked is not None:
        row["verdict"], row["runs_needed"] = "inconclusive", None
        row["reason"], row["anew"] = blocked
    return row


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _together(rows: Sequence[Row], word: Word, name: str) -> str | None:
    """Return what the rows say that the verdict is of; each thing once."""
    deciding = [row for row in rows if row["verdict"] == word] or list(rows)
    if word == "changed" and {row["verdict"] for row in rows} >= {"better", "worse"}:
        deciding = [row for row in rows if row["verdict"] in ("better", "worse")]
    several = len(rows) > 1
    texts = []
    for row in deciding:
        text = row.get(name)
        if text:
            texts.append(
                f"{row['name']}.{row['statistic']} {row['verdict']}: {text}"
                if several and name == "reason"
                else str(text)
            )
    return "; ".join(dict.fromkeys(texts)) or None


def _side(
    side: Sequence[RecordedRun],
    name: str,
    outcomes: Sequence[Outcome],
    numbers: Sequence[Sequence[Numbers]],
    place: int,
    found: Findings,
) -> Side:
    runs = []
    for index, run in enumerate(side):
        began = run.began
        described: Run = {
            "run_id": run.run_id,
            "files": list(run.files),
            "started_at": None if began is None else began.isoformat().replace("+00:00", "Z"),
            "seconds": run.seconds,
            "windows": len(run.windows),
            "work": None if run.work is None else run.work[0],
            "values": [both[place].most[index] for both in numbers],
        }
        windows = outcomes[0].of_windows(run) if run.windows else []
        if len(windows) >= LEAST_WINDOWS:
            described["series"] = _series(windows)
            if described["series"]["has_drift"]:
                detail = f"{outcomes[0].subject} drifts within the run: the load was not steady"
                found.add("drift", "after" if place else "before", run.files, detail, left_out=False)
        runs.append(described)
    left_out = {
        file
        for each in found.problems
        if each["left_out"] and each["side"] in (name, None)
        for file in each["files"]
    }
    return {"runs": runs, "hosts": host_names(side), "left_out": len(left_out)}


def _series(windows: Sequence[float]) -> Series:
    said = series(windows)
    return {
        "windows": said.windows,
        "drift": said.drift,
        "has_drift": said.has_drift,
        "autocorrelation": said.autocorrelation,
        "effective": said.effective,
    }


def _load(loads: Loads | None) -> Load | None:
    if loads is None:
        return None
    return {
        "unit": loads.unit,
        "before": sum(loads.before) / len(loads.before),
        "after": sum(loads.after) / len(loads.after),
        "differs": loads.differ,
    }

"""Which runs of both sides may be compared: what is left out, and what differs besides what was changed."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from runner.capture.evidence import CUT_SHORT, OTHER_LOAD, is_other_load, why_no_measurement
from runner.compare.differences import mark_differences
from runner.compare.findings import SIDES, Findings
from runner.compare.hosts import host_of
from runner.compare.runs import moment, runs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Capture
    from runner.compare.document import ProblemCode, SideName
    from runner.compare.loading import Read
    from runner.compare.runs import RecordedRun

_SAID = ("interrupt", "limit")
"""What ended a window so that its numbers are yet those of the load, for as long as it lasted."""

_CLOCK_SECONDS = 0.05
"""One window ends when the next begins; but the clock on the wall that says so may be set meanwhile."""


def fit_runs(reads: Sequence[Read]) -> tuple[list[list[RecordedRun]], Findings]:
    """Return the runs of both sides that may be compared, and what was found of all.

    :param reads: Of the sides before and after.
    """
    found = Findings([problem for read in reads for problem in read.problems])
    kept = _without_duplicates(reads, found)
    sides = [runs_of(captures) for captures in kept]
    sides = [
        [run for run in side if _is_measured(run, name, found)]
        for side, name in zip(sides, SIDES, strict=True)
    ]
    sides = _of_one_recipe(sides, found)
    sides = _without_overlaps(sides, found)
    if all(sides):
        mark_differences(sides, found)
    return sides, found


def _without_duplicates(reads: Sequence[Read], found: Findings) -> list[list[tuple[str, Capture]]]:
    # Whoever changed one of the two names of a capture made no other run of it.
    names = [{capture[name] for _, capture in read.captures for name in ("id", "run_id")} for read in reads]
    on_both = names[0] & names[1]
    kept: list[list[tuple[str, Capture]]] = []
    for read, side in zip(reads, SIDES, strict=True):
        seen: set[str] = set()
        whole: set[str] = set()
        kept.append([])
        for file, capture in read.captures:
            is_whole = "index" not in capture["window"]
            if capture["run_id"] in on_both or capture["id"] in on_both:
                found.add("duplicate", side, [file], "the same run stands on both sides", left_out=True)
            elif capture["id"] in seen:
                found.add("duplicate", side, [file], "the same capture stands here twice", left_out=True)
            elif is_whole and capture["run_id"] in whole:
                detail = "another capture of all of the same run stands here"
                found.add("duplicate", side, [file], detail, left_out=True)
            else:
                seen.add(capture["id"])
                whole |= {capture["run_id"]} if is_whole else set()
                kept[-1].append((file, capture))
    return kept


def _is_measured(run: RecordedRun, side: SideName, found: Findings) -> bool:
    """Whether the numbers of a run are those of a load that was measured; tell where they are not."""
    for capture in run.all_captures:
        window = capture["window"]
        why = why_no_measurement(capture, has_keys=False)
        if window["ended_by"] not in _SAID:
            why = OTHER_LOAD if is_other_load(window) else CUT_SHORT.get(window["ended_by"], why)
        if why is not None:
            code: ProblemCode = "void" if capture["quality"]["grade"] == "void" else "unfit"
            found.add(code, side, run.files, why, left_out=True)
            return False
    why = _contradiction(run)
    if why is not None:
        found.add("overlapping", side, run.files, why, left_out=True)
        return False
    _mark(run, side, found)
    return True


def _contradiction(run: RecordedRun) -> str | None:
    """Return why the captures of a run cannot be of one; None where they can."""
    for one, other in itertools.pairwise(run.windows):
        ended, began = moment(one["window"]["ended_at"]), moment(other["window"]["attached_at"])
        is_again = one["window"].get("index") == other["window"].get("index")
        if is_again or (ended and began and (ended - began).total_seconds() > _CLOCK_SECONDS):
            return "windows of one run overlap: they are of other runs than they say, or were changed"
    if any(capture["recipe"] != run.first["recipe"] for capture in run.captures):
        return "captures of one run are of different recipes: they are of other runs than they say"
    return None


def _mark(run: RecordedRun, side: SideName, found: Findings) -> None:
    places = [capture["window"].get("index") for capture in run.windows]
    if places and places != list(range(len(places))):
        found.add("degraded", side, run.files, "windows of the run are missing", left_out=False)
    for capture in run.all_captures:
        ended = capture["window"]["ended_by"]
        if ended in _SAID:
            found.add("degraded", side, run.files, CUT_SHORT[ended], left_out=False)
        if capture["quality"]["grade"] == "degraded":
            for problem in capture["quality"]["problems"]:
                detail = f"{problem['code']}: {problem['detail']}"
                found.add("degraded", side, run.files, detail, left_out=False)


def _of_one_recipe(sides: list[list[RecordedRun]], found: Findings) -> list[list[RecordedRun]]:
    recipes = Counter(_recipe(run) for side in sides for run in side)
    if not recipes:
        return sides
    # Of as many, the one that was first: so Counter has it.
    wanted = recipes.most_common(1)[0][0]
    kept: list[list[RecordedRun]] = []
    for side, name in zip(sides, SIDES, strict=True):
        kept.append([])
        for run in side:
            if _recipe(run) == wanted:
                kept[-1].append(run)
                continue
            detail = f"it is of {_recipe(run) or 'a script'}, not of {wanted or 'a script'}"
            found.add("other-recipe", name, run.files, detail, left_out=True)
    return kept


def _recipe(run: RecordedRun) -> str | None:
    recipe = run.first["recipe"]
    return None if recipe is None else recipe["id"]


def _without_overlaps(sides: list[list[RecordedRun]], found: Findings) -> list[list[RecordedRun]]:
    """Leave out runs that were measured at the same time on one host: they disturbed each other."""
    placed = [(run, name) for side, name in zip(sides, SIDES, strict=True) for run in side]
    timed = [each for each in placed if each[0].began is not None and each[0].ended is not None]
    timed.sort(key=lambda each: each[0].began)  # type: ignore[arg-type,return-value]
    lasts: dict[str, tuple[RecordedRun, SideName]] = {}
    overlapping: set[str] = set()
    for run, name in timed:
        host = host_of(run)
        last = lasts.get(host) if host is not None else None
        if last is not None and run.began < last[0].ended:  # type: ignore[operator]
            for one, side in (last, (run, name)):
                overlapping.add(one.run_id)
                detail = "it was measured while another one of these runs was, on the same host"
                found.add("overlapping", side, one.files, detail, left_out=True)
        if host is not None and (last is None or run.ended > last[0].ended):  # type: ignore[operator]
            lasts[host] = (run, name)
    return [[run for run in side if run.run_id not in overlapping] for side in sides]

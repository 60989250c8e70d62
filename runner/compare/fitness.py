"""Which runs of both sides may be compared: what is left out, and what differs besides what was changed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.capture.evidence import why_no_measurement
from runner.compare.hosts import host_names, host_of
from runner.compare.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.capture.document import Capture
    from runner.compare.document import ComparisonProblem, ProblemCode, SideName
    from runner.compare.loading import Read
    from runner.compare.runs import RecordedRun

SIDES: tuple[SideName, SideName] = ("before", "after")

_ENDED: dict[str, str] = {
    "crash": "bpftrace ended by itself",
    "target": "what the run was asked for ended before the window did",
    "budget": "the budget ended the window before its time",
}
_CUT = {
    "interrupt": "a signal ended the window before its time",
    "limit": "the window ended at a limit, before its time or behind it",
}


@dataclass(slots=True)
class Findings:
    """What is found of captures and runs; the same said of several is said once."""

    problems: list[ComparisonProblem] = field(default_factory=list)

    def add(
        self, code: ProblemCode, side: SideName | None, files: Iterable[str], detail: str, *, left_out: bool
    ) -> None:
        """Add one."""
        for problem in self.problems:
            if (problem["code"], problem["side"], problem["detail"]) == (code, side, detail):
                problem["files"] += [file for file in files if file not in problem["files"]]
                return
        made: ComparisonProblem = {
            "code": code,
            "side": side,
            "files": list(files),
            "detail": detail,
            "left_out": left_out,
        }
        self.problems.append(made)


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
        _mark_differences(sides, found)
    return sides, found


def _without_duplicates(reads: Sequence[Read], found: Findings) -> list[list[tuple[str, Capture]]]:
    on_sides = [{capture["run_id"] for _, capture in read.captures} for read in reads]
    on_both = on_sides[0] & on_sides[1]
    kept: list[list[tuple[str, Capture]]] = []
    for read, name in zip(reads, SIDES, strict=True):
        seen: set[str] = set()
        kept.append([])
        for file, capture in read.captures:
            if capture["run_id"] in on_both:
                found.add("duplicate", None, [file], "the same run stands on both sides", left_out=True)
            elif capture["id"] in seen:
                found.add("duplicate", name, [file], "the same capture stands here twice", left_out=True)
            else:
                seen.add(capture["id"])
                kept[-1].append((file, capture))
    return kept


def _is_measured(run: RecordedRun, side: SideName, found: Findings) -> bool:
    """Whether the numbers of a run are those of a load that was measured; tell where they are not."""
    for capture in run.all_captures:
        window = capture["window"]
        workload = window.get("workload")
        ended = window["ended_by"]
        why = why_no_measurement(capture, has_keys=False)
        if workload is not None and workload["exit_code"] not in (0, None):
            why = "the command failed: this is not the load that was meant"
        elif ended in _ENDED:
            why = _ENDED[ended]
        if why is not None:
            code: ProblemCode = "void" if capture["quality"]["grade"] == "void" else "unfit"
            found.add(code, side, run.files, why, left_out=True)
            return False
    for one, other in itertools.pairwise(run.windows):
        ended_at, began_at = one["window"]["ended_at"], other["window"]["attached_at"]
        if one["window"].get("index") == other["window"].get("index") or (
            ended_at is not None and began_at is not None and began_at < ended_at
        ):
            why = "windows of one run overlap: they are of other runs than they say, or were changed"
            found.add("overlapping", side, run.files, why, left_out=True)
            return False
    _mark(run, side, found)
    return True


def _mark(run: RecordedRun, side: SideName, found: Findings) -> None:
    places = [capture["window"].get("index") for capture in run.windows]
    if places and places != list(range(len(places))):
        found.add("degraded", side, run.files, "windows of the run are missing", left_out=False)
    for capture in run.all_captures:
        ended = capture["window"]["ended_by"]
        if ended in _CUT:
            found.add("degraded", side, run.files, _CUT[ended], left_out=False)
        if capture["quality"]["grade"] == "degraded":
            for problem in capture["quality"]["problems"]:
                detail = f"{problem['code']}: {problem['detail']}"
                found.add("degraded", side, run.files, detail, left_out=False)


def _of_one_recipe(sides: list[list[RecordedRun]], found: Findings) -> list[list[RecordedRun]]:
    first = next((run for side in sides for run in side), None)
    if first is None:
        return sides
    wanted = _recipe(first)
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


def _mark_differences(sides: list[list[RecordedRun]], found: Findings) -> None:
    """Tell what is not the same in all runs: what was meant to be changed, or what spoils the comparison."""
    for code, aspect, what in _ASPECTS:
        wanted = aspect(sides[0][0])
        for side, name in zip(sides, SIDES, strict=True):
            for run in side:
                seen = aspect(run)
                if seen != wanted:
                    detail = f"{what} is {_shown(seen)}, of the first run before it is {_shown(wanted)}"
                    found.add(code, name, run.files, detail, left_out=False)
    names = host_names([run for side in sides for run in side])
    if len(names) > 1:
        detail = f"runs are of {len(names)} hosts: {', '.join(names)}"
        found.add("other-host", None, [], detail, left_out=False)
        return
    boots = {run.first["host"]["boot_id"] for side in sides for run in side} - {None}
    if len(boots) > 1:
        detail = f"{names[0]} was booted {len(boots)} times, or these are several machines of one name"
        found.add("other-host", None, [], detail, left_out=False)


def _program(run: RecordedRun) -> Any:
    recipe, program = run.first["recipe"], run.first["program"]
    if recipe is not None:
        return {"recipe": recipe["digest"], "variant": recipe["variant"], "by": recipe.get("by")}
    return None if program is None else program["sha256"]


_ASPECTS: tuple[tuple[ProblemCode, Callable[[RecordedRun], Any], str], ...] = (
    ("other-program", _program, "the program"),
    ("other-parameters", lambda run: run.first["parameters"], "what was given for its parameters"),
    ("other-target", lambda run: run.first["target"], "the target"),
    ("other-kernel", lambda run: run.first["host"]["kernel"], "the kernel"),
    ("other-bpftrace", lambda run: run.first["host"]["bpftrace"], "bpftrace"),
)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        parts = [f"{name} {_shown(each)}" for name, each in value.items() if each is not None]
        return ", ".join(parts) or "none"
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return "not known" if value is None else str(value)

"""A run of a runbook from its first step, or from where an earlier one stopped, to its document."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.encode import new_id
from runner.errors import ExitCode, ValueRefused
from runner.workflow.clock import now
from runner.workflow.runbook.model import walk
from runner.workflow.runbook.prepare import earlier_steps_needed
from runner.workflow.runbook.scene import Scene
from runner.workflow.runbook.stepping import InterruptedBySignal, Stepping, Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.interrupts import Interrupts
    from runner.workflow.runbook.context import Outputs
    from runner.workflow.runbook.document import Ending, RunbookRun, StepResult
    from runner.workflow.runbook.given import Given
    from runner.workflow.runbook.load import LoadedRunbook
    from runner.workflow.runbook.model import AnyStep
    from runner.workflow.runbook.result import Console
    from runner.workflow.runbook.work_directory import WorkDirectory


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a runbook is to be run.

    :param named: As it was named on the command line.
    :param first: The index of the first step that is run; more than 0 goes on with an earlier run.
    :param run_options: Words for every run step.
    :param tells_end: Whether the console is told how it ended; a table says that by itself.
    """

    named: str
    first: int
    takes_defaults: bool
    run_options: tuple[str, ...]
    tells_end: bool = True


def first_step(loaded: LoadedRunbook, name: str | None) -> int:
    """Return the index of the step that a run begins with.

    :raises ValueRefused: There is no such step, or it stands inside another.
    """
    if name is None:
        return 0
    steps = loaded.runbook.steps
    for number, step in enumerate(steps):
        if step.name == name:
            return number
        if any(inside.name == name for inside, _ in walk([step])):
            raise ValueRefused(f"--from {name}: it is a part of {step.name}", hint=f"--from {step.name}")
    there = ", ".join(step.name for step in steps)
    raise ValueRefused(f"--from {name}: there is no such step", hint=f"one of {there}")


def run_runbook(
    loaded: LoadedRunbook,
    given: Given,
    wanted: Wanted,
    work: WorkDirectory,
    console: Console,
    signals: Interrupts,
) -> RunbookRun:
    """Run it, keep its document in the work directory, and return that.

    :param work: Held; has an earlier run where one is gone on with.
    :raises ValueRefused: The earlier run does not have what is needed, or is another's.
    :raises NotWritten: The work directory takes nothing more.
    """
    steps = loaded.runbook.steps
    done, later = steps[: wanted.first], steps[wanted.first :]
    earlier = work.earlier
    results: list[StepResult] = []
    outputs: Outputs = {}
    if earlier is not None:
        results, outputs = _earlier(loaded, given, earlier, done, later)
    run = _begun(loaded, given, work, results)
    scene = Scene(loaded, given, work, console, signals, outputs, wanted.run_options, wanted.takes_defaults)
    how = f" from {later[0].name}" if earlier is not None else ""
    scene.tell("begin", None, f"runbook {loaded.runbook.id}{how}: {loaded.runbook.title}")
    for name, value in given.shown.items():
        if value not in (None, []):
            scene.tell("parameter", None, f"{name}: {value}")
    if earlier is not None and earlier["runbook"]["digest"] != loaded.digest:
        scene.tell("note", None, "the runbook was changed since the earlier run")

    def took(result: StepResult) -> None:
        results.append(result)
        work.save(run)

    work.save(run)
    stepping = Stepping(scene, took)
    stepping.failures += [each["exit_code"] or ExitCode.NEGATIVE for each in _failures(results)]
    current = later[0]
    try:
        for current in later:
            stepping.run([current])
    except Stopped as stopped:
        code = _decides([*stepping.failures, stopped.exit_code])
        _end(run, "failed", code, f"{stopped.step}: {stopped.reason}")
    except InterruptedBySignal as interrupted:
        _end(run, "interrupted", interrupted.exit_code, f"{interrupted} came during {current.name}")
    else:
        code = _decides(stepping.failures)
        failed = ", ".join(each["name"] for each in _failures(results))
        _end(run, "failed" if code else "passed", code, f"{failed} failed" if code else None)
        scene.tell("end", None, _ending(run), is_shown=wanted.tells_end)
        work.save(run)
        return run
    run["next"] = shlex.join(
        ["ebpf-recipe", "runbook", wanted.named, "--work", run["work"], "--from", current.name]
    )
    scene.tell("end", None, _ending(run), is_shown=wanted.tells_end)
    scene.tell("note", None, f"to go on: {run['next']}", is_shown=wanted.tells_end)
    work.save(run)
    return run


def _failures(results: Sequence[StepResult]) -> list[StepResult]:
    """Return the steps that failed, without those that decide nothing."""
    failed = (each for each in results if each["outcome"] == "failed" and each["round"] is None)
    return [each for each in failed if not each["is_ignored"]]


def _ending(run: RunbookRun) -> str:
    return run["outcome"] + (f": {run['reason']}" if run["reason"] else "")


def _end(run: RunbookRun, outcome: Ending, code: int, reason: str | None) -> None:
    run["ended"], run["outcome"], run["exit_code"], run["reason"] = now(), outcome, int(code), reason


def _decides(codes: Sequence[int]) -> int:
    """Return the exit code of several: what went wrong comes before what was found."""
    wrong = [code for code in codes if code not in (ExitCode.DONE, ExitCode.NEGATIVE)]
    return next(iter(wrong), max(codes, default=ExitCode.DONE))


def _begun(loaded: LoadedRunbook, given: Given, work: WorkDirectory, results: list[StepResult]) -> RunbookRun:
    runbook = loaded.runbook
    earlier = work.earlier
    return {
        "schema": "ebpf-recipe/runbook-run/v1",
        "id": new_id() if earlier is None else earlier["id"],
        "runbook": {
            "id": runbook.id,
            "title": runbook.title,
            "path": str(loaded.path),
            "digest": loaded.digest,
        },
        "host": socket.gethostname(),
        "work": str(work.path),
        "parameters": dict(given.shown),
        "started": now() if earlier is None else earlier["started"],
        "ended": None,
        "outcome": "running",
        "exit_code": None,
        "reason": None,
        "next": None,
        "steps": results,
    }


def _earlier(
    loaded: LoadedRunbook,
    given: Given,
    earlier: RunbookRun,
    done: Sequence[AnyStep],
    later: Sequence[AnyStep],
) -> tuple[list[StepResult], Outputs]:
    """Return what an earlier run says of the steps that are not run again.

    :raises ValueRefused: It is another runbook's, had other parameters, or did not come that far.
    """
    if earlier["runbook"]["id"] != loaded.runbook.id:
        raise ValueRefused(
            f"the earlier run is one of {earlier['runbook']['id']}, not of {loaded.runbook.id}"
        )
    # Of secrets, and of what the runbook did not have then, there is nothing to compare with.
    comparable = [each.name for each in loaded.runbook.parameters if not each.secret]
    for name in comparable:
        value = given.shown[name]
        before = earlier["parameters"].get(name, value)
        if before != value:
            raise ValueRefused(
                f"--{name} is {value} now, and was {before} in the earlier run",
                hint="leave it out to go on with that one; another --work DIR begins anew",
            )
    names = {step.name for step, _ in walk(list(done))}
    results = [each for each in earlier["steps"] if each["name"] in names]
    outputs: Outputs = {each["name"]: {"outcome": each["outcome"], **each["outputs"]} for each in results}
    missing = sorted(earlier_steps_needed(done, later) - outputs.keys())
    if missing:
        raise ValueRefused(
            f"--from {later[0].name}: the steps from there need {', '.join(missing)}, "
            "which the earlier run did not come to",
            hint=f"--from {next(step.name for step in done if _holds(step, missing))}",
        )
    return results, outputs


def _holds(step: AnyStep, names: Sequence[str]) -> bool:
    return any(inside.name in names for inside, _ in walk([step]))

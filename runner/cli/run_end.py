"""How a run ends on the command line: what is said of it, and the failure that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.capture.document import Capture
    from runner.recipe.model import Recipe


def finish(capture: Capture, recipe: Recipe | None = None) -> None:
    """Fail where the run or its workload did: a failed load never looks like a good measurement.

    :param recipe: None where a script ran.
    """
    from runner.cli.budget import refusal
    from runner.cli.output import say
    from runner.ending import has_failed
    from runner.errors import TraceFailed, WorkloadFailed

    window = capture["window"]
    if window["ended_by"] == "target":
        say("note: the run ended before its time, for what it was asked for has ended")
    refused = refusal(capture, recipe)
    if refused is None and window["ended_by"] == "budget":
        for problem in capture["quality"]["problems"]:
            if problem["code"] == "over-budget":
                say(f"note: the run was stopped: {problem['detail']}")
    is_degraded = capture["quality"]["grade"] == "degraded"
    # That the command failed is said below, and why the run ended is said already.
    silent = ("workload-failed", "over-budget")
    for problem in capture["quality"]["problems"]:
        if problem["code"] == "work-unreadable" or (is_degraded and problem["code"] not in silent):
            say(f"note: {problem['code']}: {problem['detail']}")
    if window["ended_by"] == "crash" or capture["quality"]["grade"] == "void":
        details = "; ".join(problem["detail"] for problem in capture["quality"]["problems"])
        raise TraceFailed(f"the run is void: {details or 'bpftrace ended by itself'}")
    workload = window.get("workload")
    if workload and has_failed(window):
        if refused is not None:
            say(f"note: {refused.message}")
        code = workload["exit_code"]
        how = f"ended by signal {-code}" if code is not None and code < 0 else f"exit {code}"
        name = workload["argv"][0]
        shown = name["text"] if isinstance(name, dict) else name
        raise WorkloadFailed(f"the command {shown!r} failed: {how}")
    if refused is not None:
        raise refused

"""An investigation: scan, details of what leads, conclusions; begun, gone on with, or repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.workflow.conclude import conclude, detail_steps
from runner.workflow.stepping import Stepper, TargetEnded
from runner.workflow.tried import tried_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.interrupts import Interrupts
    from runner.workflow.case_folder import CaseFolder
    from runner.workflow.documents import Case, Plan, PlannedStep


TARGET_ENDED = "the processes that were asked for ended before it was done"


def carry_out(folder: CaseFolder, plan: Plan, signals: Interrupts, say: Callable[[str], None]) -> Case:
    """Run what is not yet run of a plan, and conclude; the conclusions are not written yet.

    :param folder: The case, which is ours alone.
    :raises Interrupted, Terminated: A signal came; what there is can be gone on with.
    """
    pids = [int(text) for text in plan["target"].get("pid", ())]
    stepper = Stepper(folder, plan["bpftrace"], signals, say, pids)
    details: list[PlannedStep] = []
    try:
        stepper.run(_not_run(folder, plan["scan"]), plan["seconds"])
        details = detail_steps(plan, folder.taken(plan["scan"]))
        folder.log(
            "details",
            "of the leading hypotheses" if details else "nothing speaks for any hypothesis that has details",
            recipes=[each["recipe"] for each in details],
        )
        stepper.run(_not_run(folder, details), plan["seconds"])
    except TargetEnded:
        for step in _not_run(folder, [*plan["scan"], *details]):
            folder.keep_failure(step, TARGET_ENDED, None, "")
            folder.log("no capture", TARGET_ENDED, step=step["name"])
    case = concluded(folder, plan)
    for each in case["hypotheses"]:
        folder.log(each["status"], each["why"], hypothesis=each["id"], rank=each["rank"])
    return case


def concluded(folder: CaseFolder, plan: Plan) -> Case:
    """Return what may be concluded of the captures that there are; nothing is run."""
    scanned = folder.taken(plan["scan"])
    steps = [*plan["scan"], *detail_steps(plan, scanned)]
    failures = {step["name"]: why for step in steps if (why := folder.failure_of(step)) is not None}
    is_complete = all(map(folder.is_run, steps))
    return conclude(plan, folder.taken(steps), failures, is_complete=is_complete, tried=tried_in(folder.path))


def check_same_boot(plan: Plan, hostname: str, boot_id: str | None) -> None:
    """Refuse to go on elsewhere, or after a restart: it would be no longer the same system.

    :raises ValueRefused: It is not.
    """
    host = plan["host"]
    if host.get("hostname") != hostname:
        raise ValueRefused(
            f"the case was begun on {host.get('hostname')}, this is {hostname}",
            hint="--replay repeats its conclusions anywhere",
        )
    if host.get("boot_id") != boot_id:
        raise ValueRefused(
            "the host was restarted since the case was begun: what would be added is of another state of it",
            hint="--replay repeats its conclusions; begin a new case for what is now",
        )


def _not_run(folder: CaseFolder, steps: Sequence[PlannedStep]) -> list[PlannedStep]:
    return [step for step in steps if not folder.is_run(step)]

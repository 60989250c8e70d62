"""How a run ended: its window, and what is wrong with it whatever was traced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runner.bpftrace.diagnosis import lost_stacks, unattached_probes
from runner.bpftrace.recording import rfc3339
from runner.capture.encode import encode_text
from runner.capture.quality import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.bpftrace.recording import Recording
    from runner.capture.document import EndedBy, Problem, Window
    from runner.capture.document import Workload as WorkloadOfWindow
    from runner.workload import AnyWorkload


def window_of(
    recording: Recording, ended_by: EndedBy | None, workload: AnyWorkload | None, *, is_recorded: bool = False
) -> Window:
    """Return when it was measured.

    :param is_recorded: A recording was decoded again.
    """
    started, attached, ended = recording.started, recording.attached, recording.ended
    first = attached or started
    window: Window = {
        "started_at": rfc3339(started.wall) if started.clock_ns else None,
        "attached_at": rfc3339(attached.wall) if attached else None,
        "ended_at": rfc3339(ended.wall) if ended else None,
        "duration_seconds": round((ended.clock_ns - first.clock_ns) / 1e9, 6) if ended else None,
        "ended_by": ended_by,
    }
    if workload is not None:
        window["workload"] = _workload(workload, ended_by)
    if is_recorded:
        window["recorded"] = True
    return window


def _workload(workload: AnyWorkload, ended_by: EndedBy | None) -> WorkloadOfWindow:
    # That we ended it when the window was over is no code of its own.
    is_meant = workload.is_ended_by_us and ended_by == "duration"
    made: WorkloadOfWindow = {
        "argv": [encode_text(os.fsencode(word)) for word in workload.argv],
        "exit_code": None if is_meant else workload.exit_code,
    }
    if workload.is_ended_by_us:
        made["ended"] = "runner"
    if workload.work is not None:
        made["work"] = {"count": workload.work.count, "unit": workload.work.unit}
    return made


def has_failed(window: Window) -> bool:
    """Whether the command of a run failed: by itself, and not because the run was over."""
    workload = window.get("workload")
    if workload is None or workload["exit_code"] == 0 or "ended" in workload:
        return False
    return window["ended_by"] in ("workload", "budget", "duration")


def how_ended(exit_code: int | None) -> str:
    """Return how a process ended, in words."""
    return f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit {exit_code}"


def ending_problems(
    recording: Recording, ended_by: EndedBy | None, workload: AnyWorkload | None, *, is_whole: bool
) -> Iterator[Problem]:
    """Say what is wrong with the run itself.

    :param is_whole: bpftrace printed everything.
    """
    stderr = bytes(recording.stderr)
    if not is_whole:
        how = f" ({how_ended(recording.exit_code)})" if recording.exit_code is not None else ""
        yield problem(
            "output-incomplete",
            None,
            f"bpftrace{how} did not print its last map: what stands before it may be missing",
        )
    unattached = unattached_probes(stderr)
    if unattached:
        yield problem("probes-not-attached", len(unattached), f"not attached: {', '.join(unattached)}")
    stacks = lost_stacks(stderr)
    if stacks:
        yield problem("stacks-lost", stacks, "bpftrace could not find stacks that it had stored")
    code = workload.exit_code if workload is not None else 0
    if has_failed(window_of(recording, ended_by, workload)):
        yield problem(
            "workload-failed",
            None,
            f"the command failed ({how_ended(code)}): this is not the load that was meant",
        )
    if workload is not None and workload.work_problem is not None:
        yield problem("work-unreadable", None, workload.work_problem)

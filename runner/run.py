"""One run: program, trace, what it cost, what it left."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from runner.attribution import SocketWatch
from runner.bpftrace.frame import END_MAP, LIMIT_MAP, frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.messages import read_message
from runner.bpftrace.recording import Moment, Recording
from runner.bpftrace.session import PASSWORD_WANTED, Session
from runner.errors import Interrupted, Terminated
from runner.host import kernel, processes
from runner.interrupts import Interrupts
from runner.outcome import Outcome
from runner.overhead import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bpftrace.elevation import Elevation
    from runner.capture.document import EndedBy, Problem
    from runner.overhead import Extent
    from runner.plan import Plan
    from runner.workload import Workload

DEFAULT_MAP_KEYS = 4096
"""bpftrace's own max_map_keys, in every release."""

LIMIT_SPARE_SECONDS = 10
"""How long after the end of the window bpftrace ends itself, where the runner does not end it."""

_TRACER_STOPPED: Problem = {
    "code": "tracer-stopped",
    "count": None,
    "detail": "bpftrace was stopped (SIGSTOP) when the window ended; maps were counted meanwhile",
}


class Watcher:
    """Who is told how a run goes; this one ignores it."""

    def attached(self) -> None:
        """Every probe is attached: the clock runs."""

    def counted(self, events: int) -> None:
        """So many events were counted so far."""

    def ending(self) -> None:
        """The window is over; bpftrace prints its maps."""

    def aside(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else until the end of the block."""
        return nullcontext()


def execute(
    plan: Plan,
    *,
    duration_seconds: float | None,
    workload: Workload | None = None,
    max_map_keys: int | None = None,
    interrupts: Interrupts | None = None,
    elevation: Elevation | None = None,
    extent: Extent = "slices",
    watcher: Watcher | None = None,
    watch_events: bool = False,
) -> Outcome:
    """Run the plan.

    The window starts when the last probe is attached and ends by duration, by the end of the
    workload, by SIGINT or SIGTERM, or with bpftrace itself.

    :param interrupts: Who watches for signals; without it the run does.
    :param elevation: How bpftrace gets the privilege that we lack.
    :param extent: In how much of the window run times are counted.
    :param watch_events: Have the number of events printed meanwhile, for the watcher.
    :raises TraceFailed, HostRefused: bpftrace ended before it was ready.
    :raises Interrupted, Terminated: A signal came before it was ready.
    """
    recipe = plan.loaded.recipe
    watcher = watcher or Watcher()
    outputs = {output.name: output for output in recipe.outputs}
    progress = outputs[recipe.progress].map if recipe.progress and watch_events else None
    limit = None if duration_seconds is None else math.ceil(duration_seconds) + LIMIT_SPARE_SECONDS
    room = max_map_keys or recipe.max_map_keys
    head, variables = plan.bpftrace.settings(max_map_keys=room)
    framed = frame_program(
        plan.program.text,
        head=head,
        runner=processes.own_pid_in_kernel(),
        scratch_maps=recipe.scratch_maps,
        progress_map=progress,
        limit_seconds=limit,
    )
    launch = (elevation.launcher if elevation else direct_launcher)(plan.bpftrace.arguments(), variables)
    sockets = SocketWatch([output.declaration() for output in recipe.outputs])

    with (
        nullcontext(interrupts) if interrupts else Interrupts() as signals,
        Session(framed, launch, on_line=_count_listener(progress, watcher) if progress else None) as session,
    ):
        signals.wake_up(session.wake)
        sockets.look()
        try:
            reason = session.wait_ready()
            while reason == PASSWORD_WANTED and elevation is not None:
                with watcher.aside():
                    elevation.answer()
                reason = session.wait_ready()
            if reason is not None:
                session.stop()
                raise _interrupted(reason)
            watcher.attached()
            meter = Meter(_tracer_of(session.pid), extent=extent)
            busy_before = kernel.busy_seconds()
            meter.start()
            if workload is not None:
                workload.start(lambda: session.wake("workload"))
            reason = session.wait(duration_seconds)
            busy = kernel.busy_seconds() - busy_before
            overhead = meter.stop()
            is_stopped = processes.is_stopped(_tracer_of(session.pid))
            watcher.ending()
            recording = session.stop()
        finally:
            if workload is not None:
                workload.end()
    ended_by, problems = _ending(reason, recording, limit)
    if is_stopped:
        problems.append(_TRACER_STOPPED)
    spared = {probe.rpartition(":")[2] for probe in recipe.bookkeeping}
    missed = {probe: count for probe, count in meter.misses.items() if probe not in spared}
    if missed:
        problems.append(_missed(missed))
    return Outcome(
        plan,
        recording,
        ended_by,
        room or DEFAULT_MAP_KEYS,
        problems=tuple(problems),
        overhead=overhead,
        busy_seconds=busy,
        holders=sockets.holders(bytes(recording.stdout)),
        workload=workload,
    )


def _tracer_of(pid: int) -> int:
    """Return the process that traces: what we started, or what sudo started for us."""
    return next(
        (each for each in reversed(processes.descendants_of(pid)) if processes.name_of(each) != "sudo"), pid
    )


def _ending(reason: str, recording: Recording, limit: int | None) -> tuple[EndedBy, list[Problem]]:
    """Return what ended the window, and what is to be said of that."""
    if limit is not None and LIMIT_MAP.encode() in recording.stdout and recording.attached is not None:
        moment = recording.attached
        recording.ended = Moment(
            moment.monotonic_ns + limit * 1_000_000_000, moment.wall + timedelta(seconds=limit)
        )
        return "limit", [
            {
                "code": "runner-stalled",
                "count": None,
                "detail": f"the runner did not end the window in time; bpftrace ended itself after {limit} s",
            }
        ]
    match reason:
        case "timeout":
            return "duration", []
        case "workload":
            return "workload", []
        case "flood":
            return "limit", [
                {
                    "code": "output-limit",
                    "count": recording.dropped_bytes,
                    "detail": "bpftrace printed more than is kept, and was ended; so many bytes were dropped",
                }
            ]
        case "ended" if END_MAP.encode() in recording.stdout and recording.exit_code == 0:
            return "interrupt", [
                {"code": "ended-early", "count": None, "detail": "somebody else ended bpftrace"}
            ]
        case "ended":
            return "crash", []
        case _:
            return "interrupt", []


def _missed(by_probe: Mapping[str, int]) -> Problem:
    probes = ", ".join(f"{probe or 'a probe'} {count}" for probe, count in sorted(by_probe.items()))
    return {
        "code": "missed-events",
        "count": sum(by_probe.values()),
        "detail": f"the kernel left out events that came while another BPF program ran there ({probes})",
    }


def _count_listener(progress_map: str, watcher: Watcher) -> Callable[[bytes], None]:
    marker = f'"{progress_map}"'.encode()

    def listen(line: bytes) -> None:
        if marker not in line:
            return
        message = read_message(line)
        data = message.get("data") if message is not None else None
        count = data.get(progress_map) if data is not None else None
        if isinstance(count, int):
            watcher.counted(count)

    return listen


def _interrupted(reason: str) -> Interrupted | Terminated:
    kind = Terminated if reason == "SIGTERM" else Interrupted
    return kind(f"{reason} before the probes were attached: nothing was measured")

"""One run: program, trace, what it cost, what it left."""

from __future__ import annotations

import math
import mmap
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from runner.attribution import SocketWatch
from runner.bpftrace.attachment import missing_probes
from runner.bpftrace.frame import END_MAP, LIMIT_MAP, frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.messages import Pairs, read_message
from runner.bpftrace.recording import Moment, Recording
from runner.bpftrace.session import PASSWORD_WANTED, Session
from runner.capture.quality import problem
from runner.errors import Interrupted, Terminated
from runner.host import kernel, processes
from runner.host.bpf import probe_names
from runner.interrupts import Interrupts
from runner.outcome import Outcome
from runner.overhead import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.bpftrace.elevation import Elevation
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import EndedBy, Problem
    from runner.overhead import Extent
    from runner.plan import Plan
    from runner.workload import Workload

DEFAULT_MAP_KEYS = 4096
"""bpftrace's own max_map_keys, in every release."""

LIMIT_SPARE_SECONDS = 10
"""How long after the end of the window bpftrace ends itself, where the runner does not end it."""

_ROW_BYTES = 1280
"""Most that a row with a stack takes in bpftrace's buffer: 127 addresses and what is printed beside them."""


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
    buffer_pages: int | None = None,
    check_reads: bool = False,
    interrupts: Interrupts | None = None,
    elevation: Elevation | None = None,
    extent: Extent = "slices",
    watcher: Watcher | None = None,
    watch_events: bool = False,
) -> Outcome:
    """Run the plan.

    The window starts when the last probe is attached and ends by duration, by the end of the
    workload, by SIGINT or SIGTERM, or with bpftrace itself.

    :param max_map_keys: Room in each map, else the recipe's or bpftrace's own.
    :param buffer_pages: Pages of the buffer for what bpftrace prints, a power of two, else its own.
    :param check_reads: Have bpftrace report every read that fails, at a price.
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
    declarations = [output.declaration() for output in recipe.outputs]
    row_maps = _row_maps(declarations, plan)
    if row_maps and buffer_pages is None:
        buffer_pages = _pages((room or DEFAULT_MAP_KEYS) * _ROW_BYTES)
    head, variables = plan.bpftrace.settings(max_map_keys=room, buffer_pages=buffer_pages)
    framed = frame_program(
        plan.program.text,
        head=head,
        runner=processes.own_pid_in_kernel(),
        scratch_maps=recipe.scratch_maps,
        row_maps=row_maps,
        progress_map=progress,
        limit_seconds=limit,
    )
    argv = plan.bpftrace.arguments(check_reads=check_reads)
    launch = (elevation.launcher if elevation else direct_launcher)(argv, variables)
    sockets = SocketWatch(declarations)

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
            tracer = _tracer_of(session.pid)
            unattached = _unattached(plan.program.text, tracer)
            meter = Meter(tracer, extent=extent)
            busy_before = kernel.busy_seconds()
            meter.start()
            if workload is not None:
                workload.start(lambda: session.wake("workload"))
            reason = session.wait(duration_seconds)
            busy = kernel.busy_seconds() - busy_before
            overhead = meter.stop()
            is_stopped = processes.is_stopped(tracer)
            watcher.ending()
            recording = session.stop()
        finally:
            if workload is not None:
                workload.end()
    ended_by, problems = _ending(reason, recording, limit)
    if unattached:
        problems.append(
            problem("probes-not-attached", len(unattached), f"not attached: {', '.join(unattached)}")
        )
    if is_stopped:
        problems.append(
            problem(
                "tracer-stopped",
                None,
                "bpftrace was stopped (SIGSTOP) when the window ended; maps were counted meanwhile",
            )
        )
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
        holders=sockets.holders(bytes(recording.stdout), plan.bpftrace.dialect),
        workload=workload,
    )


def _tracer_of(pid: int) -> int:
    """Return the process that traces: what we started, or what sudo started for us."""
    return next(
        (each for each in reversed(processes.descendants_of(pid)) if processes.name_of(each) != "sudo"), pid
    )


def _row_maps(declarations: Sequence[TableDeclaration], plan: Plan) -> list[str]:
    """Return the maps whose keys hold symbols that anybody may name, where printing a map damages them."""
    if not plan.bpftrace.dialect.drops_spaces_of_keys:
        return []
    return [each.map for each in declarations if any(key.type == "user-stack" for key in each.keys)]


def _pages(size: int) -> int:
    """Return how many pages hold so many bytes: a power of two."""
    return 1 << max(0, math.ceil(size / mmap.PAGESIZE) - 1).bit_length()


def _unattached(program: str, tracer: int) -> list[str]:
    """Return the program's probes that the kernel does not have, as far as we may ask it."""
    try:
        names = probe_names(tracer)
    except OSError:
        return []
    return missing_probes(program, names.values()) if names else []


def _ending(reason: str, recording: Recording, limit: int | None) -> tuple[EndedBy, list[Problem]]:
    """Return what ended the window, and what is to be said of that."""
    if limit is not None and recording.attached is not None and recording.has_printed(LIMIT_MAP):
        moment = recording.attached
        recording.ended = Moment(
            moment.clock_ns + limit * 1_000_000_000, moment.wall + timedelta(seconds=limit)
        )
        return "limit", [
            problem(
                "runner-stalled",
                None,
                f"the runner did not end the window in time; bpftrace ended itself after {limit} s",
            )
        ]
    match reason:
        case "timeout":
            return "duration", []
        case "workload":
            return "workload", []
        case "flood":
            return "limit", [
                problem(
                    "output-limit",
                    recording.dropped_bytes,
                    "bpftrace printed more than is kept, and was ended; so many bytes were dropped",
                )
            ]
        case "ended" if recording.exit_code == 0 and recording.has_printed(END_MAP):
            return "interrupt", [problem("ended-early", None, "somebody else ended bpftrace")]
        case "ended":
            return "crash", []
        case _:
            return "interrupt", []


def _missed(by_probe: Mapping[str, int]) -> Problem:
    probes = ", ".join(f"{probe or 'a probe'} {count}" for probe, count in sorted(by_probe.items()))
    return problem(
        "missed-events",
        sum(by_probe.values()),
        f"the kernel left out events that came while another BPF program ran there ({probes})",
    )


def _count_listener(progress_map: str, watcher: Watcher) -> Callable[[bytes], None]:
    marker = f'"{progress_map}"'.encode()

    def listen(line: bytes) -> None:
        if marker not in line:
            return
        message = read_message(line)
        data = message.get("data") if message is not None else None
        count = data.get(progress_map) if isinstance(data, Pairs) else None
        if isinstance(count, int):
            watcher.counted(count)

    return listen


def _interrupted(reason: str) -> Interrupted | Terminated:
    kind = Terminated if reason == "SIGTERM" else Interrupted
    return kind(f"{reason} before the probes were attached: nothing was measured")

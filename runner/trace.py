"""One trace: bpftrace from its start to its last byte, what it cost, and what went wrong meanwhile."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from runner.attribution import SocketWatch
from runner.bpftrace.attachment import missing_probes
from runner.bpftrace.frame import END_MAP, LIMIT_MAP
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.recording import Moment, Recording
from runner.bpftrace.session import LAST_LINE, PASSWORD_WANTED, Session
from runner.budget import OVER_BUDGET, BudgetWatch
from runner.capture.quality import problem
from runner.companions import CompanionWatch
from runner.errors import Interrupted, Terminated
from runner.host import kernel, processes
from runner.host.bpf import count_attached, link_types, probe_names
from runner.interrupts import Interrupts
from runner.overhead import Meter
from runner.targets import TargetWatch, missing_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from runner.bpftrace.elevation import Elevation
    from runner.bpftrace.frame import FramedProgram
    from runner.bpftrace.session import Listener
    from runner.bpftrace.version import Bpftrace
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import Companion, EndedBy, Overhead, Problem
    from runner.host.sockets import Holder
    from runner.overhead import Extent
    from runner.workload import Workload

LIMIT_SPARE_SECONDS = 10
"""How long after the end of the window bpftrace ends itself, where the runner does not end it."""


TARGETS_ENDED = "targets ended"
"""The reason that a waiting is woken with where there is nothing left to measure."""

ENDS = ("timeout", "workload", LAST_LINE, TARGETS_ENDED)
"""Reasons for which a window ends as it was meant to."""


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


@dataclass(frozen=True, slots=True)
class Job:
    """What bpftrace is to run, and how.

    :param program: The program without what the runner puts around it.
    :param argv: bpftrace's command line, and `variables` its settings.
    :param limit: After so many seconds bpftrace ends itself.
    :param declarations: Tables that may name sockets, whose holders are looked for.
    :param spared: Functions whose missed events do not matter.
    :param ends_itself: The program may call exit().
    :param is_meant: Whether a process is among those that the run is asked for; None where none was named.
    """

    bpftrace: Bpftrace
    program: str
    framed: FramedProgram
    argv: Sequence[str]
    variables: Mapping[str, str]
    limit: int | None
    declarations: Sequence[TableDeclaration] = ()
    spared: frozenset[str] = frozenset()
    ends_itself: bool = False
    prints_maps: bool = True
    """The maps are printed at the end, the mark of the end among them."""
    is_meant: Callable[[Holder], bool] | None = None
    targets: tuple[int, ...] = ()
    """Processes whose end is the end of the window."""
    target_folders: tuple[tuple[Path, int], ...] = ()
    """Likewise directories of cgroups, with their inode numbers."""

    def is_whole(self, recording: Recording) -> bool:
        """Whether bpftrace came to its end."""
        return recording.has_printed(END_MAP) if self.prints_maps else recording.exit_code == 0


@dataclass(frozen=True, slots=True)
class Traced:
    """What a trace left.

    :param busy_seconds: How long all processors together ran tasks in the window.
    :param holders: The processes that hold the sockets whose owner no probe saw, by inode.
    """

    recording: Recording
    ended_by: EndedBy
    problems: tuple[Problem, ...]
    overhead: Overhead | None
    busy_seconds: float
    is_whole: bool
    holders: Mapping[int, tuple[Holder, ...]] = field(default_factory=dict)
    companions: tuple[Companion, ...] = ()


def trace(
    job: Job,
    *,
    duration_seconds: float | None,
    workload: Workload | None = None,
    interrupts: Interrupts | None = None,
    elevation: Elevation | None = None,
    extent: Extent = "slices",
    budget: float | None = None,
    watcher: Watcher,
    on_line: Listener | None = None,
    on_ending: Callable[[], None] | None = None,
    sockets: SocketWatch | None = None,
    check: Callable[[], None] | None = None,
) -> Traced:
    """Trace.

    The window starts when the last probe is attached and ends by duration, by the end of the
    workload, by SIGINT or SIGTERM, by what it costs, or with bpftrace itself. A workload goes on
    where the window ended for its cost, and is ended where it ended for anything else.

    :param interrupts: Who watches for signals; without it the trace does.
    :param elevation: How bpftrace gets the privilege that we lack.
    :param extent: In how much of the window run times are counted.
    :param budget: What it may cost, as a share of all processors together.
    :param on_line: Called with each line that bpftrace prints.
    :param on_ending: Called when the window is over, before bpftrace prints its maps.
    :param sockets: Who looks for the holders of sockets, where others ask it too.
    :param check: What takes a while and may refuse the run; it is asked while the probes attach.
    :raises TraceFailed, HostRefused: bpftrace ended before it was ready.
    :raises Interrupted, Terminated: A signal came before it was ready.
    """
    launch = (elevation.launcher if elevation else direct_launcher)(job.argv, job.variables)
    sockets = sockets or SocketWatch(job.declarations)
    beside = CompanionWatch(job.is_meant)

    with (
        nullcontext(interrupts) if interrupts else Interrupts() as signals,
        Session(job.framed, launch, on_line=on_line, count_probes=_count_probes) as session,
        TargetWatch(
            job.targets if workload is None else (),
            lambda: session.wake(TARGETS_ENDED),
            job.target_folders if workload is None else (),
        ) as targets,
    ):
        signals.wake_up(session.wake)
        sockets.look()
        beside.look()
        if check is not None:
            check()
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
            unattached = _unattached(job.program, tracer)
            watch = (
                BudgetWatch(budget, tracer, lambda: session.wake(OVER_BUDGET)) if budget is not None else None
            )
            meter = Meter(tracer, extent=extent, watch=watch)
            busy_before = kernel.busy_seconds()
            beside.begin()
            targets.begin()
            meter.start()
            if workload is not None:
                workload.start(lambda: session.wake("workload"))
            reason = session.wait(duration_seconds)
            busy = 0.0

            def read_end() -> None:
                nonlocal busy
                beside.end()
                busy = kernel.busy_seconds() - busy_before

            read_end()
            overhead = meter.stop()
            if watch is not None and watch.is_over and reason in ENDS:
                # Both at one moment.
                reason = OVER_BUDGET
            is_stopped = processes.is_stopped(tracer)
            watcher.ending()
            if on_ending is not None:
                on_ending()
            recording = session.stop(read_end)
            if workload is not None and reason == OVER_BUDGET:
                # That our own measuring is too dear is no reason to end somebody's load.
                workload.wait(signals)
        finally:
            if workload is not None:
                workload.end()
    ended_by, problems = _ending(reason, recording, job)
    if ended_by == "workload" and duration_seconds is not None and workload is not None:
        problems += _too_short(recording, duration_seconds, workload)
    gone = missing_folders(job.target_folders)
    if gone and ended_by != "target":
        problems.append(
            problem(
                "target-gone",
                len(gone),
                f"{len(gone)} of {len(job.target_folders)} cgroups that were asked for are gone: what came "
                "in others of their names was not counted",
            )
        )
    if watch is not None:
        overhead["budget"] = watch.use()
        problems += watch.problems()
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
    missed = {probe: count for probe, count in meter.misses.items() if probe not in job.spared}
    if missed:
        problems.append(_missed(missed))
    return Traced(
        recording,
        ended_by,
        tuple(problems),
        overhead,
        busy,
        job.is_whole(recording),
        sockets.holders(bytes(recording.stdout), job.bpftrace.evidence),
        tuple(beside.companions()),
    )


def _tracer_of(pid: int) -> int:
    """Return the process that traces: what we started, or what sudo started for us."""
    return next(
        (each for each in reversed(processes.descendants_of(pid)) if processes.name_of(each) != "sudo"), pid
    )


def _count_probes(pid: int) -> int | None:
    """Return how many probes our child keeps attached, and what that started; None where we may not look."""
    return count_attached([pid, *processes.descendants_of(pid)])


def _unattached(program: str, tracer: int) -> list[str]:
    """Return the program's probes that the kernel does not have, as far as we may ask it."""
    try:
        names, links = probe_names(tracer), link_types(tracer)
    except OSError:
        return []
    return missing_probes(program, names.values(), links.values()) if names else []


def _ending(reason: str, recording: Recording, job: Job) -> tuple[EndedBy, list[Problem]]:
    """Return what ended the window, and what is to be said of that."""
    limit = job.limit
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
    if reason == LAST_LINE:
        return "duration", []
    match reason:
        case "timeout":
            return "duration", []
        case _ if reason == TARGETS_ENDED:
            return "target", []
        case _ if reason == OVER_BUDGET:
            return "budget", []
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
        case "ended" if job.ends_itself and job.is_whole(recording):
            return "script", []
        case "ended" if recording.exit_code == 0 and job.is_whole(recording):
            return "interrupt", [problem("ended-early", None, "somebody else ended bpftrace")]
        case "ended":
            return "crash", []
        case _:
            return "interrupt", []


def _too_short(recording: Recording, wanted_seconds: float, workload: Workload) -> list[Problem]:
    """Say that a command ended before the window was to; one that failed says more than that."""
    if workload.exit_code != 0 or recording.attached is None or recording.ended is None:
        return []
    seconds = (recording.ended.clock_ns - recording.attached.clock_ns) / 1e9
    return [
        problem(
            "ended-early",
            None,
            f"the command was over after {seconds:.1f} s of {wanted_seconds:g} s: "
            "it has to last, or --duration be shorter",
        )
    ]


def _missed(by_probe: Mapping[str, int]) -> Problem:
    probes = ", ".join(f"{probe or 'a probe'} {count}" for probe, count in sorted(by_probe.items()))
    return problem(
        "missed-events",
        sum(by_probe.values()),
        f"the kernel left out events that came while another BPF program ran there ({probes})",
    )


def _interrupted(reason: str) -> Interrupted | Terminated:
    kind = Terminated if reason == "SIGTERM" else Interrupted
    return kind(f"{reason} before the probes were attached: nothing was measured")

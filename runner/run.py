"""One run of a recipe: program, trace, outcome."""

from __future__ import annotations

import math
import mmap
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.attribution import SocketWatch
from runner.bpftrace.frame import Snapshot, frame_program, row_maps
from runner.bpftrace.version import DEFAULT_MAP_KEYS
from runner.capture.cutting import why_not_cut
from runner.errors import NotUnderstood
from runner.host import processes
from runner.host.block_devices import block_devices
from runner.trace import LIMIT_SPARE_SECONDS, Job, Watcher, trace
from runner.wanted import is_wanted_by, names_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from runner.bpftrace.elevation import Elevation
    from runner.bpftrace.messages import Messages
    from runner.bpftrace.session import Listener, Taken
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import Capture, Event
    from runner.cgroup_names import CgroupNames
    from runner.events import EventReader
    from runner.host.sockets import Holder
    from runner.interrupts import Interrupts
    from runner.outcome import Outcome
    from runner.overhead import Extent
    from runner.plan import Plan
    from runner.trace import Traced
    from runner.windows import WindowReader
    from runner.workload import Workload

_LEAST_PAGES = 64
"""bpftrace's own buffer, up to 0.23."""

_EVENT_PAGES = 1024
"""Room for bursts of events: 4 MiB (up to 0.17: for each processor)."""

_ROW_BYTES = 1280
"""Most that a row with a stack takes in bpftrace's buffer: 127 addresses and what is printed beside them."""


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
    budget: float | None = None,
    watcher: Watcher | None = None,
    watch_events: bool = False,
    windows: Windows | None = None,
    on_event: Callable[[Event], None] | None = None,
    is_recorded: bool = False,
    check: Callable[[], None] | None = None,
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
    :param budget: What the run may cost, as a share of all processors together; it ends where it costs more.
    :param watch_events: Have the number of events printed meanwhile, for the watcher.
    :param windows: Have the maps printed again and again, and what came between.
    :param on_event: Called with each event as it comes; the capture has none of them then.
    :param is_recorded: Keep what is printed, whoever was handed it.
    :param check: What takes a while and may refuse the run; it is asked while the probes attach.
    :raises TraceFailed, HostRefused: bpftrace ended before it was ready.
    :raises Interrupted, Terminated: A signal came before it was ready.
    """
    recipe = plan.loaded.recipe
    watcher = watcher or Watcher()
    outputs = {output.name: output for output in recipe.outputs}
    progress = outputs[recipe.progress].map if recipe.progress and watch_events and windows is None else None
    limit = None if duration_seconds is None else math.ceil(duration_seconds) + LIMIT_SPARE_SECONDS
    room = max_map_keys or recipe.max_map_keys
    declarations = [output.declaration() for output in recipe.outputs]
    rows = row_maps(declarations, plan.bpftrace.dialect)
    if rows and buffer_pages is None:
        buffer_pages = max(_LEAST_PAGES, _pages((room or DEFAULT_MAP_KEYS) * _ROW_BYTES))
    if recipe.events and buffer_pages is None:
        buffer_pages = _EVENT_PAGES
    head, variables = plan.bpftrace.settings(
        max_map_keys=room,
        buffer_pages=buffer_pages,
        text_bytes=plan.bpftrace.text_bytes if recipe.prints_texts else None,
    )
    framed = frame_program(
        plan.program.text,
        head=head,
        runner=processes.own_pid_in_kernel(),
        scratch_maps=plan.program.scratch_maps,
        row_maps=rows,
        progress_map=progress,
        snapshot=windows.snapshot([each for each in declarations if each.map in plan.program.maps])
        if windows is not None
        else None,
        limit_seconds=limit,
    )
    groups = None
    if recipe.split_by is not None and plan.facts.cgroups is not None:
        from runner.cgroup_names import CgroupNames  # noqa: PLC0415  # who names no cgroup waits for none of it
        from runner.host.target_cgroups import Host  # noqa: PLC0415

        groups = CgroupNames(recipe.split_by, plan.facts.cgroups.by, Host.here())
        # It goes on being filled while the run lasts.
        plan = replace(plan, facts=plan.facts.with_labels(groups.labels))
    sockets = SocketWatch(declarations)
    events = _event_reader(plan, on_event, is_recorded=is_recorded) if on_event is not None else None
    reader = None
    if windows is not None:
        reader = windows.reader(plan, room or DEFAULT_MAP_KEYS, duration_seconds, sockets, groups)
    job = Job(
        plan.bpftrace,
        plan.program.text,
        framed,
        plan.bpftrace.arguments(check_reads=check_reads, is_unsafe=plan.is_unsafe),
        variables,
        limit,
        declarations,
        spared=frozenset(probe.rpartition(":")[2] for probe in recipe.bookkeeping),
        is_meant=is_wanted_by(plan) if names_processes(plan) else None,
        targets=tuple(int(value.json()) for value in plan.values.get("pid", ())),  # type: ignore[arg-type]
        target_folders=_target_folders(plan),
    )
    with groups or nullcontext():
        traced = trace(
            job,
            duration_seconds=duration_seconds,
            workload=workload,
            interrupts=interrupts,
            elevation=elevation,
            extent=extent,
            budget=budget,
            watcher=watcher,
            on_line=_listener(progress, watcher, reader, events),
            on_ending=reader.end_with_the_run if reader is not None else None,
            sockets=sockets,
            check=check,
        )
    # What decodes is loaded when there is something to decode: bpftrace starts the earlier.
    from runner.outcome import Outcome  # noqa: PLC0415

    messages = _last_window(plan, traced, reader) if reader is not None else None
    holders = traced.holders
    if groups is not None:
        holders = _named(holders, groups)
    if recipe.asks_for_devices():
        # Those that came during the run have a name now; those that went had theirs before.
        plan = replace(plan, facts=plan.facts.with_devices(block_devices()))
    return Outcome(
        plan,
        traced.recording,
        traced.ended_by,
        room or DEFAULT_MAP_KEYS,
        problems=traced.problems,
        overhead=traced.overhead,
        busy_seconds=traced.busy_seconds,
        holders=holders,
        companions=traced.companions,
        workload=workload,
        handed_on=events.handed_on if events is not None else None,
        messages=messages,
    )


def _event_reader(plan: Plan, on_event: Callable[[Event], None], *, is_recorded: bool) -> EventReader:
    from runner.events import EventReader  # noqa: PLC0415  # see execute

    return EventReader(plan, on_event, is_kept=is_recorded)


def _target_folders(plan: Plan) -> tuple[tuple[Path, int], ...]:
    if not plan.cgroups:
        return ()
    from runner.cgroup_facts import target_folders  # noqa: PLC0415

    return target_folders(place for _, place in plan.cgroups)


@dataclass(frozen=True, slots=True)
class Windows:
    """How a run is cut into windows.

    :param on_window: Called with the capture of each as soon as it is over.
    :param most: How many there are to be; None for as many as the run lasts.
    """

    milliseconds: int
    on_window: Callable[[Capture], None]
    most: int | None = None

    def snapshot(self, declarations: Sequence[TableDeclaration]) -> Snapshot:
        """Return what is to be printed again and again."""
        return Snapshot(
            self.milliseconds, tuple(each.map for each in declarations if why_not_cut(each) is None)
        )

    def reader(
        self,
        plan: Plan,
        room: int,
        duration_seconds: float | None,
        sockets: SocketWatch,
        groups: CgroupNames | None,
    ) -> WindowReader:
        """Return what makes windows of the snapshots."""
        last_border_ns = None
        if duration_seconds is not None:
            # What is left then is the last window: no shorter than half of one.
            last_border_ns = duration_seconds * 1e9 - self.milliseconds * 0.5e6
        from runner.windows import WindowReader  # noqa: PLC0415  # see execute

        return WindowReader(
            plan,
            room,
            on_window=self.on_window,
            holders=lambda output: _named(sockets.holders(output, plan.bpftrace.evidence), groups),
            most=self.most,
            last_border_ns=last_border_ns,
        )


def _last_window(plan: Plan, traced: Traced, reader: WindowReader) -> Messages | None:
    """Hand on the last window; return what was read for it, which is what all of the run is decoded from."""
    recording = traced.recording
    if not traced.is_whole or recording.ended is None:
        return None
    from runner.bpftrace.messages import read_messages  # noqa: PLC0415  # see execute

    output = bytes(recording.stdout)
    try:
        messages = read_messages(output, plan.bpftrace.evidence, recording.errors)
        reader.last(output, messages, recording.ended.clock_ns)
    except NotUnderstood:
        # Who decodes all of the run keeps it, and says so.
        return None
    return messages


def _listener(
    progress_map: str | None, watcher: Watcher, reader: WindowReader | None, events: EventReader | None
) -> Listener | None:
    if reader is not None:
        return reader.take if events is None else _either(events.take, reader.take)
    if events is not None:
        return events.take
    return _count_listener(progress_map, watcher) if progress_map else None


def _named(
    holders: Mapping[int, tuple[Holder, ...]], groups: CgroupNames | None
) -> Mapping[int, tuple[Holder, ...]]:
    """Return the holders of sockets with what their cgroups are called."""
    if groups is None:
        return holders
    return {
        inode: tuple(replace(each, group=groups.label_of(each.cgroups)) for each in found)
        for inode, found in holders.items()
    }


def _either(first: Listener, second: Listener) -> Listener:
    def listen(line: bytes, read_at_ns: int) -> Taken:
        taken = first(line, read_at_ns)
        return second(line, read_at_ns) if taken == "kept" else taken

    return listen


def _pages(size: int) -> int:
    """Return how many pages hold so many bytes: a power of two."""
    return 1 << max(0, math.ceil(size / mmap.PAGESIZE) - 1).bit_length()


def _count_listener(progress_map: str, watcher: Watcher) -> Listener:
    from runner.bpftrace.json_output import read_message  # noqa: PLC0415  # see execute
    from runner.bpftrace.output import Pairs  # noqa: PLC0415

    marker = f'"{progress_map}"'.encode()

    def listen(line: bytes, read_at_ns: int) -> Taken:
        del read_at_ns
        if marker not in line:
            return "kept"
        message = read_message(line)
        data = message.get("data") if message is not None else None
        count = data.get(progress_map) if isinstance(data, dict | Pairs) else None
        if isinstance(count, int):
            watcher.counted(count)
        return "kept"

    return listen

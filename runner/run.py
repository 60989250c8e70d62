"""One run: host facts, program, trace, tables, capture."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runner.bpftrace.diagnosis import warnings_of
from runner.bpftrace.frame import END_MAP, frame_program
from runner.bpftrace.messages import Messages, read_message, read_messages
from runner.bpftrace.session import Session
from runner.bpftrace.tables import decode_tables
from runner.capture.encode import encode_text, new_id
from runner.errors import HostRefused, Interrupted, NotUnderstood, Terminated, ValueRefused
from runner.host import kernel, probes, processes
from runner.host.facts import HostFacts
from runner.interrupts import Interrupts
from runner.recipe.parameters import TaskName, as_json
from runner.recipe.render import Program, render_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from runner.bpftrace.recording import Moment, Recording
    from runner.bpftrace.version import Bpftrace
    from runner.capture.document import Capture, EndedBy, Message, Problem, Quality, Window
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Guard, Recipe
    from runner.recipe.parameters import Value
    from runner.workload import Workload

SCHEMA: Final = "ebpf-recipe/capture/v1"

DEFAULT_MAP_KEYS = 4096
"""bpftrace's own max_map_keys, in every release."""

_UPDATE_HELPERS = frozenset({"map_update_elem"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do on this host."""

    loaded: LoadedRecipe
    values: Mapping[str, tuple[Value, ...]]
    facts: HostFacts
    bpftrace: Bpftrace
    program: Program


class Watcher:
    """Who is told how a run goes; this one ignores it."""

    def attached(self) -> None:
        """Every probe is attached: the clock runs."""

    def counted(self, events: int) -> None:
        """So many events were counted so far."""

    def ending(self) -> None:
        """The window is over; bpftrace prints its maps."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left, before it is decoded.

    :param ended_by: What ended the window.
    :param room: How many keys each map had room for.
    """

    plan: Plan
    recording: Recording
    ended_by: EndedBy
    room: int
    workload: Workload | None = None
    is_recorded: bool = False

    def capture(self) -> Capture:
        """Decode the capture.

        :raises NotUnderstood: bpftrace's output could not be; the error carries it.
        """
        try:
            return _capture(self)
        except NotUnderstood as error:
            error.raw = bytes(self.recording.stdout)
            raise


def host_facts(guards: tuple[Guard, ...], bpftrace: Bpftrace) -> HostFacts:
    """Read what the guards ask of this host.

    :raises HostRefused: tracefs is not mounted or may not be read.
    """
    tracefs = probes.tracefs_root()
    if tracefs is None:
        if not kernel.is_root():
            raise _no_privilege()
        raise HostRefused(
            "tracefs is not mounted, so no probe can be found",
            hint="mount -t tracefs tracefs /sys/kernel/tracing",
        )
    asked = {guard.probe for guard in guards if guard.probe is not None}
    system = os.uname()
    return HostFacts(
        hostname=socket.gethostname(),
        kernel=system.release,
        arch=system.machine,
        cpus=kernel.cpus_online(),
        boot_id=kernel.boot_id(),
        byteorder=sys.byteorder,
        btf=kernel.has_btf(),
        probes={probe: probes.probe_fields(probe, tracefs) for probe in asked},
        bpftrace=str(bpftrace),
        bpftrace_features=bpftrace.features,
    )


def plan_run(loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], bpftrace: Bpftrace) -> Plan:
    """Decide what would run here, without running it.

    :param values: Parsed values of parameters and target filters, by name.
    :raises HostRefused: This host cannot run the recipe.
    """
    facts = host_facts(loaded.recipe.guards(), bpftrace)
    return Plan(loaded, values, facts, bpftrace, render_program(loaded, values, facts))


def check_privilege() -> None:
    """Refuse a run that bpftrace would refuse.

    :raises HostRefused: Not root.
    """
    if not kernel.is_root():
        raise _no_privilege()


def check_processes(pids: Iterable[Value]) -> None:
    """Refuse process ids that are none: a typing error would read as an empty result.

    :raises ValueRefused: No such process, or the id is a thread's.
    """
    for value in pids:
        pid = value.json()
        assert isinstance(pid, int)
        group = processes.thread_group_of(pid)
        if group is None:
            raise ValueRefused(f"--pid {pid}: there is no such process")
        if group != pid:
            raise ValueRefused(
                f"--pid {pid}: that is a thread of process {group} ({processes.name_of(group)})",
                hint=f"--pid takes the process: --pid {group}",
            )


def absent_names(names: Iterable[Value]) -> list[str]:
    """Return the names that no process has now: started later it will count, mistyped it never will."""
    present = processes.all_names()
    return [
        str(value.json())
        for value in names
        if isinstance(value, TaskName) and not any(value.fits(name) for name in present)
    ]


def execute(
    plan: Plan,
    *,
    duration_seconds: float | None,
    workload: Workload | None = None,
    max_map_keys: int | None = None,
    watcher: Watcher | None = None,
    watch_events: bool = False,
) -> Outcome:
    """Run the plan.

    The window starts when the last probe is attached and ends by duration, by the end of the
    workload, by SIGINT or SIGTERM, or with bpftrace itself.

    :param watch_events: Have the number of events printed meanwhile, for the watcher.
    :raises TraceFailed, HostRefused: bpftrace ended before it was ready.
    :raises Interrupted, Terminated: A signal came before it was ready.
    """
    recipe = plan.loaded.recipe
    watcher = watcher or Watcher()
    outputs = {output.name: output for output in recipe.outputs}
    progress = outputs[recipe.progress].map if recipe.progress and watch_events else None
    framed = frame_program(
        plan.program.text,
        runner=processes.own_pid_in_kernel(),
        scratch_maps=recipe.scratch_maps,
        progress_map=progress,
    )
    room = max_map_keys or recipe.max_map_keys

    with (
        Interrupts() as interrupts,
        Session(
            plan.bpftrace,
            framed,
            max_map_keys=room,
            on_line=_count_listener(progress, watcher) if progress else None,
        ) as session,
    ):
        interrupts.wake_up(session.wake)
        try:
            reason = session.wait_ready()
            if reason is not None:
                session.stop()
                raise _interrupted(reason)
            watcher.attached()
            if workload is not None:
                workload.start(lambda: session.wake("workload"))
            reason = session.wait(duration_seconds)
            ended_by = _ended_by(reason)
            watcher.ending()
            recording = session.stop()
        finally:
            if workload is not None:
                workload.end()
    return Outcome(plan, recording, ended_by, room or DEFAULT_MAP_KEYS, workload)


def _ended_by(reason: str) -> EndedBy:
    match reason:
        case "timeout":
            return "duration"
        case "workload":
            return "workload"
        case "ended":
            return "crash"
        case _:
            return "interrupt"


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


def _no_privilege() -> HostRefused:
    return HostRefused("tracing needs root", hint="run it with sudo, or as root")


def _capture(outcome: Outcome) -> Capture:
    plan, recording = outcome.plan, outcome.recording
    recipe = plan.loaded.recipe
    messages = read_messages(bytes(recording.stdout))
    declarations = [output.declaration() for output in recipe.outputs]
    tables, problems = decode_tables(declarations, messages, plan.facts.byteorder, outcome.room)
    is_whole = messages.maps.get(END_MAP) == ("map", recording.end_value)
    problems = [*_run_problems(outcome, messages, is_whole=is_whole), *problems]
    identity = new_id()
    facts = plan.facts
    return {
        "schema": SCHEMA,
        "id": identity,
        "run_id": identity,
        "recipe": {
            "id": recipe.id,
            "digest": plan.loaded.digest,
            "variant": plan.program.variant.id,
            "variant_reason": plan.program.variant_reason,
            "primary": recipe.primary.model_dump(),  # type: ignore[typeddict-item]
        },
        "parameters": _given_parameters(recipe, plan.values),
        "target": {
            name: [value.json() for value in plan.values[name]]
            for name in recipe.target.honours
            if plan.values.get(name)
        },
        "program": {"text": plan.program.text, "sha256": plan.program.sha256},
        "host": {
            "hostname": facts.hostname,
            "kernel": facts.kernel,
            "arch": facts.arch,
            "cpus": facts.cpus,
            "bpftrace": facts.bpftrace,
            "boot_id": facts.boot_id,
        },
        "window": _window(outcome),
        "quality": _grade(problems, is_whole=is_whole),
        "overhead": None,
        "tables": tables,
        "events": [],
        "messages": list(_other_messages(messages, recording)),
        "companions": [],
    }


def _given_parameters(recipe: Recipe, values: Mapping[str, tuple[Value, ...]]) -> dict[str, Any]:
    return {
        parameter.name: as_json(values[parameter.name], repeatable=parameter.repeatable)
        for parameter in recipe.parameters
        if values.get(parameter.name)
    }


def _window(outcome: Outcome) -> Window:
    recording = outcome.recording
    attached, ended = recording.attached, recording.ended
    assert attached is not None
    assert ended is not None
    window: Window = {
        "started_at": _timestamp(recording.started),
        "attached_at": _timestamp(attached),
        "ended_at": _timestamp(ended),
        "duration_seconds": round((ended.monotonic_ns - attached.monotonic_ns) / 1e9, 6),
        "ended_by": outcome.ended_by,
    }
    if outcome.workload is not None:
        window["workload"] = {"argv": outcome.workload.argv, "exit_code": outcome.workload.exit_code}
    if outcome.is_recorded:
        window["recorded"] = True
    return window


def _timestamp(moment: Moment) -> str:
    return moment.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _how_ended(exit_code: int | None) -> str:
    return f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit {exit_code}"


def _run_problems(outcome: Outcome, messages: Messages, *, is_whole: bool) -> Iterator[Problem]:
    recording, ended_by, workload = outcome.recording, outcome.ended_by, outcome.workload
    if not is_whole:
        how = _how_ended(recording.exit_code)
        yield {
            "code": "output-incomplete",
            "count": None,
            "detail": f"bpftrace ({how}) did not print its last map: what stands before it may be missing",
        }
    if messages.lost_events:
        yield {
            "code": "lost-events",
            "count": messages.lost_events,
            "detail": "bpftrace had no room for events; maps are not concerned",
        }
    code = workload.exit_code if workload is not None else 0
    if ended_by == "workload" and code != 0:
        yield {
            "code": "workload-failed",
            "count": None,
            "detail": f"the command failed ({_how_ended(code)}): this is not the load that was meant",
        }
    updates = sum(1 for helper, _ in messages.helper_errors if helper in _UPDATE_HELPERS)
    if updates:
        yield {
            "code": "map-updates-failed",
            "count": updates,
            "detail": "the kernel refused map updates: a map is full",
        }


def _grade(problems: list[Problem], *, is_whole: bool) -> Quality:
    return {
        "grade": "void" if not is_whole else "degraded" if problems else "usable",
        "problems": problems,
    }


def _other_messages(messages: Messages, recording: Recording) -> Iterator[Message]:
    for kind, message in messages.others:
        data = message.get("data")
        if kind == "printf" and isinstance(data, str) and data.startswith("ebpf-recipe-ready-"):
            continue
        text = data if isinstance(data, str) else str(message.get("msg") or "")
        yield {"type": kind, "text": text}
    for line in messages.text_lines:
        yield {"type": "text", "text": encode_text(line)}
    for warning in warnings_of(bytes(recording.stderr)):
        yield {"type": "stderr", "text": warning}

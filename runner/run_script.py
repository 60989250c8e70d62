"""One run of a script that is no recipe: the same trace, the same capture, typed from what was printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.bpftrace.diagnosis import lost_in_all, warnings_of
from runner.bpftrace.foreign import ForeignOutput
from runner.bpftrace.json_output import error_of, read_message
from runner.bpftrace.script_frame import Carrier, carrier_for, frame_script
from runner.capture.make import new_capture
from runner.capture.quality import problem
from runner.decode import reader_for
from runner.ending import ending_problems, window_of
from runner.errors import TraceFailed
from runner.host import processes
from runner.trace import LIMIT_SPARE_SECONDS, Job, Watcher, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.bpftrace.elevation import Elevation
    from runner.bpftrace.script import Script
    from runner.bpftrace.session import Taken
    from runner.bpftrace.version import Bpftrace
    from runner.capture.document import Capture, Message, Problem
    from runner.host.facts import HostFacts
    from runner.interrupts import Interrupts
    from runner.overhead import Extent
    from runner.trace import Traced
    from runner.workload import Workload

_NO_LOOPS = "oop expression does not support"
"""What 0.23 and 0.27 say of a map whose rows they cannot go through."""

_TOKEN = "ebpf-recipe-ready-"  # noqa: S105


@dataclass(frozen=True, slots=True)
class ScriptPlan:
    """What a run of a script will do on this host.

    :param arguments: What the script reads as $1, $2, …
    :param is_unsafe: It may call system().
    """

    script: Script
    bpftrace: Bpftrace
    facts: HostFacts
    arguments: Sequence[str] = ()
    is_unsafe: bool = False
    name: str = "script"
    """What the script is called."""


def run_script(
    plan: ScriptPlan,
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
    on_message: Callable[[Message], None] | None = None,
) -> Capture:
    """Run a script and return its capture.

    :param budget: What the run may cost, as a share of all processors together; it ends where it costs more.
    :param on_message: Called with each message as it is printed, instead of keeping it in the capture.
    :raises TraceFailed, HostRefused: bpftrace ended before it was ready.
    :raises Interrupted, Terminated: A signal came before it was ready.
    """
    carrier = carrier_for(plan.script, plan.bpftrace.dialect)
    carriers = [carrier, Carrier(carrier.form)] if carrier.row_maps else [carrier]
    for place, each in enumerate(carriers):
        live = _Live(plan, each, on_message)
        try:
            traced = trace(
                _job(plan, each, duration_seconds, max_map_keys, buffer_pages, check_reads=check_reads),
                duration_seconds=duration_seconds,
                workload=workload,
                interrupts=interrupts,
                elevation=elevation,
                extent=extent,
                budget=budget,
                watcher=watcher or Watcher(),
                on_line=live.read,
            )
        except TraceFailed as error:
            # A release that has no loops over such a map says so: without them, then.
            if place == len(carriers) - 1 or _NO_LOOPS not in error.message:
                raise
            continue
        return live.capture(traced, workload)
    raise AssertionError


def _job(
    plan: ScriptPlan,
    carrier: Carrier,
    duration_seconds: float | None,
    max_map_keys: int | None,
    buffer_pages: int | None,
    *,
    check_reads: bool,
) -> Job:
    limit = None if duration_seconds is None else math.ceil(duration_seconds) + LIMIT_SPARE_SECONDS
    return Job(
        plan.bpftrace,
        plan.script.text,
        frame_script(plan.script, carrier, runner=processes.own_pid_in_kernel(), limit_seconds=limit),
        plan.bpftrace.arguments(
            check_reads=check_reads,
            form=carrier.form,
            is_unsafe=plan.is_unsafe,
            script_arguments=plan.arguments,
        ),
        plan.bpftrace.variables(max_map_keys=max_map_keys, buffer_pages=buffer_pages),
        limit,
        ends_itself=True,
        prints_maps=plan.script.prints_maps_at_the_end,
    )


def _of_script(each: Problem) -> Problem:
    """Return a problem as it is of a script, which may name probes that only other kernels have."""
    if each["code"] != "probes-not-attached":
        return each
    return problem("probes-missing", each["count"], each["detail"])


class _Live:
    """Reads what bpftrace prints while it runs."""

    def __init__(
        self, plan: ScriptPlan, carrier: Carrier, on_message: Callable[[Message], None] | None
    ) -> None:
        self._plan = plan
        self._messages: list[Message] = []
        self._hand_on = on_message or self._messages.append
        self._evidence = plan.bpftrace.evidence
        self._output = ForeignOutput(self._evidence, self._message, plan.script, carrier.row_maps)
        self._reader = reader_for(carrier.form, self._output, self._evidence, plan.script)

    def read(self, line: bytes, read_at_ns: int) -> Taken:
        del read_at_ns
        self._reader.feed(line + b"\n")
        return "kept"

    def _message(self, message: Message) -> None:
        text = message["text"]
        if isinstance(text, str) and text.startswith(_TOKEN):
            return
        self._hand_on(message)

    def capture(self, traced: Traced, workload: Workload | None) -> Capture:
        """Return the capture, at the end."""
        self._reader.close()
        plan, facts, stderr = self._plan, self._plan.facts, bytes(traced.recording.stderr)
        for line, times in traced.recording.errors.items():
            message = read_message(line)
            if message is not None:
                self._output.failed(error_of(message), times)
        tables = self._output.tables()
        problems = [
            *map(_of_script, traced.problems),
            *map(
                _of_script,
                ending_problems(traced.recording, traced.ended_by, workload, is_whole=traced.is_whole),
            ),
            *self._output.problems(lost_in_all=lost_in_all(stderr), repaired=self._reader.repaired),
        ]
        for warning in warnings_of(stderr):
            self._hand_on({"type": "stderr", "text": warning})
        return new_capture(
            parameters={"arguments": list(plan.arguments)} if plan.arguments else {},
            program={**plan.script.program, "name": plan.name},
            host=facts.as_host(),
            window=window_of(traced.recording, traced.ended_by, workload),
            problems=problems,
            overhead=traced.overhead,
            tables=tables,
            messages=self._messages,
            companions=list(traced.companions),
        )

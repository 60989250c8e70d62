"""What a run left, and its decoding into a capture with an honest grade."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from runner.attribution import attribute
from runner.bpftrace.diagnosis import lost_in_all, warnings_of
from runner.bpftrace.frame import END_MAP
from runner.bpftrace.messages import Messages, read_messages
from runner.bpftrace.refusals import error_problems
from runner.bpftrace.said import message_of
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.encode import encode_text
from runner.capture.make import NOWHERE, new_capture
from runner.capture.quality import problem
from runner.ending import ending_problems, window_of
from runner.errors import NotUnderstood
from runner.events import event_problems, read_events
from runner.host.containers import role_of
from runner.recipe.parameters import as_json
from runner.wanted import is_wanted_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.bpftrace.recording import Recording
    from runner.capture.document import (
        Capture,
        Companion,
        EndedBy,
        Message,
        Overhead,
        Primary,
        Problem,
        Program,
        Table,
    )
    from runner.events import Tally
    from runner.host.sockets import Holder
    from runner.plan import Plan
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value
    from runner.workload import AnyWorkload

_LEAST_SAMPLES = 0.98
_DEVIATIONS = 3
"""Fewer than this share of the expected samples, and more standard deviations away from it, is too few."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left, before it is decoded.

    :param ended_by: What ended the window.
    :param room: How many keys each map had room for.
    :param problems: What the runner noticed.
    :param busy_seconds: How long all processors together ran tasks in the window.
    :param holders: The processes that hold the sockets whose owner no probe saw, by inode.
    """

    plan: Plan
    recording: Recording
    ended_by: EndedBy | None
    room: int
    problems: tuple[Problem, ...] = ()
    overhead: Overhead | None = None
    busy_seconds: float | None = None
    holders: Mapping[int, tuple[Holder, ...]] = field(default_factory=dict)
    companions: tuple[Companion, ...] = ()
    workload: AnyWorkload | None = None
    handed_on: Tally | None = None
    """Events that were handed on as they came, and are not in what is decoded."""
    is_recorded: bool = False
    messages: Messages | None = None
    """What was printed, where it was read already."""
    is_elsewhere: bool = False
    """It ran on a host that had bpftrace alone: which one, and when probes were attached, is not known."""

    def capture(self) -> Capture:
        """Decode the capture.

        :raises NotUnderstood: bpftrace's output could not be; the error carries it.
        """
        try:
            return _capture(self)
        except NotUnderstood as error:
            error.raw = bytes(self.recording.stdout)
            raise


def _capture(outcome: Outcome) -> Capture:
    plan, recording = outcome.plan, outcome.recording
    recipe = plan.loaded.recipe
    messages = outcome.messages or read_messages(
        bytes(recording.stdout), plan.bpftrace.evidence, recording.errors
    )
    declarations = [output.declaration() for output in recipe.outputs]
    end = messages.maps.get(END_MAP)
    is_whole = end is not None and end.value == recording.end_value
    context = Context(plan.bpftrace.dialect, plan.names, outcome.room, is_whole, time_of=recording.time_of)
    tables, problems = decode_tables(declarations, messages, context)
    attribute(declarations, tables, outcome.holders, is_wanted_by(plan))
    events, messages.others, tally = read_events(
        messages.others, plan, recording.attached, recording.attached or recording.started
    )
    if outcome.handed_on is not None:
        tally, events = outcome.handed_on, []
    problems = [
        *outcome.problems,
        *ending_problems(recording, outcome.ended_by, outcome.workload, is_whole=is_whole),
        *_told_problems(messages, bytes(recording.stderr)),
        *(event_problems(tables, tally) if is_whole else ()),
        *problems,
        *_incomplete_pods(plan),
        *_dropped_samples(outcome, tables),
        *_missing_ticks(outcome, tables),
    ]
    what = described(plan)
    if outcome.is_elsewhere:
        what["host"] = {**NOWHERE, "bpftrace": plan.facts.bpftrace}
    return new_capture(
        **what,
        window=window_of(recording, outcome.ended_by, outcome.workload, is_recorded=outcome.is_recorded),
        problems=problems,
        overhead=outcome.overhead,
        tables=tables,
        events=events,
        messages=list(_other_messages(messages, recording)),
        companions=list(outcome.companions),
    )


def described(plan: Plan) -> dict[str, Any]:
    """Return what a capture says of what was run and where: recipe, parameters, target, program, host."""
    recipe = plan.loaded.recipe
    return {
        "recipe": {
            "id": recipe.id,
            "digest": plan.loaded.digest,
            "variant": plan.program.variant.id,
            "variant_reason": plan.program.variant_reason,
            **_splitting(plan),
            "primary": cast("Primary", recipe.primary.model_dump()),
        },
        "parameters": _given_parameters(recipe, plan.values),
        "target": {
            name: [value.json() for value in plan.values[name]]
            for name in recipe.target.honoured()
            if plan.values.get(name)
        },
        "program": _program(plan),
        "host": plan.facts.as_host(),
    }


def _splitting(plan: Plan) -> dict[str, str]:
    by, groups = plan.loaded.recipe.split_by, plan.facts.cgroups
    return {} if by is None or groups is None else {"by": by, "hierarchy": groups.by}


def _program(plan: Plan) -> Program:
    program: Program = {"text": plan.program.text, "sha256": plan.program.sha256}
    if plan.cgroups:
        program["cgroups"] = [
            {
                "filter": asked.asked,
                "hierarchy": place.hierarchy,
                "path": encode_text(os.fsencode(place.path)),
                "id": place.id,
                "exact": plan.is_exact,
            }
            for asked, place in plan.cgroups
        ]
    if plan.places:
        program["functions"] = [
            {
                "function": function.text,
                "path": place.path,
                "location": place.location,
                "build_id": place.build_id or None,
            }
            for function, place in plan.places
        ]
    return program


def _incomplete_pods(plan: Plan) -> Iterator[Problem]:
    """Find pods that are no more than the containers that they had when the run began."""
    pods = [place for asked, place in plan.cgroups if asked.option == "pod"]
    containers = [place for place in pods if role_of(place.path).container is not None]
    if containers:
        yield problem(
            "pod-incomplete",
            len(containers),
            f"--pod: {len(containers)} cgroups of containers were looked at, for there is none of the pod",
        )


def _dropped_samples(outcome: Outcome, tables: list[Table]) -> Iterator[Problem]:
    """Compare samples that came by the clock with the time that tasks ran meanwhile."""
    sampling = outcome.plan.loaded.recipe.sampling
    if sampling is None or outcome.busy_seconds is None:
        return
    hertz = sampling.hertz
    if isinstance(hertz, str):
        hertz = int(outcome.plan.values[hertz][0].json())  # type: ignore[arg-type]
    expected = hertz * outcome.busy_seconds
    seen = _count_of(tables, sampling.table)
    parts = sum(_count_of(tables, name) for name in sampling.parts)
    is_all = not any(outcome.plan.values.get(name) for name in outcome.plan.loaded.recipe.target.honoured())
    if sampling.parts and (parts > seen or (is_all and parts < seen)):
        # Seen of bpftrace 0.17, which left out the line of a map.
        yield problem(
            "map-unprinted",
            abs(parts - seen),
            f"{sampling.table} has {seen} samples, and {' and '.join(sampling.parts)} have {parts}: bpftrace "
            "did not print all that it counted, or had no room for it",
        )
        seen = max(parts, seen)
    if seen < expected * _LEAST_SAMPLES - _DEVIATIONS * math.sqrt(expected):
        yield problem(
            "samples-dropped",
            round(expected) - seen,
            f"{seen} of {expected:.0f} samples came: the rest fell into other BPF programs",
        )


def _missing_ticks(outcome: Outcome, tables: list[Table]) -> Iterator[Problem]:
    """Compare the program's intervals with the length of the window."""
    ticks, recording = outcome.plan.loaded.recipe.ticks, outcome.recording
    if ticks is None or recording.ended is None:
        return
    window_ms = (recording.ended.clock_ns - (recording.attached or recording.started).clock_ns) / 1e6
    # The last one may fall into the moment at which the window ends.
    expected = int(window_ms / ticks.milliseconds) - 1
    seen = _count_of(tables, ticks.table)
    if seen < expected:
        yield problem(
            "ticks-missing",
            expected - seen,
            f"{seen} of {expected} intervals of {ticks.milliseconds} ms came: others ran meanwhile",
        )


def _count_of(tables: list[Table], name: str) -> int:
    rows = next(table["rows"] for table in tables if table["name"] == name)
    return sum(row["value"] for row in rows)  # type: ignore[typeddict-item]


def _given_parameters(recipe: Recipe, values: Mapping[str, tuple[Value, ...]]) -> dict[str, Any]:
    return {
        parameter.name: as_json(values[parameter.name], repeatable=parameter.repeatable)
        for parameter in recipe.parameters
        if values.get(parameter.name)
    }


def _told_problems(messages: Messages, stderr: bytes) -> Iterator[Problem]:
    """Say what bpftrace itself says, and what it prints damaged."""
    lost = max(messages.lost_events, lost_in_all(stderr))
    if lost:
        yield problem("lost-events", lost, "bpftrace had no room for what it had to print")
    yield from error_problems(messages.errors)
    if messages.repaired:
        yield problem(
            "repaired",
            messages.repaired,
            "bytes above 127 or hexadecimal numbers, which bpftrace prints damaged, were restored exactly",
        )


def _other_messages(messages: Messages, recording: Recording) -> Iterator[Message]:
    for kind, data in messages.others:
        if kind == "printf" and isinstance(data, str) and data.startswith("ebpf-recipe-ready-"):
            continue
        yield message_of(kind, data)
    for line in messages.text_lines:
        yield {"type": "text", "text": encode_text(line)}
    for warning in warnings_of(bytes(recording.stderr)):
        yield {"type": "stderr", "text": warning}

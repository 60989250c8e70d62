"""Recordings of runs: written beside a run, and decoded again by the same command, anywhere."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from runner.bpftrace.recording import read_recording, write_recording
from runner.bpftrace.version import Bpftrace
from runner.capture.document import (  # noqa: TC001  # pydantic reads them
    Companion,
    EndedBy,
    Overhead,
    Problem,
    TextBytes,
)
from runner.capture.encode import encode_text
from runner.capture.quality import RULES
from runner.errors import HostRefused, NotUnderstood, ValueRefused
from runner.host.facts import HostFacts, Label  # noqa: TC001  # likewise
from runner.host.sockets import Holder
from runner.outcome import Outcome
from runner.plan import Plan
from runner.recipe.render import render_program
from runner.work import MOST, Work
from runner.workload import EndedWorkload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.recipe.load import LoadedRecipe
    from runner.recipe.parameters import Value

_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")


class _Holder(TypedDict):
    pid: int
    name: Annotated[
        str, StringConstraints(pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")
    ]
    cgroups: NotRequired[str]
    group: NotRequired[Label]


class _Work(TypedDict):
    count: Annotated[int, Field(ge=0, le=MOST)]
    unit: str | None


class _Workload(TypedDict):
    argv: list[str | TextBytes]
    exit_code: int | None
    is_ended_by_us: NotRequired[bool]
    work: NotRequired[_Work | None]
    work_problem: NotRequired[str | None]


class _Run(TypedDict):
    """What a recording holds besides what bpftrace wrote."""

    recipe: str
    program_sha256: str
    facts: HostFacts
    ended_by: EndedBy
    room: int
    problems: list[Problem]
    overhead: Overhead | None
    busy_seconds: float | None
    holders: dict[int, list[_Holder]]
    workload: NotRequired[_Workload]
    companions: NotRequired[list[Companion]]
    """Recordings of releases that read none have none."""


_RUN = TypeAdapter(_Run)


def encode_outcome(outcome: Outcome) -> bytes:
    """Return a run as a recording: what bpftrace wrote, and all that is needed to decode it."""
    facts = asdict(outcome.plan.facts)
    facts["bpftrace_features"] = sorted(facts["bpftrace_features"])
    facts["enums"] = {
        member: {str(value): name for value, name in names.items()}
        for member, names in facts["enums"].items()
    }
    if facts["cgroups"] is not None:
        labels = facts["cgroups"]["labels"]
        facts["cgroups"]["labels"] = {str(number): name for number, name in labels.items()}
    return write_recording(
        outcome.recording,
        recipe=outcome.plan.loaded.recipe.id,
        program_sha256=outcome.plan.program.sha256,
        facts=facts,
        ended_by=outcome.ended_by,
        room=outcome.room,
        problems=outcome.problems,
        overhead=outcome.overhead,
        busy_seconds=outcome.busy_seconds,
        companions=outcome.companions,
        **_workload_of(outcome),
        holders={
            str(inode): [
                {
                    "pid": holder.pid,
                    "name": base64.b64encode(holder.name).decode(),
                    "cgroups": os.fsdecode(holder.cgroups),
                    "group": holder.group,
                }
                for holder in holders
            ]
            for inode, holders in outcome.holders.items()
        },
    )


def _workload_of(outcome: Outcome) -> dict[str, Any]:
    workload = outcome.workload
    if workload is None:
        return {}
    argv = [encode_text(os.fsencode(word)) for word in workload.argv]
    made: _Workload = {
        "argv": argv,
        "exit_code": workload.exit_code,
        "is_ended_by_us": workload.is_ended_by_us,
        "work_problem": workload.work_problem,
    }
    if workload.work is not None:
        made["work"] = {"count": workload.work.count, "unit": workload.work.unit}
    return {"workload": made}


def _ended(workload: _Workload | None) -> EndedWorkload | None:
    if workload is None:
        return None
    argv = [
        word if isinstance(word, str) else os.fsdecode(base64.b64decode(word["base64"]))
        for word in workload["argv"]
    ]
    work = workload.get("work")
    return EndedWorkload(
        argv,
        workload["exit_code"],
        workload.get("is_ended_by_us", False),
        Work(work["count"], work["unit"]) if work is not None else None,
        workload.get("work_problem"),
    )


def replay(loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], path: Path) -> Outcome:
    """Return the outcome of a recorded run of the same program.

    :raises NotUnderstood: The file is not a recording.
    :raises ValueRefused: It was made with another recipe, other parameters or another template.
    """
    recording, document = read_recording(path)
    try:
        run = _RUN.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{path} is not a whole recording: {where}: {first['msg']}") from error
    if run["recipe"] != loaded.recipe.id:
        raise ValueRefused(f"{path} is a recording of {run['recipe']!r}, not of {loaded.recipe.id!r}")
    unknown = {each["code"] for each in run["problems"]} - RULES.keys()
    if unknown:
        raise NotUnderstood(
            f"{path} has problems that this release does not know: {', '.join(sorted(unknown))}"
        )
    facts = run["facts"]
    unasked = {guard.probe for guard in loaded.recipe.guards() if guard.probe} - facts.probes.keys()
    version = _RELEASE.fullmatch(facts.bpftrace)
    if recording.attached is None or recording.ended is None or version is None or unasked:
        raise NotUnderstood(f"{path} is not a whole recording: moments, release or probes are missing")
    try:
        program = render_program(loaded, values, facts)
    except HostRefused:
        # It was not asked for these cgroups, or not on such a host.
        program = None
    if program is None or program.sha256 != run["program_sha256"]:
        raise ValueRefused(
            f"{path} was recorded with another program than these filters and parameters give",
            hint="give the filters and parameters that it was recorded with",
        )
    bpftrace = Bpftrace(Path("bpftrace"), (int(version[1]), int(version[2]), int(version[3])))
    return Outcome(
        Plan(loaded, values, facts, bpftrace, program),
        recording,
        run["ended_by"],
        run["room"],
        problems=tuple(run["problems"]),
        overhead=run["overhead"],
        busy_seconds=run["busy_seconds"],
        holders={
            inode: tuple(
                Holder(
                    one["pid"],
                    base64.b64decode(one["name"]),
                    os.fsencode(one.get("cgroups", "")),
                    one.get("group"),
                )
                for one in holders
            )
            for inode, holders in run["holders"].items()
        },
        companions=tuple(run.get("companions", ())),
        workload=_ended(run.get("workload")),
        is_recorded=True,
    )

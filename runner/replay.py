"""Recordings of runs: written beside a run, and decoded again by the same command, anywhere."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.bpftrace.recording import read_recording, write_recording
from runner.bpftrace.version import Bpftrace
from runner.errors import NotUnderstood, ValueRefused
from runner.host.facts import HostFacts
from runner.host.sockets import Holder
from runner.outcome import Outcome
from runner.plan import Plan
from runner.recipe.render import render_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.recipe.load import LoadedRecipe
    from runner.recipe.parameters import Value


def encode_outcome(outcome: Outcome) -> bytes:
    """Return a run as a recording: what bpftrace wrote, and all that is needed to decode it."""
    facts = asdict(outcome.plan.facts)
    facts["bpftrace_features"] = sorted(facts["bpftrace_features"])
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
        holders={
            str(inode): [
                {"pid": holder.pid, "name": base64.b64encode(holder.name).decode()} for holder in holders
            ]
            for inode, holders in outcome.holders.items()
        },
    )


def replay(loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], path: Path) -> Outcome:
    """Return the outcome of a recorded run of the same program.

    :raises NotUnderstood: The file is not a recording.
    :raises ValueRefused: It was made with another recipe, other parameters or another template.
    """
    recording, context = read_recording(path)
    if context.get("recipe") != loaded.recipe.id:
        raise ValueRefused(f"{path} is a recording of {context.get('recipe')!r}, not of {loaded.recipe.id!r}")
    try:
        facts = _facts(context["facts"])
        room, ended_by, digest = context["room"], context["ended_by"], context["program_sha256"]
        holders = _holders(context["holders"])
        problems, overhead = tuple(context["problems"]), context["overhead"]
        busy_seconds = context["busy_seconds"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"{path} is not a whole recording: {error}") from error
    program = render_program(loaded, values, facts)
    if program.sha256 != digest:
        raise ValueRefused(
            f"{path} was recorded with another program than these filters and parameters give",
            hint="give the filters and parameters that it was recorded with",
        )
    version = tuple(int(part) for part in facts.bpftrace.split("."))
    bpftrace = Bpftrace(Path("bpftrace"), (version[0], version[1], version[2]))
    plan = Plan(loaded, values, facts, bpftrace, program)
    return Outcome(
        plan,
        recording,
        ended_by,
        room,
        problems=problems,
        overhead=overhead,
        busy_seconds=busy_seconds,
        holders=holders,
        is_recorded=True,
    )


def _holders(document: dict[str, list[dict[str, Any]]]) -> dict[int, tuple[Holder, ...]]:
    return {
        int(inode): tuple(Holder(int(one["pid"]), base64.b64decode(one["name"])) for one in holders)
        for inode, holders in document.items()
    }


def _facts(document: dict[str, Any]) -> HostFacts:
    probes = {
        probe: tuple(fields) if fields is not None else None for probe, fields in document["probes"].items()
    }
    features = frozenset(document["bpftrace_features"])
    return HostFacts(**{**document, "probes": probes, "bpftrace_features": features})

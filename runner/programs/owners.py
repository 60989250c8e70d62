"""Which processes are a bpftrace that a run of ours started, and which run that is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runner.bpftrace.provenance import starter_of
from runner.capture.encode import encode_text
from runner.host.processes import command_line_of, descent_of, name_of

if TYPE_CHECKING:
    from pathlib import Path

    from runner.bpftrace.provenance import Starter
    from runner.host.processes import Descent
    from runner.programs.document import Run

_MOST_ANCESTORS = 16


def run_of(pid: int, proc: Path) -> Run | None:
    """Return the run that a process is the bpftrace of; None where it is no bpftrace of ours.

    Its standard input is a file that names the process that started it, and that process is its parent, or
    there is sudo alone between the two: what a bpftrace of ours starts itself has the same standard input and
    is not ours. Where the one that started it is gone, the process that took its children over has another.
    """
    starter = _starter(pid, proc)
    if starter is None:
        return None
    parent = pid
    for _ in range(_MOST_ANCESTORS):
        descent = descent_of(parent, proc)
        if descent is None:
            return None
        parent = descent.parent
        above = descent_of(parent, proc) if parent else None
        if above is None:
            break  # of another process namespace, or gone
        if _is(above, starter):
            command: list[bytes] = command_line_of(parent, proc)
            return {"bpftrace": pid, "runner": parent, "command": [encode_text(word) for word in command]}
        if _starter(parent, proc) != starter:
            break
        if name_of(parent, proc) != "sudo":
            return None
    if _lives(starter, proc):
        return None
    return {"bpftrace": pid, "runner": None, "command": None}


def _starter(pid: int, proc: Path) -> Starter | None:
    try:
        return starter_of(os.readlink(proc / str(pid) / "fd/0"))  # noqa: PTH115
    except OSError:
        return None


def _is(descent: Descent, starter: Starter) -> bool:
    return (descent.inner_pid, descent.start_ticks) == (starter.pid, starter.start_ticks)


def _lives(starter: Starter, proc: Path) -> bool:
    descent = descent_of(starter.pid, proc)
    return descent is not None and _is(descent, starter)

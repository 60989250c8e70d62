"""Whose a bpftrace is: the file that it reads its program from names the process of ours that started it.

A name of a file stays with the process that has it open, through sudo too, which clears the environment; no
bpftrace that somebody else starts has one of this form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_LINK = re.compile(r"/memfd:ebpf-recipe:([0-9]{1,10}):([0-9]{1,20}) \(deleted\)")


@dataclass(frozen=True, slots=True)
class Starter:
    """The process that started a bpftrace.

    :param pid: As it saw itself, in its own process namespace.
    :param start_ticks: When it started, in clock ticks since boot: process ids are used again.
    """

    pid: int
    start_ticks: int


def source_name() -> str:
    """Return the name of the file that a bpftrace of this process reads its program from."""
    # The name, in brackets, may hold anything: the numbers stand behind the last bracket.
    stat = Path("/proc/self/stat").read_text(errors="replace")
    return f"ebpf-recipe:{stat.split(maxsplit=1)[0]}:{stat.rpartition(')')[2].split()[19]}"


def starter_of(link: str) -> Starter | None:
    """Return who started the bpftrace whose standard input this is.

    :param link: What /proc/PID/fd/0 leads to.
    """
    match = _LINK.fullmatch(link)
    return Starter(int(match[1]), int(match[2])) if match else None

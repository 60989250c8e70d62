"""What the host's processors could not do: time that a hypervisor took, time idle beside waiting I/O."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Columns of the line `cpu` of /proc/stat (proc_stat(5)), in ticks of USER_HZ.
_COLUMNS = (("cpu_iowait", 5), ("cpu_steal", 8))


def processor_facts(proc: Path) -> Iterator[Fact]:
    """Read the times of all processors together, in ms since the host started."""
    path = proc / "stat"
    words = next((line.split() for line in read_lines(path) if line.startswith("cpu ")), [])
    for name, column in _COLUMNS:
        ticks = whole_number(words[column]) if len(words) > column else None
        if ticks is not None:
            yield Fact(name, str(path), "ms", ticks * 1000 // os.sysconf("SC_CLK_TCK"))

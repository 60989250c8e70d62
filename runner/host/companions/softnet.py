"""What the kernel's receive queues dropped or left for later, before any protocol saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.capture.declaration import Unit

# softnet_seq_show of net/core/net-procfs.c. Older kernels have fewer columns, in this order.
_COLUMNS: tuple[tuple[str, int, Unit], ...] = (
    ("softnet_processed", 0, "packets"),
    ("softnet_dropped", 1, "packets"),
    ("softnet_time_squeeze", 2, "events"),
    ("softnet_received_rps", 9, "events"),
    ("softnet_flow_limit", 10, "packets"),
)
_DROPPED = 1
_CPU = 12


def softnet_facts(proc: Path) -> Iterator[Fact]:
    """Read the sums over the processors that are online, and what each processor dropped.

    Each processor counts in 32 bits, so a sum may become smaller when one of them starts again at 0.
    """
    path = proc / "net/softnet_stat"
    rows = [[whole_number(word, 16) for word in line.split()] for line in read_lines(path)]
    for name, column, unit in _COLUMNS:
        numbers = [row[column] for row in rows if len(row) > column]
        known = [number for number in numbers if number is not None]
        if known and len(known) == len(rows):
            yield Fact(name, str(path), unit, sum(known))
    for place, row in enumerate(rows):
        cpu = row[_CPU] if len(row) > _CPU else place
        dropped = row[_DROPPED] if len(row) > _DROPPED else None
        if cpu is not None and dropped is not None:
            yield Fact("softnet_dropped", str(path), "packets", dropped, cpu=cpu)

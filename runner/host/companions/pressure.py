"""How long tasks of the host stalled for want of CPU, memory and I/O (PSI)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The `full` of cpu is not defined for the whole host, and always 0 (Documentation/accounting/psi.rst).
_STALLS = (("cpu", ("some",)), ("memory", ("some", "full")), ("io", ("some", "full")))


def pressure_facts(proc: Path) -> Iterator[Fact]:
    """Read the totals, in us since the host started; none where the kernel has PSI switched off."""
    for resource, kinds in _STALLS:
        path = proc / "pressure" / resource
        totals = _totals(read_lines(path))
        for kind in kinds:
            number = whole_number(totals.get(kind, ""))
            if number is not None:
                yield Fact(f"{resource}_pressure_{kind}", str(path), "us", number)


def _totals(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        kind, _, rest = line.partition(" ")
        for word in rest.split():
            if word.startswith("total="):
                found[kind] = word.removeprefix("total=")
    return found

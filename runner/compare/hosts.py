"""Which runs were recorded on the same host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.compare.runs import RecordedRun


def host_of(run: RecordedRun) -> str | None:
    """Return what a host is told apart by while it is up; None where nothing is known of it.

    Its boot id: names of containers differ on one host, and are the same on many.
    """
    host = run.first["host"]
    return host["boot_id"] or host["hostname"]


def host_names(runs: Iterable[RecordedRun]) -> list[str]:
    """Return the hosts of runs: one of them is what shares a boot id or a name with another run of it."""
    groups: list[tuple[set[str], set[str]]] = []
    for run in runs:
        host = run.first["host"]
        boots = {host["boot_id"]} if host["boot_id"] else set()
        names = {host["hostname"]} if host["hostname"] else set()
        if not boots and not names:
            names = {"a host that is not known"}
        for group in [each for each in groups if each[0] & boots or each[1] & names]:
            groups.remove(group)
            boots |= group[0]
            names |= group[1]
        groups.append((boots, names))
    return sorted(min(names or boots) for boots, names in groups)

"""Companions of a run: what the host itself counted beside it, read at its beginning and its end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from runner.capture.encode import encode_text
from runner.host import processes
from runner.host.companions.conntrack import conntrack_facts
from runner.host.companions.firewall import firewall_facts
from runner.host.companions.namespaces import network_namespaces
from runner.host.companions.pressure import pressure_facts
from runner.host.companions.processors import processor_facts
from runner.host.companions.protocols import protocol_facts
from runner.host.companions.softnet import softnet_facts
from runner.host.companions.throttling import cpu_groups
from runner.host.sockets import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.capture.document import Companion
    from runner.host.companions.fact import Fact
    from runner.host.companions.namespaces import NetworkNamespace
    from runner.host.companions.throttling import CpuGroup

PROC = Path("/proc")


class CompanionWatch:
    """Reads the companions of one run. What cannot be read is left out, and never fails the run."""

    def __init__(self, is_meant: Callable[[Holder], bool] | None, proc: Path = PROC) -> None:
        """Read nothing yet.

        :param is_meant: Whether a process is among those that the run was asked for; None where it was
            asked for no process: then nothing is read of control groups, and the counters of the
            network are those of the runner's namespace.
        """
        self._is_meant = is_meant
        self._proc = proc
        self._groups: list[CpuGroup] = []
        self._namespaces: list[NetworkNamespace] = []
        self._before: list[Fact] = []
        self._after: list[Fact] = []
        self._rules: list[Fact] = []
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Find what is to be read, while the probes attach: the processes are those that there are now.

        Firewall rules take too long to be counted in the window, and change seldom: they are counted
        beside it, once.
        """
        pids = self._meant_pids()
        self._groups = cpu_groups(pids, self._proc)
        self._namespaces = network_namespaces(pids, self._proc)
        self._thread = threading.Thread(target=self._count_rules, name="firewall", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Read, when the probes are attached and before the workload starts."""
        self._before = list(self._facts())

    def end(self) -> None:
        """Read again, at the end of the window."""
        self._after = list(self._facts())

    def companions(self) -> list[Companion]:
        """Return what was read: each fact that was read at least once."""
        if self._thread is not None:
            self._thread.join()
        before = {fact.identity: fact for fact in (*self._before, *self._rules)}
        after = {fact.identity: fact for fact in self._after}
        found = []
        for identity, fact in (before | after).items():
            first, last = before.get(identity), after.get(identity)
            companion: Companion = {
                "name": fact.name,
                "source": fact.source,
                "unit": fact.unit,
                "before": first.value if first else None,
                "after": last.value if last else None,
            }
            if fact.cgroup is not None:
                companion["cgroup"] = encode_text(fact.cgroup)
            if fact.pid is not None:
                companion["pid"] = fact.pid
            if fact.cpu is not None:
                # There may be hundreds of processors: those where something happened.
                if companion["before"] == companion["after"]:
                    continue
                companion["cpu"] = fact.cpu
            found.append(companion)
        return found

    def _meant_pids(self) -> list[int]:
        if self._is_meant is None:
            return []
        return [
            pid
            for pid, name in processes.all_processes(self._proc)
            if self._is_meant(Holder(pid, name, processes.cgroups_of(pid, self._proc)))
        ]

    def _facts(self) -> Iterator[Fact]:
        # What tasks cause by being scheduled first: the reading below costs a little of it itself.
        yield from pressure_facts(self._proc)
        yield from processor_facts(self._proc)
        for group in self._groups:
            yield from group.facts()
        yield from softnet_facts(self._proc)
        for namespace in self._namespaces:
            net = namespace.folder(self._proc)
            if net is not None:
                yield from protocol_facts(net, namespace.pid)
                yield from conntrack_facts(self._proc, net, namespace.pid)

    def _count_rules(self) -> None:
        self._rules = list(firewall_facts(self._proc))

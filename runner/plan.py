"""What a run will do on this host: facts, program, and whether it may."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.host import btf, kernel, probes, processes
from runner.host.block_devices import block_devices
from runner.host.facts import HostFacts
from runner.host.probe_patterns import count_matches
from runner.overhead import others_cpu_ratio
from runner.recipe.parameters import TaskName
from runner.recipe.probe_heads import check_wildcards
from runner.recipe.render import render_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.bpftrace.version import Bpftrace
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value
    from runner.recipe.render import Program


_MOST_BUSY = 0.02
"""The share of samples that may be lost, before they are taken."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do on this host."""

    loaded: LoadedRecipe
    values: Mapping[str, tuple[Value, ...]]
    facts: HostFacts
    bpftrace: Bpftrace
    program: Program


def host_facts(recipe: Recipe | None, bpftrace: Bpftrace) -> HostFacts:
    """Read what a recipe asks of this host; without one, what every host is.

    :raises HostRefused: tracefs is not mounted.
    """
    tracefs = probes.tracefs_root()
    if tracefs is None and kernel.is_root():
        raise HostRefused(
            "tracefs is not mounted, so no probe can be found",
            hint="mount -t tracefs tracefs /sys/kernel/tracing",
        )
    guards = recipe.guards() if recipe is not None else ()
    enums = recipe.enums() if recipe is not None else ()
    asked = {guard.probe for guard in guards if guard.probe is not None}
    system = os.uname()
    return HostFacts(
        hostname=socket.gethostname(),
        kernel=system.release,
        arch=system.machine,
        cpus=kernel.cpus_online(),
        boot_id=kernel.boot_id(),
        byteorder=sys.byteorder,
        btf=kernel.has_btf(),
        probes={probe: probes.probe_fields(probe, tracefs) for probe in asked},
        bpftrace=str(bpftrace),
        bpftrace_features=bpftrace.features,
        enums={enum.member: btf.enum_names(enum.member) for enum in enums},
        devices=block_devices() if recipe is not None and recipe.asks_for_devices() else (),
    )


def plan_run(loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], bpftrace: Bpftrace) -> Plan:
    """Decide what would run here, without running it.

    :param values: Parsed values of parameters and target filters, by name.
    :raises HostRefused: This host cannot run the recipe.
    :raises ValueRefused: Its template has mistakes, or a wildcard that matches much here.
    """
    facts = host_facts(loaded.recipe, bpftrace)
    program = render_program(loaded, values, facts)
    check_wildcards(program.text, count_matches, loaded.recipe.id)
    return Plan(loaded, values, facts, bpftrace, program)


def check_privilege() -> None:
    """Refuse a run that bpftrace would refuse.

    :raises HostRefused: Not root.
    """
    if not kernel.is_root():
        raise HostRefused("tracing needs root", hint="run it as root, or with --sudo")


def check_processes(pids: Iterable[Value]) -> None:
    """Refuse process ids that are none: a typing error would read as an empty result.

    :raises ValueRefused: No such process, or the id is a thread's.
    :raises HostRefused: We are in a pid namespace, whose ids the kernel's programs do not see.
    """
    for value in pids:
        if processes.own_pid_in_kernel() is None:
            raise HostRefused(
                "--pid names a process of this pid namespace, and the kernel counts by ids of its own",
                hint="use --comm, or the host's pid namespace (nsenter --target 1 --pid, hostPID: true)",
            )
        pid = value.json()
        assert isinstance(pid, int)
        group = processes.thread_group_of(pid)
        if group is None:
            raise ValueRefused(f"--pid {pid}: there is no such process")
        if group != pid:
            raise ValueRefused(
                f"--pid {pid}: that is a thread of process {group} ({processes.name_of(group)})",
                hint=f"--pid takes the process: --pid {group}",
            )


def check_quiet(recipe: Recipe) -> None:
    """Refuse to take samples by the clock while other BPF programs are busy: they would be dropped.

    :raises HostRefused: They take more than a fiftieth of the host's processors.
    """
    if recipe.sampling is None:
        return
    try:
        share = others_cpu_ratio() / kernel.cpus_online()
    except OSError:
        return  # not ours to measure; the number of samples will tell
    if share > _MOST_BUSY:
        raise HostRefused(
            f"{recipe.id} takes samples, and about {share:.0%} of them would be dropped: other BPF programs "
            f"are busy that much of the time",
            hint="wait for the other run to end (bpftool prog show names the programs)",
        )


def absent_names(names: Iterable[Value]) -> list[str]:
    """Return the names that no process has now: started later it will count, mistyped it never will."""
    present = processes.all_names()
    return [
        str(value.json())
        for value in names
        if isinstance(value, TaskName) and not any(value.fits(name) for name in present)
    ]

"""What a run will do on this host: facts, program, and whether it may."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.bpftrace.names import Names
from runner.errors import HostRefused, ValueRefused
from runner.host import btf, kernel, probes, processes
from runner.host.block_devices import block_devices
from runner.host.facts import HostFacts
from runner.host.probe_patterns import count_matches
from runner.recipe.cgroups import cgroups_asked_for
from runner.recipe.function import Function
from runner.recipe.parameters import Number, TaskName
from runner.recipe.probe_heads import check_wildcards
from runner.recipe.render import render_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.bpftrace.version import Bpftrace
    from runner.host.facts import CgroupFacts, CgroupPlace, FunctionPlace
    from runner.recipe.cgroups import CgroupName
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value
    from runner.recipe.render import Program


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do on this host."""

    loaded: LoadedRecipe
    values: Mapping[str, tuple[Value, ...]]
    facts: HostFacts
    bpftrace: Bpftrace
    program: Program

    @property
    def names(self) -> Names:
        """Return what the numbers in keys are called, by the host and by the command line."""
        facts = self.facts
        functions = tuple(value.text for value in _functions(self.values))
        labels = facts.cgroups.labels if facts.cgroups is not None else {}
        return Names(facts.byteorder, facts.enums, facts.arch, facts.device_names(), functions, labels)

    @property
    def is_unsafe(self) -> bool:
        """Whether bpftrace has to be told to attach where it finds no symbol; we looked ourselves."""
        return any(place.is_unsafe for _, place in self.places)

    @property
    def watches_returns(self) -> bool:
        """Whether the functions asked for are probed where they return, too."""
        return any(parameter.returns for parameter in self.loaded.recipe.parameters)

    @property
    def places(self) -> list[tuple[Function, FunctionPlace]]:
        """Return the functions of files that were asked for, and where each is."""
        known = self.facts.functions
        return [(value, place) for value in _functions(self.values) for place in known.get(value.text, ())]

    @property
    def cgroups(self) -> list[tuple[CgroupName, CgroupPlace]]:
        """Return the cgroups that were asked for, and which each is."""
        known = self.facts.cgroups.places if self.facts.cgroups is not None else {}
        asked = cgroups_asked_for(self.values)
        return [(each, place) for each in asked for place in known.get(each.asked, ())]

    @property
    def is_exact(self) -> bool:
        """Whether of cgroups they alone are meant, without what is below them."""
        return self.facts.cgroups is not None and self.facts.cgroups.is_exact


def _functions(values: Mapping[str, tuple[Value, ...]]) -> list[Function]:
    return [value for each in values.values() for value in each if isinstance(value, Function)]


def probes_asked_for(values: Mapping[str, tuple[Value, ...]]) -> set[str]:
    """Return the kernel functions and tracepoints that were asked for, as probes."""
    return {function.probe for function in _functions(values) if function.probe is not None}


def host_facts(
    recipe: Recipe | None,
    bpftrace: Bpftrace,
    values: Mapping[str, tuple[Value, ...]] | None = None,
    *,
    is_exact: bool = False,
) -> HostFacts:
    """Read what a recipe asks of this host; without one, what every host is.

    :param values: What was given for it: functions and cgroups are looked for.
    :param is_exact: Of cgroups they alone are meant, without what is below them.
    :raises HostRefused: tracefs is not mounted.
    :raises ValueRefused: A function or a cgroup is not where it is said to be.
    """
    tracefs = probes.tracefs_root()
    if tracefs is None and kernel.is_root():
        raise HostRefused(
            "tracefs is not mounted, so no probe can be found",
            hint="mount -t tracefs tracefs /sys/kernel/tracing",
        )
    guards = recipe.guards() if recipe is not None else ()
    enums = recipe.enums() if recipe is not None else ()
    asked = {guard.probe for guard in guards if guard.probe is not None} | probes_asked_for(values or {})
    groups = _groups(
        values or {}, is_key=recipe is not None and recipe.split_by is not None, is_exact=is_exact
    )
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
        functions=_places(recipe, values or {}, groups),
        cgroups=groups,
    )


def _groups(values: Mapping[str, tuple[Value, ...]], *, is_key: bool, is_exact: bool) -> CgroupFacts | None:
    if not is_key and not cgroups_asked_for(values):
        return None
    # Who names none waits for no reader of containers and pods.
    from runner.cgroup_facts import cgroup_facts  # noqa: PLC0415

    return cgroup_facts(values, is_key=is_key, is_exact=is_exact)


def _places(
    recipe: Recipe | None, values: Mapping[str, tuple[Value, ...]], groups: CgroupFacts | None
) -> dict[str, tuple[FunctionPlace, ...]]:
    own = [function for function in _functions(values) if function.kind == "uprobe"]
    if recipe is None or not own:
        return {}
    # The reader of ELF files takes as long to load as all else: nobody else pays for it.
    from runner.cgroup_facts import different_files  # noqa: PLC0415
    from runner.host.functions import Asked, find_function  # noqa: PLC0415

    returns = any(parameter.returns for parameter in recipe.parameters)
    pids = [value.number for value in values.get("pid", ()) if isinstance(value, Number)]
    inside = [] if pids or groups is None else different_files(groups)
    asked = [Asked(each.text, each.path, each.symbol, each.address, returns) for each in own]
    found = {each.text: find_function(each, pids or _that_have(each.path, inside)) for each in asked}
    for text, places in found.items():
        if inside and len(places) > 1:
            raise ValueRefused(
                f"--function {text}: the containers have {len(places)} different files of this path",
                hint="name one container (--container), or processes (--pid)",
            )
    return found


def _that_have(path: str, pids: list[int]) -> list[int]:
    """Return the processes that have a file: not every container of a pod does. All where none has it."""
    found = [pid for pid in pids if not path.startswith("/") or os.path.exists(f"/proc/{pid}/root{path}")]  # noqa: PTH110
    return found or pids


def plan_run(
    loaded: LoadedRecipe,
    values: Mapping[str, tuple[Value, ...]],
    bpftrace: Bpftrace,
    *,
    is_exact: bool = False,
) -> Plan:
    """Decide what would run here, without running it.

    :param values: Parsed values of parameters and target filters, by name.
    :param is_exact: Of cgroups they alone are meant, without what is below them.
    :raises HostRefused: This host cannot run the recipe.
    :raises ValueRefused: Its template has mistakes, a wildcard matches much here, a function is not there.
    """
    facts = host_facts(loaded.recipe, bpftrace, values, is_exact=is_exact)
    program = render_program(loaded, values, facts)
    check_wildcards(program.text, count_matches, loaded.recipe.id)
    return Plan(loaded, values, facts, bpftrace, program)


def check_privilege(hint: str = "run it as root, or with --sudo") -> None:
    """Refuse a run that bpftrace would refuse.

    :param hint: What to do, where --sudo is not offered.
    :raises HostRefused: Not root.
    """
    if not kernel.is_root():
        raise HostRefused("tracing needs root", hint=hint)


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


def check_harmless(plan: Plan) -> None:
    """Refuse a run that may end what it measures.

    :raises ValueRefused: It watches returns in a file whose functions exceptions may pass: the kernel puts an
        address of its own in place of the caller's, and unwinding ends there.
    """
    if not plan.watches_returns:
        return
    for function, place in plan.places:
        if place.can_throw:
            raise ValueRefused(
                f"--function {function.text}: the file may have C++ exceptions or Rust panics, and one that "
                f"passes a function whose return is watched ends the program (std::terminate)",
                hint="function-calls watches no returns; --force measures it all the same",
            )


def absent_names(names: Iterable[Value]) -> list[str]:
    """Return the names that no process has now: started later it will count, mistyped it never will."""
    present = processes.all_names()
    return [
        str(value.json())
        for value in names
        if isinstance(value, TaskName) and not any(value.fits(name) for name in present)
    ]

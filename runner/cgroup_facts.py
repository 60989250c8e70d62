"""The cgroups that a run is asked for, or that are keys: what its program has to know of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.cgroups import V2, ancestors_offset, subsystem_of
from runner.host.containers import role_of
from runner.host.facts import CgroupFacts
from runner.host.target_cgroups import Host, find_cgroup, find_container, find_pod
from runner.recipe.cgroups import cgroups_asked_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runner.host.cgroups import Hierarchy
    from runner.host.facts import CgroupPlace
    from runner.recipe.parameters import Value

_FOUND_BY: Mapping[str, Callable[[str, Host], tuple[CgroupPlace, ...]]] = {
    "cgroup": find_cgroup,
    "container": find_container,
    "pod": find_pod,
}


def cgroup_facts(
    values: Mapping[str, tuple[Value, ...]], *, is_key: bool, is_exact: bool = False
) -> CgroupFacts | None:
    """Return what programs have to know of cgroups; None where they were not asked for.

    :param is_key: The cgroup of a task is a key.
    :raises ValueRefused: One that was asked for is not there, or there are several of its name.
    :raises HostRefused: The host has no cgroups, or does not say how they hang together.
    """
    asked = cgroups_asked_for(values)
    if not asked and not is_key:
        return None
    host = Host.here()
    places = {each.asked: _FOUND_BY[each.option](each.text, host) for each in asked}
    first = next((place for found in places.values() for place in found), None)
    by = first.hierarchy if first is not None else _of_containers(host)
    return CgroupFacts(
        ancestors=ancestors_offset(),
        places=places,
        is_exact=is_exact,
        by=by,
        subsystem=subsystem_of(by),
    )


def _of_containers(host: Host) -> str:
    """Return the hierarchy that has most of the containers.

    Engines use those of version 1 where controllers are mounted there, and version 2 else; where there are no
    containers it is the one that they would use.
    """
    seen = [hierarchy for hierarchy in host.mounted if hierarchy.is_seen_by_programs]
    first = [each for each in seen if each.name != V2] + [each for each in seen if each.name == V2]
    counts = {each.name: _count_containers(each) for each in first}
    if any(counts.values()):
        return max(counts, key=lambda name: counts[name])
    usual = next((each.name for each in first if "memory" in each.controllers), None)
    return usual or (V2 if V2 in counts else first[0].name)


def _count_containers(hierarchy: Hierarchy) -> int:
    return sum(role_of(place.path).depth == place.level > 0 for place in hierarchy.cgroups())


def different_files(groups: CgroupFacts) -> list[int]:
    """Return a process of each mount namespace that the processes in the cgroups have now."""
    mounted = {hierarchy.name: hierarchy for hierarchy in Host.here().mounted}
    found: dict[int, int] = {}
    for place in (each for places in groups.places.values() for each in places):
        for pid in mounted[place.hierarchy].processes(place.path):
            try:
                found.setdefault(Path(f"/proc/{pid}/ns/mnt").stat().st_ino, pid)
            except OSError:
                continue  # it ended meanwhile
    return list(found.values())


def target_folders(places: Iterable[CgroupPlace]) -> tuple[tuple[Path, int], ...]:
    """Return the directory of each cgroup, with its inode number."""
    places = list(places)
    if not places:
        return ()
    mounted = {hierarchy.name: hierarchy for hierarchy in Host.here().mounted}
    pairs = ((mounted[place.hierarchy].directory(place.path), place.id) for place in places)
    return tuple((folder, identity) for folder, identity in pairs if folder is not None)

"""Hosts that are nowhere: every one that a recipe's guards can tell apart, to render its programs for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from runner.host.facts import BlockDevice, CgroupFacts, CgroupPlace, HostFacts
from runner.recipe.cgroups import CGROUP_OPTIONS
from runner.recipe.examples import EXAMPLES
from runner.recipe.render import holds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.recipe.model import Guard, Recipe

MOST_GUARDS = 8
"""Guards of which every combination is tried; of more, each is tried alone there and alone missing, on hosts
where each of the variants is the first that can run."""

DEVICES = (
    BlockDevice("sda", 8 << 20),
    BlockDevice("sda1", 8 << 20 | 1, disk="sda", first_sector=2048, sectors=1 << 21),
)
"""The disk of such a host."""

CGROUPS = CgroupFacts(
    ancestors=2224,
    places={
        f"{option} {EXAMPLES[option]}": (
            CgroupPlace("v2", None, "/kubepods/pod1", 2, 101),
            CgroupPlace("memory", 4, "/kubepods/pod1", 2, 44),
        )
        for option in CGROUP_OPTIONS
    },
)
"""The cgroups of such a host: those of the examples."""


def distinguishable_hosts(recipe: Recipe) -> Iterator[HostFacts]:
    """Return the hosts that have what the recipe requires and can run one of its variants."""
    optional = list(
        dict.fromkeys([*recipe.features.values(), *(g for variant in recipe.variants for g in variant.when)])
    )
    for choice in _choices(recipe, optional):
        facts = _host(recipe, optional, choice)
        if facts is not None and any(
            all(holds(guard, facts) for guard in variant.when) for variant in recipe.variants
        ):
            yield facts


def are_all_tried(recipe: Recipe) -> bool:
    """Whether every host that the guards can tell apart is among them."""
    guards = {*recipe.features.values(), *(g for variant in recipe.variants for g in variant.when)}
    return len(guards) <= MOST_GUARDS


def _choices(recipe: Recipe, optional: Sequence[Guard]) -> Iterator[tuple[bool, ...]]:
    """Return answers to all guards."""
    count = len(optional)
    if count <= MOST_GUARDS:
        yield from itertools.product([False, True], repeat=count)
        return
    yield from dict.fromkeys(_alone(optional, {}))
    absent: set[Guard] = set()
    for variant in recipe.variants:
        settled = {**dict.fromkeys(absent, False), **dict.fromkeys(variant.when, True)}
        yield from dict.fromkeys(_alone(optional, settled))
        absent |= set(variant.when)


def _alone(optional: Sequence[Guard], settled: Mapping[Guard, bool]) -> Iterator[tuple[bool, ...]]:
    """Return answers where all guards that are not settled are alike, or all but one."""
    for rest in (False, True):
        for different in (None, *(guard for guard in optional if guard not in settled)):
            yield tuple(settled.get(guard, rest != (guard is different)) for guard in optional)


def _host(recipe: Recipe, optional: Sequence[Guard], choice: Sequence[bool]) -> HostFacts | None:
    """Return a host for answers to all guards; None where they contradict each other."""
    features: set[str] = set()
    fields: dict[str, list[str]] = {probe: [] for probe in recipe.requires.probes}
    absent: set[str] = set()
    for guard, is_there in zip(optional, choice, strict=True):
        if guard.bpftrace is not None:
            features |= {guard.bpftrace} if is_there else set()
            continue
        assert guard.probe is not None
        names = fields.setdefault(guard.probe, [])
        if guard.field is not None:
            names += [guard.field] if is_there else []
        elif not is_there:
            absent.add(guard.probe)
    if any(fields[probe] or probe in recipe.requires.probes for probe in absent):
        return None
    return HostFacts(
        hostname="nowhere",
        kernel="6.1",
        arch="x86_64",
        cpus=2,
        boot_id="none",
        byteorder="little",
        btf=True,
        probes={probe: None if probe in absent else tuple(names) for probe, names in fields.items()},
        bpftrace="0.17.0",
        bpftrace_features=frozenset(features),
        devices=DEVICES,
        cgroups=CGROUPS,
    )

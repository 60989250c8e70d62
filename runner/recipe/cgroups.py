"""Target filters that name cgroups (a path, a container, a pod), and what templates see of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from runner.errors import HostRefused, NotUnderstood, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.words import ByteOrder
    from runner.host.facts import CgroupFacts, CgroupPlace
    from runner.recipe.parameters import Value

CGROUP_OPTIONS = ("cgroup", "container", "pod")
"""The filters that a recipe honours as one: `cgroup`."""

BY = CGROUP_OPTIONS
"""What of a task's cgroup can be a key (`--by`)."""

MOST_LEVELS = 24
"""Levels, each in its hierarchy, that conditions may ask for: 512 bytes hold all variables of a program."""

_MOST_PATH = 4096
_MOST_OFFSET, _MOST_SUBSYSTEMS = 1 << 16, 64
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
# RFC 1123: names of namespaces are labels, those of pods subdomains (Kubernetes' validation of names).
_POD = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class CgroupName:
    """What a cgroup was called on the command line; which it is, only the host can say."""

    option: str
    text: str

    @property
    def asked(self) -> str:
        """Return what the facts of a host know it by."""
        return f"{self.option} {self.text}"

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Cgroups are compared by `Cgroups` alone."""
        raise TypeError("a cgroup is compared by task.is_wanted()")

    def json(self) -> str:
        """Return the words."""
        return self.text


def parse_cgroup(text: str) -> CgroupName:
    """Parse a cgroup's path: a directory, or as /proc/PID/cgroup has it, the whole line too."""
    if not text.strip("/ ") and text != "/":
        raise ValueError("not a path")
    if len(text) > _MOST_PATH or not text.isprintable():
        raise ValueError("not the path of a cgroup")
    if ".." in text.split("/"):
        raise ValueError("the path of a cgroup has no ..")
    return CgroupName("cgroup", text)


def parse_container(text: str) -> CgroupName:
    """Parse a container's id, its beginning, or its name; docker's and Kubernetes' forms of an id too."""
    # containerd://…, as `kubectl get pod -o jsonpath={…containerID}` prints it
    own = re.sub(r"^[a-z-]+://", "", text)
    if not _CONTAINER.fullmatch(own):
        raise ValueError("not the id or name of a container")
    return CgroupName("container", own)


def parse_pod(text: str) -> CgroupName:
    """Parse a pod's name, with its namespace or without."""
    if not _POD.fullmatch(text):
        raise ValueError("not the name of a pod")
    return CgroupName("pod", text)


def cgroups_asked_for(values: Mapping[str, tuple[Value, ...]]) -> list[CgroupName]:
    """Return every cgroup that was asked for."""
    given = (value for option in CGROUP_OPTIONS for value in values.get(option, ()))
    return [value for value in given if isinstance(value, CgroupName)]


class Cgroups:
    """What a template sees of the cgroups that were asked for, and of the task's own as a key.

    A task's cgroup of version 2 is `dfl_cgrp` of its css_set; of version 1 that of the controller whose
    hierarchy it is. `ancestors` (since Linux 6.1) has the cgroup itself at its level, and those above it.

    :ivar is_key: The task's own cgroup is a key.
    """

    def __init__(self, asked: Sequence[CgroupName], facts: CgroupFacts | None, *, is_key: bool) -> None:
        """Take what is known of them.

        :param is_key: The task's own cgroup is a key.
        :raises HostRefused: Which cgroup that is has to be asked on the host itself.
        """
        self._facts = facts
        self.is_key = is_key and facts is not None
        self._places: list[CgroupPlace] = []
        for each in asked:
            found = facts.places.get(each.asked) if facts is not None else None
            if not found:
                raise HostRefused(
                    f"--{each.option} {each.text}: which cgroup that is, the host itself has to say",
                    hint="run it there, or take the facts there with the same filter "
                    f"(ebpf-recipe render RECIPE --{each.option} {each.text} --facts)",
                )
            self._places += found
        if len(self._levels()) > MOST_LEVELS:
            raise ValueRefused(
                f"the cgroups are of {len(self._levels())} different levels and hierarchies: a program has "
                f"room for {MOST_LEVELS}",
                hint="name cgroups above them, or run it several times",
            )
        if facts is not None and not _is_sound(facts, self._places):
            raise NotUnderstood("the facts about the host hold a cgroup that there cannot be")

    def __bool__(self) -> bool:
        return bool(self._places) or self.is_key

    def __str__(self) -> str:
        raise TypeError("cgroups have no text; import include/cgroup.bt.j2")

    __repr__ = __str__
    __format__ = None  # type: ignore[assignment]

    @property
    def are_filtered(self) -> bool:
        """Whether some were asked for."""
        return bool(self._places)

    @property
    def reads(self) -> Markup:
        """Return the statements that read what the conditions and the key need of the running task."""
        lines = []
        subsystems = {each.subsystem for each in self._places} | self._key
        for subsystem in sorted(subsystems, key=_order):
            held = "dfl_cgrp" if subsystem is None else f"subsys[{subsystem:d}]->cgroup"
            lines.append(f"{_cgroup(subsystem)} = (uint64)curtask->cgroups->{held};")
        lines += [f"$cgroup = {_id(_cgroup(subsystem))};" for subsystem in self._key]
        for subsystem, level in self._levels():
            lines += self._read_ancestor(subsystem, level)
        # Built from integers alone.
        return Markup("\n  ".join(lines))  # noqa: S704

    def matches(self) -> Markup:
        """Return the condition that the running task is in one of the cgroups; `1` where none was named."""
        if not self._places:
            return Markup("1")
        each = (f"{self._ancestor(place)} == (uint64){place.id:d}" for place in self._places)
        return Markup("(" + " || ".join(dict.fromkeys(each)) + ")")  # noqa: S704

    @property
    def _key(self) -> set[int | None]:
        return {self._facts.subsystem} if self.is_key and self._facts is not None else set()

    def _levels(self) -> list[tuple[int | None, int]]:
        levels = {(each.subsystem, each.level) for each in self._places}
        return sorted(levels, key=lambda pair: (_order(pair[0]), pair[1]))

    def _read_ancestor(self, subsystem: int | None, level: int) -> list[str]:
        assert self._facts is not None
        own, name = _cgroup(subsystem), f"{_cgroup(subsystem)}_{level:d}"
        comparison = "==" if self._facts.is_exact else ">="
        return [
            f"{name} = (uint64)0;",
            f"if (((struct cgroup *)kptr({own}))->level {comparison} {level:d}) {{",
            f"  {name} = *(uint64 *)kptr({own} + {self._facts.ancestors + 8 * level:d});",
            f"  {name} = {_id(name)};",
            "}",
        ]

    def _ancestor(self, place: CgroupPlace) -> str:
        return f"{_cgroup(place.subsystem)}_{place.level:d}"


def _is_sound(facts: CgroupFacts, places: Sequence[CgroupPlace]) -> bool:
    """Whether numbers that may come from a file can be those of a kernel: they stand in the program."""
    subsystems = {facts.subsystem, *(place.subsystem for place in places)} - {None}
    return (
        0 <= facts.ancestors < _MOST_OFFSET
        and all(0 <= number < _MOST_SUBSYSTEMS for number in subsystems)  # type: ignore[operator]
        and all(0 <= place.level < _MOST_PATH and 0 < place.id < 1 << 64 for place in places)
    )


def _order(subsystem: int | None) -> int:
    return -1 if subsystem is None else subsystem


def _cgroup(subsystem: int | None) -> str:
    return "$cgroup_v2" if subsystem is None else f"$cgroup_v1_{subsystem:d}"


def _id(variable: str) -> str:
    # 0.17 knows the fields of a structure that the program names alone. In users' programs bpftrace takes
    # a number for an address of theirs: kptr() says that it is the kernel's.
    return f"(uint64)((struct kernfs_node *)kptr((uint64)((struct cgroup *)kptr({variable}))->kn))->id"

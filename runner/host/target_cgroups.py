"""From the words of a command line (a path, a container, a pod) to the cgroups that they mean here."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.host.cgroups import hierarchies, host_root
from runner.host.containers import role_of
from runner.host.kernel import is_root
from runner.host.pod_names import NodeNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.host.cgroups import Hierarchy
    from runner.host.containers import CgroupRole
    from runner.host.facts import CgroupPlace

_LEAST_ID = 6
"""A shorter beginning of a container's id than this is a name, or a mistake."""

_MOST_NEAR = 3
_LINE = re.compile(r"[0-9]+:([a-z0-9_,=]*):(/.*)", re.DOTALL)
"""A line of /proc/PID/cgroup, which names the hierarchy too."""

_HEXADECIMAL = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Host:
    """Where cgroups and names are looked for.

    :param mounted: Its hierarchies.
    :param root: Its root directory, as we reach it.
    """

    mounted: Sequence[Hierarchy]
    names: NodeNames
    root: Path = Path("/")

    @classmethod
    def here(cls) -> Host:
        """Return this host.

        :raises HostRefused: It has no cgroups, or we see them from inside one.
        """
        root = host_root()
        mounted = hierarchies(root)
        if not mounted:
            raise HostRefused(
                "no hierarchy of cgroups is mounted", hint="mount -t cgroup2 none /sys/fs/cgroup"
            )
        return cls(mounted, NodeNames(root), root)


def find_cgroup(text: str, host: Host) -> tuple[CgroupPlace, ...]:
    """Return the cgroup of a directory, or of a path as /proc/PID/cgroup has it.

    Where several hierarchies have such a path, it is the first in which processes are.

    :raises ValueRefused: There is no such cgroup, or one that programs cannot see.
    """
    line = _LINE.fullmatch(text)
    mounted = host.mounted
    if line is not None:
        named, text = line[1], line[2]
        mounted = [each for each in mounted if each.is_called(named)]
    directory = Path(text) if text.startswith("/") and line is None else None
    if directory is not None:
        for hierarchy in mounted:
            inner = _below(directory, hierarchy.mount) or _below(host.root / text[1:], hierarchy.mount)
            if inner is None:
                continue
            if not (inner / "cgroup.procs").exists():
                raise _no_cgroup("cgroup", text, host)
            if not hierarchy.is_seen_by_programs:
                raise _unseen(text, hierarchy, host)
            return (hierarchy.place_of(inner),)
    path = f"/{text.strip('/')}"
    there = [
        (hierarchy, found)
        for hierarchy in mounted
        if (found := hierarchy.directory(path)) is not None and (found / "cgroup.procs").exists()
    ]
    seen = [(hierarchy, found) for hierarchy, found in there if hierarchy.is_seen_by_programs]
    if there and not seen:
        raise _unseen(text, there[0][0], host)
    if not seen:
        raise _no_cgroup("cgroup", text, host)
    hierarchy, found = next((each for each in seen if each[0].is_populated(path)), seen[0])
    return (hierarchy.place_of(found),)


def find_container(text: str, host: Host) -> tuple[CgroupPlace, ...]:
    """Return the cgroup of a container, by its id, the beginning of that, or its name.

    :raises ValueRefused: There is no such container, or there are several.
    """
    by_name = {each.id for each in host.names.containers_called(text)}
    is_beginning = len(text) >= _LEAST_ID and _HEXADECIMAL.issuperset(text)

    def is_meant(role: CgroupRole) -> bool:
        own = role.container
        return own is not None and (own == text or own in by_name or (is_beginning and own.startswith(text)))

    found = _find(host, is_meant, lambda role: role.container)
    if len(found) > 1:
        each = ", ".join(f"{_described(container, host)}" for container in sorted(found))
        raise ValueRefused(
            f"--container {text}: there are {len(found)} such containers: {each}",
            hint=f"give more of the id: --container {min(found)[:12]}",
        )
    if not found:
        raise _no_container(text, host)
    ((container, places),) = found.items()
    _check_sole(f"--container {text}", container, places)
    return places


def find_pod(text: str, host: Host) -> tuple[CgroupPlace, ...]:
    """Return the cgroups of a pod, by NAMESPACE/NAME, by its name where that is the only one, or by its uid.

    Where the engine makes none for the pod itself, they are those of its containers as they are now.

    :raises ValueRefused: There is no such pod on this node, or one in several namespaces.
    """
    known = host.names.pods()
    meant = [pod for pod in known if text in (str(pod), pod.name, pod.uid)]
    uids = {pod.uid for pod in meant} or {text}
    found = _find(host, lambda role: role.pod_uid in uids, lambda role: role.pod_uid)
    names = {str(pod) for pod in meant if pod.uid in found}
    if len(names) > 1:
        raise ValueRefused(
            f"--pod {text}: there is one in {len(names)} namespaces: {', '.join(sorted(names))}",
            hint=f"--pod {min(names)}",
        )
    if not found:
        raise _no_pod(text, host, is_known=bool(meant))
    for uid, places in found.items():
        if role_of(places[0].path).container is None:
            _check_sole(f"--pod {text}", uid, places)
    return tuple(place for places in found.values() for place in places)


def _below(directory: Path, mount: Path) -> Path | None:
    """Return a directory as it lies below a mount; None where it does not."""
    for each in (directory, directory.resolve()):
        # A path with `..` in it is compared as it resolves.
        if ".." not in each.parts and each.is_relative_to(mount):
            return each
    return None


def _find(
    host: Host, is_meant: Callable[[CgroupRole], bool], called: Callable[[CgroupRole], str | None]
) -> dict[str, tuple[CgroupPlace, ...]]:
    """Return the cgroups that are meant by what they are called.

    They are of the first hierarchy that has any with processes.
    """
    first: dict[str, tuple[CgroupPlace, ...]] = {}
    for hierarchy in host.mounted:
        if not hierarchy.is_seen_by_programs:
            continue
        found: dict[str, list[CgroupPlace]] = {}
        for place in hierarchy.cgroups():
            role = role_of(place.path)
            name = called(role)
            # A container's own cgroup, or a pod's, and not one inside it.
            if name is not None and role.depth == place.level and is_meant(role):
                found.setdefault(name, []).append(place)
        own = {name: tuple(_of_their_own(places, hierarchy)) for name, places in found.items()}
        if any(hierarchy.is_populated(place.path) for places in own.values() for place in places):
            return own
        first = first or own
    return first


def _of_their_own(places: Sequence[CgroupPlace], hierarchy: Hierarchy) -> Sequence[CgroupPlace]:
    """Return of a pod's cgroups its own, where it has one, and not those of its containers.

    Empty ones are left out where there are others: whoever may make cgroups can give them any name.
    """
    own = [place for place in places if role_of(place.path).container is None] or places
    return [place for place in own if hierarchy.is_populated(place.path)] or own


def _check_sole(asked: str, name: str, places: Sequence[CgroupPlace]) -> None:
    if len(places) > 1:
        paths = ", ".join(place.path for place in places)
        raise ValueRefused(
            f"{asked}: there are {len(places)} cgroups with processes called {name[:12]}: {paths}",
            hint=f"say which: --cgroup {places[0].path}",
        )


def _no_cgroup(option: str, text: str, host: Host) -> ValueRefused:
    wanted = text.rstrip("/").rpartition("/")[2]
    # What the parser refuses is no answer.
    every = {
        place.path for hierarchy in host.mounted for place in hierarchy.cgroups() if place.path.isprintable()
    }
    paths = {path: path.rpartition("/")[2] for path in sorted(every)}
    near = [path for path, name in paths.items() if name and name == wanted]
    near = near or difflib.get_close_matches(text, [path for path in paths if path != "/"], n=_MOST_NEAR)
    mounts = ", ".join(str(hierarchy.mount) for hierarchy in host.mounted[:2])
    return ValueRefused(
        f"--{option} {text}: there is no such cgroup{_question(f'--{option}', near)}",
        hint=f"it is a path as in /proc/PID/cgroup, or a directory below {mounts}",
    )


def _unseen(text: str, hierarchy: Hierarchy, host: Host) -> ValueRefused:
    other = next((each.mount for each in host.mounted if each.is_seen_by_programs), None)
    return ValueRefused(
        f"--cgroup {text}: the hierarchy {hierarchy.name} has no controller, and programs cannot see it",
        hint=f"give the path in another hierarchy, such as below {other}" if other is not None else None,
    )


def _no_container(text: str, host: Host) -> ValueRefused:
    roles = {role.container: role for _, role in _roles(host) if role.container is not None}
    names = [name for each in roles if (known := host.names.container(each)) and (name := known.name)]
    near = difflib.get_close_matches(text, names, n=_MOST_NEAR)
    few = f"; there are {_few(_described(each, host) for each in sorted(roles))}" if roles else ""
    return ValueRefused(
        f"--container {text}: there is no such container here{_question('--container', near)}",
        hint=f"it takes an id ({_LEAST_ID} digits or more) or a name{few}{_unread()}",
    )


def _no_pod(text: str, host: Host, *, is_known: bool) -> ValueRefused:
    if is_known:
        return ValueRefused(f"--pod {text}: it has ended: no cgroup of it is left on this node")
    running = {role.pod_uid for _, role in _roles(host)}
    pods = sorted({str(pod) for pod in host.names.pods() if pod.uid in running})
    near = difflib.get_close_matches(text, [*pods, *(each.partition("/")[2] for each in pods)], n=_MOST_NEAR)
    few = f": {_few(pods)}" if pods else ""
    return ValueRefused(
        f"--pod {text}: there is no such pod on this node{_question('--pod', near)}",
        hint=f"it takes NAMESPACE/NAME of a pod that runs here{few}{_unread()}",
    )


def _unread() -> str:
    """Return what to say of names that are not ours to read."""
    return "" if is_root() else "; only root may read the names that engines keep: run it as root"


def _roles(host: Host) -> list[tuple[str, CgroupRole]]:
    return [(place.path, role_of(place.path)) for hierarchy in host.mounted for place in hierarchy.cgroups()]


def _described(container: str, host: Host) -> str:
    known = host.names.container(container)
    return f"{container[:12]} ({known.name})" if known is not None and known.name else container[:12]


def _question(option: str, near: Sequence[str]) -> str:
    return f"; did you mean {option} {' or '.join(near[:_MOST_NEAR])}?" if near else ""


def _few(texts: Iterable[str], most: int = 8) -> str:
    every = list(texts)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more

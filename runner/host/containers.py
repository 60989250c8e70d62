"""Which container and which pod a cgroup belongs to, from its path."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CgroupRole:
    """What a cgroup is to the engines of containers.

    :param container: The container's id as its engine knows it: 64 hexadecimal digits, or what the client of
        containerd named it. None for cgroups outside of containers, for a pod's own, and for those of helpers
        beside a container (conmon, Kata's overhead).
    :param pod_uid: The UID of the Kubernetes pod, with hyphens; of static pods the 32 hexadecimal digits that
        the kubelet of this node made for it.
    :param engine: `docker`, `containerd`, `cri-o` or `podman` where the path says so.
    :param depth: How many components of the path lead to the container's own cgroup, or else to the pod's,
        with that one; 0 where it belongs to neither. Cgroups that are deeper are inside.
    """

    container: str | None
    pod_uid: str | None
    engine: str | None
    depth: int


_ENGINES = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "libpod": "podman",
    "libpod-payload": "podman",
}
"""Who puts which prefix before the id.

docker: scopePrefix in daemon/oci_linux.go of moby. cri-containerd: getCgroupsPath() of containerd's CRI
plugin. nerdctl: generateCgroupPath() of nerdctl. crio: CrioPrefix in internal/config/cgmgr of cri-o. libpod:
getOCICgroupPath() of podman; libpod-payload is for --cgroups=split, as quadlets have it.
"""

_ID = r"(?P<id>[0-9a-f]{64})"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PREFIXES = "|".join(sorted(_ENGINES, key=len, reverse=True))

_BARE = re.compile(_ID)
# A name of cgroupfs, or a scope of systemd.
_PREFIXED = re.compile(rf"(?P<prefix>{_PREFIXES})-{_ID}(?:\.scope)?")
# slice:prefix:name is what runc's driver for systemd takes (docs/systemd.md of runc); where the engine means
# that driver and the runtime has the other, it becomes the name of a directory.
_MIXED = re.compile(rf"(?P<slice>[^:]*):(?P<prefix>{_PREFIXES}):{_ID}")
# Any other engine, or a prefix that an administrator chose. 65 digits are no id.
_OTHER = re.compile(rf"(?:.*[^0-9a-f])?{_ID}(?:\.scope)?", re.DOTALL)

# pod_container_manager_linux.go and cgroup_manager_linux.go of the kubelet: pod<UID> below kubepods, or a
# slice with the names of all above it (of --cgroup-root too: kubelet-kubepods-…) and `_` for its hyphens.
_POD = re.compile(rf"pod(?P<uid>{_UUID}|[0-9a-f]{{32}})")
_UID = f"{_UUID.replace('-[', '_[')}|[0-9a-f]{{32}}"
_POD_SLICE = re.compile(rf"(?:.*-)?kubepods(?:-burstable|-besteffort)?-pod(?P<uid>{_UID})\.slice", re.DOTALL)

# containerd's client puts a container at /NAMESPACE/ID (populateDefaultUnixSpec() of its package oci), and
# allows these names (identifiers.Validate()). `default` is the namespace of ctr and nerdctl, k8s.io CRI's.
_NAMESPACES = frozenset({"default", "k8s.io"})
_CONTAINERD_ID = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")

_DELETED = " (deleted)"
"""What the kernel appends in /proc/PID/cgroup once the cgroup was removed (proc_cgroup_show())."""


def role_of(path: str) -> CgroupRole:
    """Return which container and pod a cgroup belongs to.

    The innermost container counts: of docker in docker, and of clusters whose nodes are containers. The pod
    is the one around it. A pod's own cgroup in a node that is itself a container belongs to the pod, and to
    no container.

    :param path: As in /proc/PID/cgroup, or relative to where the hierarchy is mounted. Any text is allowed.
    """
    container = engine = pod_uid = None
    depth = start = 0
    parts = [part for part in path.removesuffix(_DELETED).split("/") if part]
    for index, part in enumerate(parts):
        here = parts[start:index]
        if (pod := _pod(part)) is not None:
            container, engine, pod_uid, depth = None, None, pod, index + 1
        # What only looks like a container is one where no other is around: programs make cgroups, too.
        if (found := _container(part, here, may_guess=container is None)) is not None:
            container, engine = found
            depth = start = index + 1
    return CgroupRole(container, pod_uid, engine, depth)


def _pod(part: str) -> str | None:
    mixed = _MIXED.fullmatch(part)
    found = _POD.fullmatch(part) or _POD_SLICE.fullmatch(mixed["slice"] if mixed else part)
    return found["uid"].replace("_", "-") if found else None


def _container(part: str, above: list[str], *, may_guess: bool) -> tuple[str, str | None] | None:
    """Return the id and the engine of a container whose own cgroup this is.

    :param above: What stands between the next container outside and this.
    :param may_guess: Whether an unknown prefix before the id will do.
    """
    # Kata's monitor runs there, below the path that its sandbox has (gen_overhead_path() of its runtime).
    if "kata_overhead" in above:
        return None
    if found := _PREFIXED.fullmatch(part) or _MIXED.fullmatch(part):
        return found["id"], _ENGINES[found["prefix"]]
    if found := _BARE.fullmatch(part):
        # A pod of podman has an id like a container's, and those below it (runtime_pod_linux.go of libpod).
        if above[-1:] == ["libpod_parent"]:
            return None
        return part, _engine_of_parent(above)
    if len(above) == 1 and above[0] in _NAMESPACES and _CONTAINERD_ID.fullmatch(part):
        return part, "containerd"
    # crio-conmon-<id> and libpod-conmon-<id> hold the process that watches a container.
    if may_guess and (found := _OTHER.fullmatch(part)) and not _is_beside(part[: found.start("id")]):
        return found["id"], None
    return None


def _is_beside(prefix: str) -> bool:
    return prefix.endswith(("conmon-", "libpod_pod_"))


def _engine_of_parent(above: list[str]) -> str | None:
    if above[-1:] == ["docker"]:
        return "docker"
    return "containerd" if len(above) == 1 and above[0] in _NAMESPACES else None

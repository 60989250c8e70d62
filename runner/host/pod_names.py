"""What the containers and pods of a node are called, from files that their engines and the kubelet keep."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.container_records import (
    ContainerName,
    PodName,
    docker_root,
    from_bundle,
    from_docker,
    from_log_folder,
    from_log_link,
    from_storage,
    is_name,
    storage_roots,
)
from runner.host.node_files import NodeFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ContainerName", "NodeNames", "PodName"]

_CONTAINERD = (
    "/run/containerd",
    "/run/k3s/containerd",  # RKE2's, too
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
)
"""Where containerd keeps its state (`state` of its config.toml), by itself and in kinds of Kubernetes."""

_TASKS = ("io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux")
_STORAGE = ("/run/containers/storage", "/var/lib/containers/storage")
_DOCKER = ("/var/lib/docker", "/var/snap/docker/common/var-lib-docker")
_LOGS_OF_PODS = "/var/log/pods"
_LOGS_OF_CONTAINERS = "/var/log/containers"


class NodeNames:
    """Names on a node, read when they are asked for; no engine and no API server is asked.

    Containers come and go meanwhile, and a cgroup may be there a moment before the files that name it: what
    was not found is looked for again the next time.

    An engine of a user (rootless) keeps its files in the user's home, where the user can write anything: they
    name containers that no engine of the system knows, and no pods. Only users with a folder in /run/user and
    a line in /etc/passwd are looked at.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        """:param root: The node's: /proc/1/root in a container that shares the node's process namespace."""
        self._files = NodeFiles(root)

    def pods(self) -> list[PodName]:
        """Return the pods that the node knows, by namespace and name; ended ones until it forgets them."""
        logs = map(from_log_folder, self._files.names(_LOGS_OF_PODS))
        named = (container.pod for container in self._of_system(None))
        found = {pod.uid: pod for pod in chain(named, logs) if pod is not None}
        return sorted(found.values(), key=lambda pod: (pod.namespace, pod.name, pod.uid))

    def logged_pod(self, uid: str) -> PodName | None:
        """Return the pod of a UID by the kubelet's logs alone: one directory is read."""
        logs = map(from_log_folder, self._files.names(_LOGS_OF_PODS))
        return next((pod for pod in logs if pod is not None and pod.uid == uid), None)

    def container(self, id: str) -> ContainerName | None:  # noqa: A002  # the engines' word
        """Return what a container is called, by its full id; None where no file tells of it, or not yet."""
        if not is_name(id):
            return None
        for source in (self._of_system, self._of_users):
            if found := _merged(source(id)):
                return found[id]
        return None

    def containers_called(self, text: str) -> list[ContainerName]:
        """Return the containers of a name, by their ids, whether they run or not; it reads all their files.

        In Kubernetes many pods may have a container of that name.
        """
        found = _merged(self._of_users(None)) | _merged(self._of_system(None))
        return sorted((each for each in found.values() if each.name == text), key=lambda each: each.id)

    def _of_system(self, only: str | None) -> Iterator[ContainerName]:
        for state in _CONTAINERD:
            yield from self._of_containerd(state, only)
        settings = self._files.read("/etc/containers/storage.conf", storage_roots) or ()
        for storage in dict.fromkeys((*_STORAGE, *settings)):
            yield from self._of_storage(storage, only)
        root = self._files.read("/etc/docker/daemon.json", docker_root)
        for docker in dict.fromkeys((*_DOCKER, *([root] if root else []))):
            yield from self._of_docker(docker, only)
        yield from self._of_kubelet(only)

    def _of_users(self, only: str | None) -> Iterator[ContainerName]:
        users = self._files.names("/run/user")
        homes = self._files.read("/etc/passwd", _homes) if users else None
        for user in users:
            if home := (homes or {}).get(user):
                share = f"{home}/.local/share"
                storage = self._of_storage(f"{share}/containers/storage", only)
                for each in chain(storage, self._of_docker(f"{share}/docker", only)):
                    yield ContainerName(each.id, each.name, None)

    def _of_containerd(self, state: str, only: str | None) -> Iterator[ContainerName]:
        for tasks in _TASKS:
            for namespace in self._files.names(f"{state}/{tasks}"):
                folder = f"{state}/{tasks}/{namespace}"
                for container in self._ids(folder, only):
                    yield from self._one(f"{folder}/{container}/config.json", container)

    def _of_storage(self, storage: str, only: str | None) -> Iterator[ContainerName]:
        for folder in self._files.names(storage):
            if not folder.endswith("-containers"):  # overlay-containers, vfs-containers …
                continue
            place = f"{storage}/{folder}"
            for container in self._ids(place, only):
                yield from self._one(f"{place}/{container}/userdata/config.json", container)
            # The second has those that `podman run --rm` started.
            for name in ("containers.json", "volatile-containers.json"):
                listed = self._files.read(f"{place}/{name}", from_storage) or {}
                if only is None:
                    yield from listed.values()
                elif only in listed:
                    yield listed[only]

    def _of_docker(self, root: str, only: str | None) -> Iterator[ContainerName]:
        folder = f"{root}/containers"
        for container in self._ids(folder, only):
            found = self._files.read(f"{folder}/{container}/config.v2.json", partial(from_docker, container))
            if found is not None:
                yield found

    def _of_kubelet(self, only: str | None) -> Iterator[ContainerName]:
        for link in self._files.names(_LOGS_OF_CONTAINERS):
            if only is None or link.endswith(f"-{only}.log"):
                found = from_log_link(link, self._files.link(f"{_LOGS_OF_CONTAINERS}/{link}"))
                if found is not None and only in (None, found.id):
                    yield found

    def _one(self, path: str, container: str) -> Iterator[ContainerName]:
        found = self._files.read(path, partial(from_bundle, container))
        if found is not None:
            yield found

    def _ids(self, folder: str, only: str | None) -> Iterable[str]:
        return filter(is_name, self._files.names(folder)) if only is None else [only]


def _merged(records: Iterable[ContainerName]) -> dict[str, ContainerName]:
    """Return what several files say of each container together: the first that names it, or its pod."""
    found: dict[str, ContainerName] = {}
    for record in records:
        before = found.get(record.id, record)
        found[record.id] = ContainerName(record.id, before.name or record.name, before.pod or record.pod)
    return found


def _homes(data: bytes) -> dict[str, str]:
    """Return the homes of users, by their numbers, from passwd(5)."""
    lines = (line.split(":") for line in data.decode(errors="replace").splitlines())
    return {fields[2]: fields[5] for fields in lines if len(fields) == 7 and fields[5].startswith("/")}

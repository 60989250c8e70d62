"""What the files of engines and of the kubelet say of a container: its name, and its pod's."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from runner.host.containers import role_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PodName:
    """A Kubernetes pod.

    :param uid: As cgroups have it: with hyphens, or the 32 hexadecimal digits of a static pod.
    """

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ContainerName:
    """A container that a file of this node tells of, whether it runs or not.

    :param name: What people call it: in Kubernetes the container's name within its pod, else what the engine
        was told. None where nobody named it: of the sandbox of a pod of containerd, and of ctr's, whose id is
        the name.
    """

    id: str
    name: str | None
    pod: PodName | None


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
"""What every engine and Kubernetes allow in ids and names, and nothing that could be a path or move a cursor.

RestrictedNameChars of moby, NameRegex of podman, identifiers.Validate() of containerd, Kubernetes' DNS names.
"""


def is_name(text: object) -> bool:
    """Whether a text may be an id or a name."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def from_bundle(container: str, data: bytes) -> ContainerName:
    """Read the config.json that an engine hands to an OCI runtime.

    :raises ValueError: It is no document of JSON.
    """
    document = orjson.loads(data)
    notes = _mapping(document, "annotations")
    labels = _labels_of_crio(notes)
    pod = _pod(
        # pkg/cri/annotations of containerd; the kubelet's labels (labels.go of kubetypes), which CRI-O has
        # among its annotations and, all together, as a document in one (pkg/annotations of cri-o).
        namespace=notes.get("io.kubernetes.cri.sandbox-namespace")
        or labels.get("io.kubernetes.pod.namespace"),
        name=notes.get("io.kubernetes.cri.sandbox-name") or labels.get("io.kubernetes.pod.name"),
        # Older releases of containerd do not write the UID: then the path of the cgroup has it.
        uid=notes.get("io.kubernetes.cri.sandbox-uid")
        or labels.get("io.kubernetes.pod.uid")
        or _pod_of_cgroup(_mapping(document, "linux").get("cgroupsPath")),
    )
    name = (
        notes.get("io.kubernetes.cri.container-name")
        or labels.get("io.kubernetes.container.name")
        or notes.get("nerdctl/name")  # pkg/labels of nerdctl, which its hooks read from the annotations
    )
    return ContainerName(container, _name(name), pod)


def from_docker(container: str, data: bytes) -> ContainerName:
    """Read the config.v2.json of docker, which has a slash before the name.

    :raises ValueError: It is no document of JSON.
    """
    document = orjson.loads(data)
    labels = _mapping(_mapping(document, "Config"), "Labels")
    pod = _pod(
        namespace=labels.get("io.kubernetes.pod.namespace"),
        name=labels.get("io.kubernetes.pod.name"),
        uid=labels.get("io.kubernetes.pod.uid"),
    )
    called = document.get("Name") if isinstance(document, dict) else None
    own = called.removeprefix("/") if isinstance(called, str) else None
    return ContainerName(container, _name(labels.get("io.kubernetes.container.name") or own), pod)


def from_storage(data: bytes) -> dict[str, ContainerName]:
    """Read the containers.json of containers-storage, as podman and CRI-O keep it: containers by their ids.

    CRI-O's names there are made up of the pod's, the container's and more (k8s_…): nobody calls them so.

    :raises ValueError: It is no document of JSON.
    """
    document = orjson.loads(data)
    found = {}
    for each in document if isinstance(document, list) else ():
        container = each.get("id") if isinstance(each, dict) else None
        if isinstance(container, str) and is_name(container):
            names = each.get("names")
            first = _name(names[0]) if isinstance(names, list) and names else None
            is_made_up = first is not None and first.startswith("k8s_")
            found[container] = ContainerName(container, None if is_made_up else first, None)
    return found


def from_log_link(link: str, target: str | None) -> ContainerName | None:
    """Read a link in /var/log/containers: POD_NAMESPACE_CONTAINER-ID.log (logSymlink() of the kubelet).

    :param target: Where it leads: /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log.
    """
    parts = link.removesuffix(".log").split("_")
    if len(parts) != 3 or not link.endswith(".log"):
        return None  # the kubelet cut a long name, and the id with it
    pod, namespace, rest = parts
    name, _, container = rest.rpartition("-")
    if not name or not is_name(container):
        return None
    folders = (target or "").split("/")
    known = next((found for each in folders if (found := from_log_folder(each)) is not None), None)
    is_same = known is not None and (known.namespace, known.name) == (namespace, pod)
    return ContainerName(container, _name(name), known if is_same else None)


def from_log_folder(folder: str) -> PodName | None:
    """Read a name in /var/log/pods: NAMESPACE_POD_UID (BuildPodLogsDirectory() of the kubelet)."""
    parts = folder.split("_")  # no name of DNS has one
    return _pod(*parts) if len(parts) == 3 else None


def docker_root(data: bytes) -> str | None:
    """Return where docker keeps its data, by its daemon.json; None where that does not say.

    :raises ValueError: It is no document of JSON.
    """
    document = orjson.loads(data)
    return _folder(document.get("data-root")) if isinstance(document, dict) else None


def storage_roots(data: bytes) -> tuple[str, ...]:
    """Return where podman and CRI-O keep their data, by containers-storage.conf(5).

    :raises ValueError: It is no document of TOML.
    """
    table = _mapping(tomllib.loads(data.decode()), "storage")
    places = (_folder(table.get(key)) for key in ("graphroot", "runroot"))
    return tuple(place for place in places if place)


def _labels_of_crio(notes: Mapping[str, Any]) -> Mapping[str, Any]:
    text = notes.get("io.kubernetes.cri-o.Labels")
    if not isinstance(text, str):
        return notes
    try:
        labels = orjson.loads(text)
    except ValueError:
        return notes
    return {**(labels if isinstance(labels, dict) else {}), **notes}


def _pod_of_cgroup(path: object) -> str | None:
    return role_of(path).pod_uid if isinstance(path, str) else None


def _pod(namespace: object, name: object, uid: object) -> PodName | None:
    if not (isinstance(namespace, str) and isinstance(name, str) and isinstance(uid, str)):
        return None
    return PodName(namespace, name, uid) if all(map(is_name, (namespace, name, uid))) else None


def _name(text: object) -> str | None:
    return text if isinstance(text, str) and is_name(text) else None


def _folder(text: object) -> str | None:
    return text if isinstance(text, str) and text.startswith("/") and "\0" not in text else None


def _mapping(document: object, key: str) -> Mapping[str, Any]:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}

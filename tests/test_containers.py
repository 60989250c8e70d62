"""Which container and pod a cgroup belongs to: the layouts that engines make, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.host.containers import CgroupRole, role_of

ID = "5d2d9b4b1b7d7a4d5a3f0f3fb7c6ff1d8ea9f3f8f0b5b8ffcb2f20e7c5a7a001"
NODE = "a08f6a0fd7d2d1cbd7f8a1f0c7a2cb5f1bb7c43a5a0d1d2ab25f3c3e16f7be02"
UID = "22fd933a-ee61-46bd-93ae-ebace73c1160"
FLAT = UID.replace("-", "_")
STATIC = "7b2f1c9f0a8d4a56b7c3f0a1e2d3c4b5"
BURSTABLE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{FLAT}.slice"
KIND = f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{FLAT}.slice"

CONTAINERS = {
    # docker, by each of its drivers
    f"/docker/{ID}": (ID, None, "docker", 2),
    f"docker/{ID}/": (ID, None, "docker", 2),
    f"/docker/{ID}/init.scope": (ID, None, "docker", 2),
    f"/docker/{ID}/system.slice/nginx.service": (ID, None, "docker", 2),
    f"/docker/{ID} (deleted)": (ID, None, "docker", 2),
    f"/system.slice/docker-{ID}.scope": (ID, None, "docker", 2),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope": (ID, None, "docker", 5),
    f"/batch.slice/docker-{ID}.scope/init": (ID, None, "docker", 2),
    f"/system.slice:docker:{ID}": (ID, None, "docker", 1),
    f"/../docker/{ID}": (ID, None, "docker", 3),
    # docker in docker
    f"/docker/{NODE}/docker/{ID}": (ID, None, "docker", 4),
    f"/system.slice/docker-{NODE}.scope/docker/{ID}/sub": (ID, None, "docker", 4),
    # Kubernetes, cgroupfs: containerd and docker say no name there
    f"/kubepods/pod{UID}/{ID}": (ID, UID, None, 3),
    f"/kubepods/burstable/pod{UID}/{ID}": (ID, UID, None, 4),
    f"/kubepods/besteffort/pod{UID}/{ID}/sub/sub": (ID, UID, None, 4),
    f"/kubepods/besteffort/pod{STATIC}/{ID}": (ID, STATIC, None, 4),
    f"/kubepods/burstable/pod{UID}/crio-{ID}": (ID, UID, "cri-o", 4),
    # Kubernetes, systemd
    f"/kubepods.slice/kubepods-pod{FLAT}.slice/cri-containerd-{ID}.scope": (ID, UID, "containerd", 3),
    f"{BURSTABLE}/cri-containerd-{ID}.scope": (ID, UID, "containerd", 4),
    f"{BURSTABLE}/crio-{ID}.scope": (ID, UID, "cri-o", 4),
    f"{BURSTABLE}/crio-{ID}.scope/container": (ID, UID, "cri-o", 4),
    f"{BURSTABLE}/docker-{ID}.scope": (ID, UID, "docker", 4),
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{ID}.scope": (
        ID,
        STATIC,
        "containerd",
        4,
    ),
    # the engine means systemd, the runtime cgroupfs
    f"/system.slice/containerd.service/kubepods-burstable-pod{FLAT}.slice:cri-containerd:{ID}": (
        ID,
        UID,
        "containerd",
        3,
    ),
    f"/kubepods-pod{STATIC}.slice:cri-containerd:{ID}": (ID, STATIC, "containerd", 1),
    # kind, minikube, k3s in docker: nodes that are containers
    f"/docker/{NODE}{KIND}/cri-containerd-{ID}.scope": (ID, UID, "containerd", 7),
    f"/system.slice/docker-{NODE}.scope{KIND}/cri-containerd-{ID}.scope/x": (ID, UID, "containerd", 7),
    f"/docker/{NODE}/kubelet/kubepods/burstable/pod{UID}/{ID}": (ID, UID, None, 7),
    f"/docker/{NODE}{BURSTABLE}/docker-{ID}.scope": (ID, UID, "docker", 6),
    f"/libpod_parent/libpod-{NODE}/kubepods/pod{UID}/{ID}": (ID, UID, None, 5),
    # docker in a pod
    f"/kubepods/burstable/pod{UID}/{NODE}/docker/{ID}": (ID, UID, "docker", 6),
    # Kata: its sandbox
    f"/kubepods/burstable/pod{UID}/kata_{ID}": (ID, UID, None, 4),
    # podman
    f"/machine.slice/libpod-{ID}.scope": (ID, None, "podman", 2),
    f"/machine.slice/libpod-{ID}.scope/container": (ID, None, "podman", 2),
    f"/machine.slice/libpod-{ID}.scope/container/system.slice/nginx.service": (ID, None, "podman", 2),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope": (ID, None, "podman", 5),
    f"/libpod_parent/libpod-{ID}": (ID, None, "podman", 2),
    f"/libpod_parent/{NODE}/libpod-{ID}": (ID, None, "podman", 3),
    f"/machine.slice/machine-libpod_pod_{NODE}.slice/libpod-{ID}.scope": (ID, None, "podman", 3),
    f"/system.slice/web.service/libpod-payload-{ID}": (ID, None, "podman", 3),
    # containerd's own clients
    "/default/web_1": ("web_1", None, "containerd", 2),
    f"/default/{ID}": (ID, None, "containerd", 2),
    "/k8s.io/debug/sub": ("debug", None, "containerd", 2),
    f"/docker/{NODE}/default/web": ("web", None, "containerd", 4),
    f"/system.slice/nerdctl-{ID}.scope": (ID, None, "containerd", 2),
    # others
    f"/ecs/0123456789abcdef0123456789abcdef/{ID}": (ID, None, None, 3),
    f"/actions_job/{ID}/sub": (ID, None, None, 2),
    f"/system.slice/engine-{ID}.scope": (ID, None, None, 2),
    f"/system.slice/engine-{ID}.scope/init": (ID, None, None, 2),
}
PODS = {
    f"/kubepods/burstable/pod{UID}": (None, UID, None, 3),
    f"/kubepods/pod{STATIC}": (None, STATIC, None, 2),
    BURSTABLE: (None, UID, None, 3),
    f"/docker/{NODE}{KIND}": (None, UID, None, 6),
    f"{BURSTABLE}/crio-conmon-{ID}.scope": (None, UID, None, 3),
    f"/kubepods/burstable/pod{UID}/crio-conmon-{ID}": (None, UID, None, 3),
    f"/kata_overhead/kubepods/pod{UID}/{ID}": (None, UID, None, 3),
}
NEITHER = [
    "",
    "/",
    "/init.scope",
    "/system.slice",
    "/system.slice/nginx.service",
    "/system.slice/docker.service",
    "/system.slice/containerd.service",
    "/system.slice/system-getty.slice/getty@tty1.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope",
    "/kubepods",
    "/kubepods.slice/kubepods-burstable.slice",
    "/default",
    "/default/..",
    "/elsewhere/default/web",
    "/docker",
    "/docker/web",
    "/docker/buildkit/k4q2m8v0x7t1z5w9y3u6s2r8p",
    f"/docker/{ID[:63]}",
    f"/docker/{ID}0",
    f"/docker/{ID}{ID}",
    f"/docker/{ID.upper()}",
    f"/system.slice/engine-0{ID}.scope",
    f"/jobs/{STATIC}",
    f"/jobs/{ID[:40]}",
    f"/system.slice/{ID}.service",
    f"/system.slice/{ID}-1a2b3c.timer",
    f"/system.slice/var-lib-docker-containers-{ID}-mounts-shm.mount",
    f"/system.slice/var-lib-docker-overlay2-{ID}-merged.mount/x",
    f"/system.slice/crio-conmon-{ID}.scope",
    f"/machine.slice/libpod-conmon-{ID}.scope",
    f"/libpod_parent/{NODE}",
    f"/machine.slice/machine-libpod_pod_{NODE}.slice",
    "/libpod_parent/conmon",
    "/system.slice/web.service/runtime",
    f"/kata_overhead/{ID}",
    f"/kubepods/pod{UID[:-1]}",
    f"/system.slice/pod{UID}.service",
]


@pytest.mark.parametrize(("path", "role"), (CONTAINERS | PODS).items())
def test_a_cgroup_belongs_to_the_innermost_container_and_to_the_pod_around_it(path, role):
    assert role_of(path) == CgroupRole(*role)


@pytest.mark.parametrize("path", NEITHER)
def test_nothing_else_is_taken_for_a_container(path):
    assert role_of(path) == CgroupRole(None, None, None, 0)


def test_what_watches_a_container_is_beside_it_and_inside_the_one_around():
    role = role_of(f"/docker/{NODE}/machine.slice/libpod-conmon-{ID}.scope")
    assert role == CgroupRole(NODE, None, "docker", 2)


def test_what_a_program_makes_in_its_container_is_the_containers():
    assert role_of(f"/docker/{NODE}/job-{ID}") == CgroupRole(NODE, None, "docker", 2)


IDS = st.text("0123456789abcdef", min_size=64, max_size=64)
UIDS = st.one_of(st.uuids().map(str), st.text("0123456789abcdef", min_size=32, max_size=32))
BELOW = st.lists(st.sampled_from(["init", "container", "system.slice", "a b", "x.service"])).map("/".join)
LAYOUTS = [(path, role) for path, role in CONTAINERS.items() if role[0] == ID and "deleted" not in path]


@given(st.sampled_from(LAYOUTS), IDS, UIDS, BELOW)
def test_every_layout_is_found_with_any_id_and_anything_below(layout, container, uid, below):
    path, (_, pod, engine, depth) = layout
    for old, new in (
        (ID, container),
        (UID, uid),
        (FLAT, uid.replace("-", "_")),
        (STATIC, uid.replace("-", "_")),
    ):
        path = path.replace(old, new)
    if pod == STATIC and "/pod" in path:
        path = path.replace(uid.replace("-", "_"), uid)
    expected = CgroupRole(container, uid if pod else None, engine, depth)
    assert role_of(f"{path}/{below}") == expected


PIECES = [
    ID,
    UID,
    FLAT,
    STATIC,
    "/",
    "pod",
    "-",
    ".scope",
    ".slice",
    ":",
    "kubepods",
    "docker",
    "crio",
    "libpod",
    "default",
    "\n",
    "é",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_any_text_has_a_role(path):
    role = role_of(path)
    parts = [part for part in path.split("/") if part]
    assert 0 <= role.depth <= len(parts)
    assert (role.depth == 0) == (role.container is None and role.pod_uid is None)
    assert role.engine is None or role.container is not None
    if role.container:
        assert role.container in parts[role.depth - 1]


@given(st.lists(st.sampled_from([*PIECES, "x"]), min_size=1).map("".join), BELOW)
def test_what_is_inside_of_a_container_or_pod_has_its_role(path, below):
    role = role_of(path)
    if role.depth == len([part for part in path.split("/") if part]) and role.container:
        assert role_of(f"{path}/{below}") == role

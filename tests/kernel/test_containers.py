"""A container that runs is found by the path of its cgroup, and named by the files beside it."""

import shutil
from pathlib import Path

import pytest

from runner.host.containers import CgroupRole, role_of
from runner.host.pod_names import ContainerName, NodeNames, PodName
from tests.kernel.recipes import run_recipe
from tests.laboratory.container import container, new_id

pytestmark = pytest.mark.kernel

UID = "22fd933a-ee61-46bd-93ae-ebace73c1160"
# What containerd's plugin for Kubernetes writes.
ANNOTATIONS = {
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.sandbox-name": "cart-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": UID,
}
POD = f"/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
LAYOUTS = {
    "docker": ("/docker/{id}", None, "docker", 2),
    "kubernetes": (f"/kubepods/burstable/pod{UID}/{{id}}", UID, None, 4),
    "mixed": (f"{POD}:cri-containerd:{{id}}", UID, "containerd", 1),
    "podman": ("/libpod_parent/libpod-{id}", None, "podman", 2),
}


@pytest.mark.parametrize(("cgroup", "pod", "engine", "depth"), LAYOUTS.values(), ids=LAYOUTS)
def test_a_process_in_a_container_is_known_by_its_cgroup(tmp_path, cgroup, pod, engine, depth):
    id = new_id()  # noqa: A001
    with container(tmp_path / "bundle", cgroup.format(id=id), ["sleep", "60"], id=id) as running:
        lines = Path(f"/proc/{running.pid}/cgroup").read_text().splitlines()
    paths = {line.split(":", 2)[2] for line in lines}
    assert {role_of(path) for path in paths} == {CgroupRole(id, pod, engine, depth)}


def test_the_bundle_of_a_container_that_runs_names_it_and_its_pod(tmp_path):
    id = new_id()  # noqa: A001
    bundle = tmp_path / f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}"
    path = f"/kubepods/burstable/pod{UID}/{id}"
    with container(bundle, path, ["sleep", "60"], id=id, annotations=ANNOTATIONS):
        found = NodeNames(tmp_path).container(id)
    assert found == ContainerName(id, "web", PodName("shop", "cart-0", UID))


def test_a_command_that_a_container_lacks_is_told(tmp_path):
    id = new_id()  # noqa: A001
    with (
        pytest.raises(RuntimeError, match="no-such-command"),
        container(tmp_path / "bundle", f"/docker/{id}", ["no-such-command"], id=id),
    ):
        pass


def test_a_container_is_asked_for_by_id_and_name_and_rows_have_its_name(bpftrace, tmp_path):
    """It has process, mount and cgroup namespaces of its own, and is started as engines start it."""
    id, other = new_id(), new_id()  # noqa: A001
    work = "while [ ! -e /go ]; do sleep 0.05; done; i=0; while [ $i -lt 20 ]; do /bin/touch /x; i=$((i+1)); done; sleep 60"
    bundles = Path("/run/containerd/io.containerd.runtime.v2.task/k8s.io")
    missing = [each for each in (bundles, *bundles.parents) if not each.exists()]
    try:
        with (
            container(
                bundles / id, f"/kubepods/burstable/pod{UID}/{id}", ["sh", "-c", work], id=id,
                annotations=ANNOTATIONS | {"io.kubernetes.cri.container-name": f"web-{id[:6]}"},
            ),
            container(tmp_path / "bundle", f"/docker/{other}", ["sh", "-c", work], id=other),
        ):  # fmt: skip
            roots = [bundles / id / "rootfs", tmp_path / "bundle/rootfs"]
            for name in (id[:12], f"web-{id[:6]}"):
                go = "; ".join(f"touch {root}/go" for root in roots)
                run = run_recipe(
                    "execsnoop", "--container", name, "--by", "container", bpftrace=bpftrace,
                    command=["sh", "-c", f"{go}; sleep 1.5"],
                )  # fmt: skip
                started = run.rows("execs", container=f"web-{id[:6]}")
                assert started == run.tables["execs"]
                events = [
                    event["fields"] for event in run.events("exec") if event["fields"]["comm"] == "touch"
                ]
                # The second time there is nothing left to do but to sleep.
                assert run.agrees(len(events), 20 if name == id[:12] else 0)
                assert {each["container"] for each in events} <= {f"web-{id[:6]}"}
    finally:
        shutil.rmtree(bundles / id, ignore_errors=True)
        for each in missing:
            each.rmdir()

"""Names of containers and pods from the files of a node: as engines here wrote them, and as damage leaves them."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.host.container_records import from_bundle, from_docker, from_log_link, from_storage
from runner.host.pod_names import ContainerName, NodeNames, PodName

UID = "22fd933a-ee61-46bd-93ae-ebace73c1160"
STATIC = "7b2f1c9f0a8d4a56b7c3f0a1e2d3c4b5"
POD = PodName("shop", "cart-0", UID)
WEB = "929ec508ac10d6b53390c1e869494ff55ab8cc82cb9021dd902d44e8c3156340"
SANDBOX = "6cc565219940e0ac7b7cc90f757796470f2f00a202cc258e4000acef88427274"
OTHER = "fe46bf0a108f8fa5f0e642bdaadeaccb435f272c8840ac8a22a4e393df0877b9"

# What containerd 1.6.20's CRI plugin wrote for a container and for its sandbox.
CONTAINERD = {
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.image-name": "docker.io/lab/box:1",
    "io.kubernetes.cri.sandbox-id": SANDBOX,
    "io.kubernetes.cri.sandbox-name": "cart-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": UID,
}
CONTAINERD_SANDBOX = {
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-id": SANDBOX,
    "io.kubernetes.cri.sandbox-log-directory": f"/var/log/pods/shop_cart-0_{UID}",
    "io.kubernetes.cri.sandbox-name": "cart-0",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": UID,
}
LABELS = {
    "io.kubernetes.container.name": "web",
    "io.kubernetes.pod.name": "cart-0",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": UID,
}
CRIO = {
    "io.container.manager": "cri-o",
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.Labels": json.dumps(LABELS),
    "io.kubernetes.cri-o.Name": f"k8s_web_cart-0_shop_{UID}_0",
}
# What docker 20.10.24 and podman 4.3.1 wrote, without what is not read.
DOCKER = {
    "ID": OTHER,
    "Managed": False,
    "Path": "/bin/sleep",
    "Args": ["120"],
    "Config": {"Hostname": "fe46bf0a108f", "Image": "lab/box:1", "Labels": {}},
    "Name": "/lab-docker",
    "Driver": "vfs",
}
PODMAN = [
    {
        "id": OTHER,
        "names": ["lab-web"],
        "image": "",
        "metadata": '{"image-name":"","image-id":"","name":"lab-web","created-at":1795527152}',
        "flags": {"MountLabel": "", "ProcessLabel": ""},
    }
]
OVERLAY = "var/lib/containers/storage/overlay-containers"
TASKS = "run/containerd/io.containerd.runtime.v2.task"


def pod_of(names, uid):
    return next((pod for pod in names.pods() if pod.uid == uid), None)


@pytest.fixture
def node(tmp_path):
    """Write a file below the root of a node."""

    def write(path, content):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
        return place

    return write


@pytest.fixture
def names(tmp_path):
    return NodeNames(tmp_path)


def link(root, path, target):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


BUNDLES = {
    "containerd": (f"{TASKS}/k8s.io/{WEB}/config.json", CONTAINERD),
    "k3s": (f"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{WEB}/config.json", CONTAINERD),
    "CRI-O": (f"run/containers/storage/overlay-containers/{WEB}/userdata/config.json", CRIO),
    "CRI-O with the labels alone": (f"{OVERLAY}/{WEB}/userdata/config.json", LABELS),
}


@pytest.mark.parametrize(("path", "annotations"), BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_names_a_container_and_its_pod(node, names, path, annotations):
    node(path, {"annotations": annotations})
    web = ContainerName(WEB, "web", POD)
    assert names.container(WEB) == web
    assert names.containers_called("web") == [web]
    assert names.pods() == [POD]
    assert pod_of(names, UID) == POD
    assert str(POD) == "shop/cart-0"


def test_a_sandbox_has_a_pod_and_no_name(node, names):
    node(f"{TASKS}/k8s.io/{SANDBOX}/config.json", {"annotations": CONTAINERD_SANDBOX})
    assert names.container(SANDBOX) == ContainerName(SANDBOX, None, POD)


@pytest.mark.parametrize(
    "path",
    [
        f"/kubepods/burstable/pod{UID}/{WEB}",
        f"kubepods-burstable-pod{UID.replace('-', '_')}.slice:cri-containerd:{WEB}",
    ],
)
def test_the_uid_is_of_the_cgroup_where_containerd_did_not_write_it(node, names, path):
    old = {key: value for key, value in CONTAINERD.items() if not key.endswith("uid")}
    node(f"{TASKS}/k8s.io/{WEB}/config.json", {"annotations": old, "linux": {"cgroupsPath": path}})
    assert names.container(WEB) == ContainerName(WEB, "web", POD)


def test_no_pod_is_made_of_a_part_of_its_name(node, names):
    old = {key: value for key, value in CONTAINERD.items() if not key.endswith("uid")}
    node(f"{TASKS}/k8s.io/{WEB}/config.json", {"annotations": old})
    assert names.container(WEB) == ContainerName(WEB, "web", None)
    assert names.pods() == []


def test_docker_names_containers_and_under_kubernetes_their_pods(node, names):
    node(f"var/lib/docker/containers/{OTHER}/config.v2.json", DOCKER)
    node(f"{TASKS}/moby/{OTHER}/config.json", {"annotations": {}})
    kube = {**DOCKER, "Name": f"/k8s_web_cart-0_shop_{UID}_0", "Config": {"Labels": LABELS}}
    node(f"var/lib/docker/containers/{WEB}/config.v2.json", kube)
    assert names.container(OTHER) == ContainerName(OTHER, "lab-docker", None)
    assert names.containers_called("lab-docker") == [ContainerName(OTHER, "lab-docker", None)]
    assert names.container(WEB) == ContainerName(WEB, "web", POD)


def test_docker_is_found_where_its_settings_say(node, names):
    node("etc/docker/daemon.json", {"data-root": "/data/docker"})
    node(f"data/docker/containers/{OTHER}/config.v2.json", DOCKER)
    assert names.container(OTHER) == ContainerName(OTHER, "lab-docker", None)


@pytest.mark.parametrize("file", ["containers.json", "volatile-containers.json"])
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_podmans_names_stand_in_its_list(node, names, file, driver):
    node(f"var/lib/containers/storage/{driver}-containers/{file}", PODMAN)
    assert names.container(OTHER) == ContainerName(OTHER, "lab-web", None)
    assert names.containers_called("lab-web") == [ContainerName(OTHER, "lab-web", None)]
    assert names.container(WEB) is None


def test_podman_is_found_where_its_settings_say(node, names):
    node("etc/containers/storage.conf", '[storage]\ndriver = "overlay"\ngraphroot = "/data/storage"\n')
    node("data/storage/overlay-containers/containers.json", PODMAN)
    assert names.container(OTHER) == ContainerName(OTHER, "lab-web", None)


def test_nobody_calls_a_container_what_crio_made_up(node, names):
    made_up = [{"id": WEB, "names": [f"k8s_web_cart-0_shop_{UID}_0"]}]
    node(f"{OVERLAY}/containers.json", made_up)
    assert names.container(WEB) == ContainerName(WEB, None, None)
    node(f"{OVERLAY}/{WEB}/userdata/config.json", {"annotations": CRIO})
    assert names.container(WEB) == ContainerName(WEB, "web", POD)


def test_nerdctl_and_ctr(node, names):
    node(
        f"{TASKS}/default/{OTHER}/config.json",
        {"annotations": {"nerdctl/name": "box", "nerdctl/namespace": "default"}},
    )
    node(f"{TASKS}/default/lab_web/config.json", {"ociVersion": "1.0.2"})
    assert names.container(OTHER) == ContainerName(OTHER, "box", None)
    assert names.container("lab_web") == ContainerName("lab_web", None, None)


def test_the_kubelets_logs_name_pods_and_containers(tmp_path, names):
    (tmp_path / f"var/log/pods/shop_cart-0_{UID}/web").mkdir(parents=True)
    (tmp_path / f"var/log/pods/kube-system_etcd-a.example_{STATIC}").mkdir()
    (tmp_path / f"var/log/pods/{UID}").mkdir()  # as before Kubernetes 1.14
    link(
        tmp_path,
        f"var/log/containers/cart-0_shop_web-{WEB}.log",
        f"/var/log/pods/shop_cart-0_{UID}/web/0.log",
    )
    etcd = PodName("kube-system", "etcd-a.example", STATIC)
    assert names.pods() == [etcd, POD]
    assert pod_of(names, STATIC) == etcd
    assert names.container(WEB) == ContainerName(WEB, "web", POD)
    assert names.containers_called("web") == [ContainerName(WEB, "web", POD)]


@pytest.mark.parametrize(
    "target", [None, "/var/lib/docker/x.log", f"/var/log/pods/shop_other_{UID}/web/0.log"]
)
def test_a_log_that_leads_elsewhere_names_no_pod(target):
    assert from_log_link(f"cart-0_shop_web-{WEB}.log", target) == ContainerName(WEB, "web", None)


@pytest.mark.parametrize(
    "name", ["a.log", f"cart-0_shop_web-{WEB}", "a_b_c.log", "a_b_c-.log", "a_b_c-../x.log"]
)
def test_other_names_among_the_logs_are_no_containers(name):
    assert from_log_link(name, None) is None


def test_what_was_not_there_is_found_once_it_is(node, names, tmp_path):
    assert names.container(WEB) is pod_of(names, UID) is None
    assert names.pods() == names.containers_called("web") == []
    place = node(f"{TASKS}/k8s.io/{WEB}/config.json", '{"annotations": {"io.kub')
    assert names.container(WEB) is None
    node(f"{TASKS}/k8s.io/{WEB}/config.json", {"annotations": CONTAINERD})
    assert names.container(WEB) == ContainerName(WEB, "web", POD)
    place.unlink()
    assert names.container(WEB) is pod_of(names, UID) is None


def test_a_container_that_got_another_name_has_it(node, names):
    place = node(f"var/lib/docker/containers/{OTHER}/config.v2.json", DOCKER)
    assert names.container(OTHER).name == "lab-docker"
    # docker writes another file and puts it in the place of the first.
    new = node("new", {**DOCKER, "Name": "/other-name"})
    new.rename(place)
    assert names.container(OTHER).name == "other-name"


def test_one_look_up_reads_the_files_of_one_container(node, names, monkeypatch):
    for number in range(300):
        container = f"{number:064x}"
        node(f"{TASKS}/k8s.io/{container}/config.json", {"annotations": CONTAINERD})
        node(f"var/lib/docker/containers/{container}/config.v2.json", DOCKER)
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *more, **by_name: opened.append(path) or real(path, *more, **by_name)
    )
    assert names.container(f"{7:064x}").name == "web"
    assert names.container(WEB) is None
    assert len(opened) < 20


def test_links_are_followed_below_the_nodes_root(node, names, tmp_path):
    node(f"data/docker/containers/{OTHER}/config.v2.json", DOCKER)
    link(tmp_path, "var/lib/docker", "/data/docker")
    assert names.container(OTHER) == ContainerName(OTHER, "lab-docker", None)


def of_a_user(node, home="home/eva"):
    node("etc/passwd", f"root:x:0:0:root:/root:/bin/bash\ndamaged\neva:x:1000:1000::/{home}:/bin/sh\n")
    node("run/user/1000/bus", "")
    return f"{home}/.local/share"


def test_engines_of_users_are_known(node, names):
    share = of_a_user(node)
    node(f"{share}/containers/storage/overlay-containers/containers.json", PODMAN)
    node(f"{share}/docker/containers/{WEB}/config.v2.json", {"Name": "/mine"})
    assert names.container(OTHER) == ContainerName(OTHER, "lab-web", None)
    assert names.container(WEB) == ContainerName(WEB, "mine", None)
    assert names.containers_called("mine") == [ContainerName(WEB, "mine", None)]


def test_a_user_names_no_pod_and_no_container_of_the_system(node, names):
    share = of_a_user(node)
    forged = {"Name": "/forged", "Config": {"Labels": LABELS}}
    node(f"{share}/docker/containers/{OTHER}/config.v2.json", forged)
    node(f"{share}/docker/containers/{SANDBOX}/config.v2.json", forged)
    node(f"var/lib/docker/containers/{OTHER}/config.v2.json", DOCKER)
    assert names.container(OTHER) == ContainerName(OTHER, "lab-docker", None)
    assert names.containers_called("web") == [ContainerName(SANDBOX, "web", None)]
    assert names.pods() == []
    assert pod_of(names, UID) is None


@pytest.mark.parametrize("id", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\0b", "-a", "a\nb", "x" * 300])
def test_what_is_no_id_is_looked_for_nowhere(id, tmp_path):  # noqa: A002
    assert NodeNames(tmp_path).container(id) is None


def test_an_id_is_no_way_to_another_file(node, names):
    node(f"{TASKS}/default/lab_web/config.json", {"annotations": CONTAINERD})
    assert names.container("../default/lab_web") is None
    assert names.container("lab_web") is not None


def test_a_pipe_a_folder_and_a_huge_file_are_passed_over(node, names, tmp_path):
    for number, make in enumerate(
        (os.mkfifo, os.mkdir, lambda path: path.write_bytes(b"") or os.truncate(path, 1 << 40))
    ):
        place = tmp_path / f"{TASKS}/k8s.io/{number:064x}/config.json"
        place.parent.mkdir(parents=True)
        make(place)
        assert names.container(f"{number:064x}") is None
    node(f"{TASKS}/k8s.io/{WEB}/config.json", {"annotations": CONTAINERD})
    assert names.containers_called("web") == [ContainerName(WEB, "web", POD)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "annotations",
                    "linux",
                    "cgroupsPath",
                    "Config",
                    "Labels",
                    "Name",
                    "id",
                    "names",
                    *CRIO,
                    *LABELS,
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_document_is_read(document):
    data = json.dumps(document).encode()
    assert from_bundle(WEB, data).id == WEB
    assert from_docker(WEB, data).id == WEB
    assert all(key == found.id for key, found in from_storage(data).items())


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, '"\\ud800"', "null", "[]", '{"annotations": 1}', "\0"]
)
def test_damaged_files_are_passed_over(node, names, content):
    for path in (
        f"{TASKS}/k8s.io/{OTHER}/config.json",
        f"var/lib/docker/containers/{OTHER}/config.v2.json",
        f"{OVERLAY}/containers.json",
        f"{OVERLAY}/{OTHER}/userdata/config.json",
        "etc/docker/daemon.json",
        "etc/containers/storage.conf",
    ):
        node(path, content)
    node(f"{TASKS}/k8s.io/{WEB}/config.json", {"annotations": CONTAINERD})
    assert names.container(WEB) == ContainerName(WEB, "web", POD)
    found = names.container(OTHER)
    assert found is None or (found.name, found.pod) == (None, None)
    assert names.containers_called("web") == [ContainerName(WEB, "web", POD)]


def test_labels_of_crio_that_are_damaged_leave_the_rest(node, names):
    notes = {**CRIO, "io.kubernetes.cri-o.Labels": "{", "io.kubernetes.container.name": "web"}
    node(f"{OVERLAY}/{WEB}/userdata/config.json", {"annotations": notes})
    assert names.container(WEB) == ContainerName(WEB, "web", None)


def test_other_files_beside_those_of_containers_are_passed_over(node, names):
    node("var/lib/containers/storage/vfs-layers/containers.json", PODMAN)
    node(f"var/log/containers/cart-0_shop_web-{WEB}.log", "no link")
    node(f"var/log/containers/cart-0_shop_other-{SANDBOX}.log", "no link")
    node("var/log/containers/some.log", "")
    assert names.container(OTHER) is None
    assert names.container(WEB) == ContainerName(WEB, "web", None)
    assert names.containers_called("other") == [ContainerName(SANDBOX, "other", None)]


def test_what_is_kept_of_files_has_an_end(node, names, monkeypatch):
    monkeypatch.setattr("runner.host.node_files._MOST_KEPT", 2)
    for number in range(5):
        node(f"{TASKS}/k8s.io/{number:064x}/config.json", {"annotations": CONTAINERD})
        assert names.container(f"{number:064x}").name == "web"
    assert len(names._files._kept) <= 2
    assert len(names.containers_called("web")) == 5


@pytest.mark.parametrize("name", ["\x1b[2J", "a b", "", "-x", "a/b", "é", 7])
def test_a_name_that_no_engine_allows_is_none(node, names, name):
    node(
        f"{TASKS}/k8s.io/{WEB}/config.json",
        {"annotations": {**CONTAINERD, "io.kubernetes.cri.container-name": name}},
    )
    assert names.container(WEB) == ContainerName(WEB, None, POD)


def test_this_host_can_be_asked():
    names = NodeNames()
    assert names.container(WEB) is None
    assert isinstance(names.pods(), list)

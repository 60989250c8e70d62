"""Cgroups by path, container and pod on hosts of every kind: what is found, and what is refused by its reason."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.cgroup_facts import cgroup_facts
from runner.cgroup_names import CgroupNames
from runner.errors import HostRefused, ValueRefused
from runner.host.cgroups import Hierarchy, is_inside, parse_mounts, path_in
from runner.host.facts import CgroupFacts, CgroupPlace
from runner.host.pod_names import NodeNames
from runner.host.target_cgroups import Host, find_cgroup, find_container, find_pod
from runner.plan import _that_have
from runner.recipe.by import split_by
from runner.recipe.catalogue import find_recipe
from runner.recipe.cgroups import Cgroups, parse_cgroup, parse_container, parse_pod
from runner.targets import TargetWatch, missing_folders

ID = "5d2d9b4b1b7d7a4d5a3f0f3fb7c6ff1d8ea9f3f8f0b5b8ffcb2f20e7c5a7a001"
OTHER = "5d2d9b4b1b7d" + "0" * 52
UID = "22fd933a-ee61-46bd-93ae-ebace73c1160"
FLAT = UID.replace("-", "_")
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{FLAT}.slice"

V1 = """\
30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,xattr,name=systemd
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory
"""
HYBRID = V1 + "34 30 0:30 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw,nsdelegate\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


class Node:
    """A node whose cgroup file systems are plain directories."""

    def __init__(self, root):
        self.root = root

    def mounted(self, mountinfo):
        for line in mountinfo.splitlines():
            (self.root / line.split()[4].lstrip("/").replace("\\040", " ")).mkdir(parents=True, exist_ok=True)
        found = parse_mounts(mountinfo, self.root)
        for each in found:
            (each.mount / "cgroup.procs").write_text("1\n")
        self.host = Host(found, NodeNames(self.root), self.root)
        return self.host

    def make(self, mount, path, processes="4711\n"):
        folder = self.root / mount.lstrip("/") / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        while not (folder / "cgroup.procs").exists():
            (folder / "cgroup.procs").write_text("")
            folder = folder.parent
        (self.root / mount.lstrip("/") / path.strip("/") / "cgroup.procs").write_text(processes)

    def write(self, path, content):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("mountinfo", "names"),
    [
        (V2, ["v2"]),
        (V1, ["memory", "cpu", "name=systemd"]),
        (HYBRID, ["v2", "memory", "cpu", "name=systemd"]),
    ],
    ids=["v2", "v1", "hybrid"],
)
def test_hierarchies_are_those_that_are_mounted(node, mountinfo, names):
    mounted = node.mounted(mountinfo).mounted
    assert [each.name for each in mounted] == names
    assert [each.is_seen_by_programs for each in mounted] == [name != "name=systemd" for name in names]


def test_mounts_of_parts_with_blanks_and_from_above(node):
    part = "31 30 0:27 /docker/me /sys/fs/cgroup/part rw - cgroup cgroup rw,memory\n"
    wide = "32 30 0:27 / /sys/fs/cgroup/with\\040blank rw - cgroup cgroup rw,memory\n"
    above = "33 30 0:29 /../.. /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    (only,) = node.mounted(part).mounted
    assert (only.root, only.directory("/docker/me/a")) == ("/docker/me", only.mount / "a")
    assert only.directory("/docker/other") is None
    assert only.directory("/docker/mean") is None
    memory, pids = node.mounted(part + wide + above).mounted
    assert (memory.mount.name, memory.root) == ("with blank", "/")
    assert (pids.name, pids.root) == ("pids", "/")
    node.make("/sys/fs/cgroup/part", "/a/b")
    place = only.place_of(only.mount / "a" / "b")
    assert (place.path, place.level) == ("/docker/me/a/b", 4)


def test_a_path_is_looked_for_where_processes_are(node):
    host = node.mounted(HYBRID)
    path = "/system.slice/nginx.service"
    node.make("/sys/fs/cgroup/unified", path, "")
    node.make("/sys/fs/cgroup/memory", path, "12\n")
    (place,) = find_cgroup(path, host)
    assert (place.hierarchy, place.path, place.level) == ("memory", path, 2)
    assert find_cgroup(path.strip("/"), host) == (place,)
    (named,) = find_cgroup(f"/sys/fs/cgroup/unified{path}", host)
    assert (named.hierarchy, named.subsystem) == ("v2", None)
    assert named.id == (node.root / f"sys/fs/cgroup/unified{path}").stat().st_ino
    (everything,) = find_cgroup("/", host)
    assert (everything.path, everything.level) == ("/", 0)


def test_a_line_of_proc_names_its_hierarchy(node):
    host = node.mounted(HYBRID)
    for mount in ("unified", "memory", "cpu,cpuacct"):
        node.make(f"/sys/fs/cgroup/{mount}", "/a:b")
    for line, hierarchy in (("0::/a:b", "v2"), ("8:memory:/a:b", "memory"), ("3:cpu,cpuacct:/a:b", "cpu")):
        (place,) = find_cgroup(line, host)
        assert (place.hierarchy, place.path) == (hierarchy, "/a:b")
    node.make("/sys/fs/cgroup/systemd", "/only")
    assert "name=systemd has no controller" in refused(find_cgroup, "1:name=systemd:/only", host)
    assert "there is no such cgroup" in refused(find_cgroup, "8:pids:/a:b", host)


def test_cgroups_that_bear_the_name_of_another_are_told_apart_or_refused(node):
    """Whoever may make cgroups can give them any name."""
    host = node.mounted(V2)
    node.make("/sys/fs/cgroup", f"/system.slice/docker-{ID}.scope")
    node.make("/sys/fs/cgroup", f"/user/{ID}", "")
    (place,) = find_container(ID, host)
    assert place.path == f"/system.slice/docker-{ID}.scope"
    node.make("/sys/fs/cgroup", f"/user.slice/docker-{ID}.scope")
    assert "there are 2 cgroups with processes" in refused(find_container, ID, host)
    node.make("/sys/fs/cgroup", f"/kubepods/burstable/pod{UID}/{OTHER}")
    node.make("/sys/fs/cgroup", f"/user/pod{UID}", "")
    (place,) = find_pod(UID, host)
    assert place.path == f"/kubepods/burstable/pod{UID}"
    node.make("/sys/fs/cgroup", f"/user/pod{UID}/x")
    assert "there are 2 cgroups with processes" in refused(find_pod, UID, host)


def refused(find, text, host):
    with pytest.raises(ValueRefused) as caught:
        find(text, host)
    return f"{caught.value.message} {caught.value.hint}"


def test_what_is_no_cgroup_is_refused_with_what_is_near(node):
    host = node.mounted(HYBRID)
    node.make("/sys/fs/cgroup/memory", "/system.slice/nginx.service")
    node.make("/sys/fs/cgroup/systemd", "/user.slice")
    assert "did you mean --cgroup /system.slice/nginx.service?" in refused(find_cgroup, "nginx.service", host)
    assert "there is no such cgroup" in refused(find_cgroup, "/etc", host)
    (node.root / "sys/fs/cgroup/memory/just-a-directory").mkdir()
    assert "there is no such cgroup" in refused(find_cgroup, "/sys/fs/cgroup/memory/just-a-directory", host)
    for text in ("/sys/fs/cgroup/systemd/user.slice", "/user.slice"):
        assert "the hierarchy name=systemd has no controller" in refused(find_cgroup, text, host)


CONTAINERS = {
    "docker, cgroupfs": (V1, "/sys/fs/cgroup/memory", f"/docker/{ID}"),
    "docker, systemd": (V2, "/sys/fs/cgroup", f"/system.slice/docker-{ID}.scope"),
    "containerd, cgroupfs": (V1, "/sys/fs/cgroup/memory", f"/kubepods/burstable/pod{UID}/{ID}"),
    "containerd, systemd": (V2, "/sys/fs/cgroup", f"{SLICE}/cri-containerd-{ID}.scope"),
    "containerd, mixed": (HYBRID, "/sys/fs/cgroup/memory", f"/system.slice/containerd.service/kubepods-pod{FLAT}.slice:cri-containerd:{ID}"),
    "CRI-O, systemd": (V2, "/sys/fs/cgroup", f"{SLICE}/crio-{ID}.scope"),
    "CRI-O, cgroupfs": (HYBRID, "/sys/fs/cgroup/memory", f"/kubepods/besteffort/pod{UID}/crio-{ID}"),
    "podman": (V2, "/sys/fs/cgroup", f"/machine.slice/libpod-{ID}.scope"),
}  # fmt: skip


@pytest.mark.parametrize("layout", CONTAINERS)
def test_a_container_is_found_in_every_layout(node, layout):
    mountinfo, mount, path = CONTAINERS[layout]
    host = node.mounted(mountinfo)
    node.make(mount, f"{path}/inner")
    if layout.startswith(("CRI-O", "podman")):
        prefix = "crio" if layout.startswith("CRI-O") else "libpod"
        node.make(mount, f"{path.rpartition('/')[0]}/{prefix}-conmon-{ID}.scope")
    for text in (ID, ID[:12], ID[:6]):
        (place,) = find_container(text, host)
        assert place.path == path
    if "pod2" in path:
        places = find_pod(UID, host)
        own = path if "mixed" in layout else path.rpartition("/")[0]
        assert [place.path for place in places] == [own]


def test_a_container_is_found_by_its_name_and_not_by_half_of_two_ids(node):
    host = node.mounted(V2)
    for each, name in ((ID, "web"), (OTHER, "db")):
        node.make("/sys/fs/cgroup", f"/docker/{each}")
        node.write(
            f"var/lib/docker/containers/{each}/config.v2.json", {"ID": each, "Name": f"/{name}", "Config": {}}
        )
    (place,) = find_container("web", host)
    assert place.path == f"/docker/{ID}"
    said = refused(find_container, ID[:12], host)
    assert "there are 2 such containers" in said
    assert "(web)" in said
    assert "(db)" in said
    assert "did you mean --container web?" in refused(find_container, "wed", host)
    # Too short to be the beginning of an id.
    assert "there is no such container" in refused(find_container, ID[:5], host)


def test_a_pod_is_found_by_its_name_and_is_asked_for_by_namespace_where_there_are_two(node):
    host = node.mounted(V2)
    other = UID.replace("22fd", "33fd")
    node.make("/sys/fs/cgroup", f"/kubepods/burstable/pod{UID}/{ID}")
    (node.root / f"var/log/pods/shop_cart-0_{UID}").mkdir(parents=True)
    for text in ("shop/cart-0", "cart-0", UID):
        (place,) = find_pod(text, host)
        assert place.path == f"/kubepods/burstable/pod{UID}"
    # It has ended: its files are there, and its cgroup is not.
    (node.root / f"var/log/pods/test_cart-0_{other}").mkdir(parents=True)
    assert find_pod("cart-0", host) == (place,)
    assert "it has ended" in refused(find_pod, "test/cart-0", host)
    node.make("/sys/fs/cgroup", f"/kubepods/besteffort/pod{other}/{OTHER}")
    said = refused(find_pod, "cart-0", host)
    assert "there is one in 2 namespaces: shop/cart-0, test/cart-0" in said
    assert "--pod shop/cart-0" in said
    assert "did you mean --pod shop/cart-0" in refused(find_pod, "shop/card-0", host)


def test_lines_of_proc_say_who_is_inside():
    place = CgroupPlace("memory", 4, "/kubepods/pod1", 2, 44)
    unified = CgroupPlace("v2", None, "/kubepods/pod1", 2, 44)
    lines = b"4:memory:/kubepods/pod1/c\n3:cpu,cpuacct:/\n1:name=systemd:/a:b\n0::/kubepods/pod10\n"
    assert path_in(lines, "cpuacct") == "/"
    assert path_in(lines, "pids") is None
    assert is_inside(lines, place, is_exact=False)
    assert not is_inside(lines, place, is_exact=True)
    assert not is_inside(lines, unified, is_exact=False)
    assert is_inside(b"0::/kubepods/pod1\n", unified, is_exact=True)
    assert is_inside(lines, CgroupPlace("v2", None, "/", 0, 1), is_exact=False)
    assert not is_inside(b"", place, is_exact=False)
    # All but a newline may stand in a name.
    for line in ("0::/kubepods/pod1\u2028other\n", "9:name=systemd:/x\x0c0::/kubepods/pod1\n"):
        assert not is_inside(line.encode(), unified, is_exact=False)


def facts(*places, **more):
    return CgroupFacts(1000, {"cgroup a": tuple(places)}, **more)


def test_programs_compare_the_ancestor_at_the_level_of_what_was_asked_for():
    places = CgroupPlace("v2", None, "/a/b", 2, 101), CgroupPlace("memory", 4, "/a", 1, 7)
    asked = [parse_cgroup("a")]
    cgroups = Cgroups(asked, facts(*places), is_key=False)
    assert str(cgroups.matches()) == "($cgroup_v2_2 == (uint64)101 || $cgroup_v1_4_1 == (uint64)7)"
    reads = str(cgroups.reads)
    assert "$cgroup_v2 = (uint64)curtask->cgroups->dfl_cgrp;" in reads
    assert "$cgroup_v1_4 = (uint64)curtask->cgroups->subsys[4]->cgroup;" in reads
    assert "level >= 2) {\n    $cgroup_v2_2 = *(uint64 *)kptr($cgroup_v2 + 1016);" in reads
    assert "level == 2) {" in str(Cgroups(asked, facts(*places, is_exact=True), is_key=False).reads)
    nothing = Cgroups([], facts(), is_key=False)
    assert (bool(nothing), str(nothing.matches())) == (False, "1")
    key = Cgroups([], facts(by="memory", subsystem=4), is_key=True)
    assert "$cgroup = (uint64)((struct kernfs_node *)" in str(key.reads)
    assert bool(key)
    assert not key.are_filtered
    with pytest.raises(HostRefused, match="the host itself has to say"):
        Cgroups([parse_pod("a/b")], facts(), is_key=False)


@pytest.mark.parametrize(
    ("parse", "text", "meant"),
    [
        (parse_cgroup, "4:cpu,cpuacct:/docker/1", "4:cpu,cpuacct:/docker/1"),
        (parse_cgroup, "/", "/"),
        (parse_cgroup, "a b/c:d", "a b/c:d"),
        (parse_container, f"containerd://{ID}", ID),
        (parse_container, "k8s_web.1", "k8s_web.1"),
        (parse_pod, "kube-system/coredns-5d78c9869d-2xjzq", "kube-system/coredns-5d78c9869d-2xjzq"),
        (parse_pod, "a.b", "a.b"),
        (parse_cgroup, "", None),
        (parse_cgroup, "//", None),
        (parse_cgroup, "a/../b", None),
        (parse_cgroup, "a\nb", None),
        (parse_cgroup, "x" * 5000, None),
        (parse_container, "", None),
        (parse_container, "-x", None),
        (parse_container, "a/b", None),
        (parse_pod, "", None),
        (parse_pod, "a/b/c", None),
        (parse_pod, "a/", None),
        (parse_pod, "-a", None),
        (parse_pod, "Name", None),
    ],
)
def test_words_of_the_command_line(parse, text, meant):
    if meant is None:
        with pytest.raises(ValueError, match=r"path|container|pod"):
            parse(text)
    else:
        assert parse(text).text == meant


def test_a_recipe_is_split_where_it_says_whose_something_was():
    loaded = split_by(find_recipe("tcp-retrans"), "pod")
    keys = {output.name: [key.name for key in output.keys] for output in loaded.recipe.outputs}
    assert keys["retransmits"][0] == "pod"
    assert keys["retransmits_total"] == []
    assert loaded.recipe.split_by == "pod"
    assert find_recipe("tcp-retrans").recipe.split_by is None
    opens = split_by(find_recipe("file-opens"), "container").recipe
    assert opens.events[0].fields[0].name == "container"
    with pytest.raises(ValueRefused, match="it is one of cgroup, container, pod"):
        split_by(find_recipe("syscount"), "uid")
    with pytest.raises(ValueRefused, match="softirqs cannot say --by pod"):
        split_by(find_recipe("softirqs"), "pod")


CALLS = TableDeclaration(
    "calls", "@calls", "count", "calls", (KeyDeclaration("pod", "cgroup"), KeyDeclaration("port", "port"))
)


def test_rows_of_one_pod_are_one_and_those_of_nobody_are_marked():
    plain = Evidence.of((0, 21, 0))
    printed = (
        b'{"type": "map", "data": {"@calls": {"7,80": 5, "8,80": 3, "9,80": 2, "10,80": 4, "0,80": 1}}}\n'
    )
    labels = {7: "a/b", 8: "a/b", 9: None}
    context = Context(plain.dialect, Names("little", cgroups=labels), 100)
    (table,), problems = decode_tables([CALLS], read_messages(printed, plain), context)
    rows = [(row["key"]["pod"], row["value"], "unattributed" in row) for row in table["rows"]]
    assert sorted(rows, key=str) == [("a/b", 8, False), (None, 2, False), (None, 5, True)]
    assert [(each["code"], each["count"]) for each in problems] == [("cgroups-unnamed", 1)]


def test_cgroups_that_come_during_a_run_have_names(node):
    host = node.mounted(V2)
    node.make("/sys/fs/cgroup", f"/docker/{OTHER}")
    with CgroupNames("container", "v2", host) as names:
        node.make("/sys/fs/cgroup", f"/kubepods/pod{UID}/{ID}/inner")
        inner = (node.root / f"sys/fs/cgroup/kubepods/pod{UID}/{ID}/inner").stat().st_ino
        wait_until(lambda: inner in names.labels)
        assert names.labels[inner] == ID[:12]
        # An engine writes its files after it made the cgroup.
        node.write(
            f"var/lib/docker/containers/{ID}/config.v2.json", {"ID": ID, "Name": "/late", "Config": {}}
        )
        wait_until(lambda: names.labels[inner] == "late")
        assert names.labels[(node.root / "sys/fs/cgroup").stat().st_ino] is None
        assert names.label_of(f"0::/docker/{OTHER}/x\n".encode()) == OTHER[:12]
    assert not any(each.name == "cgroups" for each in threading.enumerate())


def test_a_cgroup_whose_name_is_not_utf_8_has_its_bytes(node):
    host = node.mounted(V2)
    (node.root / os.fsdecode(b"sys/fs/cgroup/bad\xff")).mkdir()
    with CgroupNames("cgroup", "v2", host) as names:
        pass
    assert {"text": "/bad\ufffd", "base64": "L2JhZP8="} in names.labels.values()


def test_pods_that_only_their_containers_name_are_named(node):
    host = node.mounted(V2)
    node.make("/sys/fs/cgroup", f"/kubepods/pod{UID}/{ID}")
    node.write(
        f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json",
        {"annotations": {
            "io.kubernetes.cri.sandbox-name": "cart-0", "io.kubernetes.cri.sandbox-namespace": "shop",
            "io.kubernetes.cri.sandbox-uid": UID, "io.kubernetes.cri.container-name": "web",
        }},
    )  # fmt: skip
    with CgroupNames("pod", "v2", host) as names:
        folder = node.root / f"sys/fs/cgroup/kubepods/pod{UID}"
        wait_until(lambda: names.labels[folder.stat().st_ino] == "shop/cart-0")
        assert names.labels[(folder / ID).stat().st_ino] == "shop/cart-0"


@pytest.mark.parametrize(
    ("mountinfo", "mount", "expected"),
    [
        (HYBRID, "unified", "v2"),
        (HYBRID, "memory", "memory"),
        (HYBRID, None, "memory"),
        (V2, None, "v2"),
        (V2 + "40 30 0:40 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n", None, "v2"),
    ],
)
def test_keys_are_of_the_hierarchy_that_has_the_containers(node, monkeypatch, mountinfo, mount, expected):
    host = node.mounted(mountinfo)
    if mount is not None:
        node.make(f"/sys/fs/cgroup/{mount}", f"/docker/{ID}")
    monkeypatch.setattr(Host, "here", lambda: host)
    found = cgroup_facts({}, is_key=True)
    assert found.by == expected
    assert (found.subsystem is None) == (expected == "v2")


def test_cgroups_have_names_where_the_kernel_tells_of_none(node, monkeypatch):
    """No watches are left: they are looked for again and again."""
    import inotify_simple

    def no_watch(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", no_watch)
    host = node.mounted(V2)
    with CgroupNames("cgroup", "v2", host) as names:
        node.make("/sys/fs/cgroup", "/later")
        wait_until(lambda: "/later" in names.labels.values())


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_run_for_cgroups_ends_with_the_last_of_them(tmp_path):
    ended = threading.Event()
    folders = [tmp_path / "a", tmp_path / "b"]
    for each in folders:
        each.mkdir()
    with TargetWatch((), ended.set, [(each, each.stat().st_ino) for each in folders]) as watch:
        watch.begin()
        folders[0].rmdir()
        assert not ended.wait(0.6)
        # Another one of its name.
        folders[1].rename(tmp_path / "c")
        folders[1].mkdir()
        assert ended.wait(5)
    assert missing_folders([(tmp_path / "c", (tmp_path / "c").stat().st_ino), (folders[0], 1)]) == [
        folders[0]
    ]


def test_a_hierarchy_without_processes_is_empty():
    assert not Hierarchy("v2", (), Path("/nowhere")).is_populated("/a")


def test_files_are_looked_for_in_the_containers_that_have_them():
    """A pod's containers differ; where none has the file, the message is about the first."""
    own, nobody = os.getpid(), 1 << 22
    assert _that_have("/proc/self/status", [nobody, own]) == [own]
    assert _that_have("/no/such", [nobody, own]) == [nobody, own]
    assert _that_have("libc", [nobody, own]) == [nobody, own]

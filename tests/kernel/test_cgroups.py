"""Cgroups, containers and pods: counted exactly, whenever they begin, on cgroups of both versions."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ebpf_recipe
from tests.kernel.recipes import run_beside, run_recipe
from tests.kernel.test_run import started
from tests.laboratory.cgroups import CONTAINER, OTHER_CONTAINER, POD, cgroup_tree, enter, inside
from tests.laboratory.children import child
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

CALLS = ("--syscall", "getppid")
GRANDCHILD, LATER, SIBLING, OUTSIDE = 1000, 700, 500, 300
NAME = "ebpf-recipe-test"


def calling(*steps):
    plan = json.dumps([{"folder": str(folder), "calls": calls} for folder, calls in steps])
    return [sys.executable, "-m", "tests.laboratory.cgroups", "calls", plan]


class Pod:
    """A tree shaped like a pod of the kubelet's, with a container in it, and a sibling."""

    def __init__(self, top):
        self.top = top
        self.folder = top / "kubepods" / f"pod{POD}"
        self.container = self.folder / CONTAINER
        self.grandchild = self.container / "inner"
        self.later = self.folder / OTHER_CONTAINER
        # Its name begins with the pod's.
        self.sibling = top / "kubepods" / f"pod{POD}x" / "a"
        for each in (self.grandchild, self.sibling):
            each.mkdir(parents=True)

    @property
    def load(self):
        """A command: calls in the grandchild, in a container that it makes then, in the sibling, and in none."""
        return calling(
            (self.grandchild, GRANDCHILD), (self.later, LATER), (self.sibling, SIBLING), (self.top, OUTSIDE)
        )


@pytest.fixture(params=[2, 1], ids=["v2", "v1"])
def either(request):
    """A pod in cgroups of each version."""
    with cgroup_tree(request.param) as top:
        yield Pod(top)


@pytest.fixture
def pod():
    with cgroup_tree(2) as top:
        yield Pod(top)


@contextlib.contextmanager
def known_to_the_kubelet(namespace="test-space", name=NAME):
    """Have the node's files say what the pod and its first container are called."""
    logs = Path("/var/log/pods")
    made = [each for each in (logs, *logs.parents) if not each.exists()]
    folder = logs / f"{namespace}_{name}_{POD}"
    (folder / "web").mkdir(parents=True)
    links = Path("/var/log/containers")
    made_links = not links.exists()
    links.mkdir(exist_ok=True)
    link = links / f"{name}_{namespace}_web-{CONTAINER}.log"
    link.symlink_to(folder / "web" / "0.log")
    try:
        yield
    finally:
        link.unlink()
        shutil.rmtree(folder)
        for each in [*made, *([links] if made_links else [])]:
            each.rmdir()


def calls_of(run):
    return sum(row["value"] for row in run.tables["calls"] if row["key"]["comm"] == "in-cgroup")


def test_a_pod_is_what_is_in_it_now_and_later_and_nothing_beside_it(bpftrace, either, truth):
    pod = either
    run = run_recipe("syscount", *CALLS, "--cgroup", str(pod.folder), bpftrace=bpftrace, command=pod.load)
    truth(
        "syscount", "calls in a pod's cgroup",
        "in a grandchild, in a container made later, in a sibling of like name "
        f"({'cgroup v2' if run.capture['program']['cgroups'][0]['hierarchy'] == 'v2' else 'cgroup v1'})",
        release_of(bpftrace), calls_of(run), GRANDCHILD + LATER, "the load",
    )  # fmt: skip
    assert run.agrees(calls_of(run), GRANDCHILD + LATER)
    (found,) = run.capture["program"]["cgroups"]
    assert found["path"].endswith(f"/kubepods/pod{POD}")
    assert found["id"] == pod.folder.stat().st_ino


def test_exactly_one_cgroup_and_together_with_a_name(bpftrace, either):
    pod = either

    # It is asked for by its path before the load is there.
    pod.later.mkdir()
    filters = {
        ("--cgroup", str(pod.folder), "--exact"): 0,
        ("--cgroup", str(pod.later), "--cgroup", str(pod.sibling), "--comm", "in-*"): LATER + SIBLING,
        ("--cgroup", str(pod.folder), "--comm", "somebody-else"): 0,
    }
    runs = run_beside("syscount", *((*CALLS, *each) for each in filters), bpftrace=bpftrace, command=pod.load)
    for run, (arguments, expected) in zip(runs, filters.items(), strict=True):
        assert calls_of(run) == expected, arguments


def test_pods_and_containers_have_their_names(bpftrace, pod):
    with known_to_the_kubelet():
        filters = {
            ("--pod", f"test-space/{NAME}"): GRANDCHILD + LATER,
            ("--pod", NAME): GRANDCHILD + LATER,
            ("--container", CONTAINER[:12]): GRANDCHILD,
            ("--container", "web"): GRANDCHILD,
        }
        runs = run_beside(
            "syscount", *((*CALLS, *each) for each in filters), bpftrace=bpftrace, command=pod.load
        )
    for run, (arguments, expected) in zip(runs, filters.items(), strict=True):
        assert run.agrees(calls_of(run), expected), arguments
        option, value = arguments
        assert run.capture["target"] == {option.removeprefix("--"): [value]}


def test_rows_say_in_which_pod_and_container_it_was(bpftrace, pod):
    with known_to_the_kubelet():
        runs = run_beside(
            "syscount", *((*CALLS, "--by", what, "--cgroup", str(pod.top)) for what in ("pod", "container", "cgroup")),
            bpftrace=bpftrace, command=pod.load,
        )  # fmt: skip
    paths = {str(path)[len(str(pod.top.parent)) :]: calls for path, calls in (
        (pod.grandchild, GRANDCHILD), (pod.later, LATER), (pod.sibling, SIBLING), (pod.top, OUTSIDE)
    )}  # fmt: skip
    expected = {
        "pod": {f"test-space/{NAME}": GRANDCHILD + LATER, None: SIBLING + OUTSIDE},
        "container": {"web": GRANDCHILD, OTHER_CONTAINER[:12]: LATER, None: SIBLING + OUTSIDE},
        "cgroup": paths,
    }
    for run, (what, wanted) in zip(runs, expected.items(), strict=True):
        counts = {}
        for row in run.tables["calls"]:
            if row["key"]["comm"] == "in-cgroup":
                assert "unattributed" not in row
                counts[row["key"][what]] = counts.get(row["key"][what], 0) + row["value"]
        assert run.capture["recipe"]["by"] == what
        assert counts == wanted or run.missed, what


def test_a_run_ends_with_its_container(bpftrace, pod):
    """It stops: its process ends, and its cgroup is removed. What was counted is kept."""
    command = ("run", "syscount", "--bpftrace", bpftrace, "-f", "json", "-d", "30s", *CALLS)
    with started(*command, "--cgroup", str(pod.container)) as (run, wait_for):
        wait_for("tracing")
        subprocess.run(inside(pod.grandchild, calling((pod.grandchild, 50))), check=True)
        subprocess.run(["sh", "-c", f"sleep 0.3; rmdir {pod.grandchild} {pod.container}"], check=True)
        wait_for("what it was asked for has ended")
        stdout, _ = run.communicate(timeout=20)
    capture = json.loads(stdout)
    assert run.returncode == 0
    assert capture["window"]["ended_by"] == "target"
    assert capture["window"]["duration_seconds"] < 20
    (table,) = (table for table in capture["tables"] if table["name"] == "calls")
    assert sum(row["value"] for row in table["rows"] if row["key"]["comm"] == "in-cgroup") == 50


def test_a_cgroup_that_is_made_anew_is_another_one(bpftrace, pod):
    """As a service that starts again: what is counted is what there was, and the capture says so."""
    step = " ".join(map(shlex.quote, calling((pod.later, 40))))
    command = f"rmdir {pod.later}; {step}"
    pod.later.mkdir()
    run = run_recipe(
        "syscount", *CALLS, "--cgroup", str(pod.later), bpftrace=bpftrace, command=["sh", "-c", command],
        allowed=("target-gone",),
    )  # fmt: skip
    assert calls_of(run) == 0
    assert run.problems == {"target-gone"}


def test_files_are_those_that_the_container_sees(bpftrace, pod, tmp_path):
    """A library by its path is another file in another mount namespace."""
    script = (
        f"mkdir {tmp_path}/own && cp -L /lib/x86_64-linux-gnu/libc.so.6 {tmp_path}/own/libc.so.6 && "
        f"mount --bind {tmp_path}/own/libc.so.6 /lib/x86_64-linux-gnu/libc.so.6 && "
        f"exec {sys.executable} -c 'import os, time; print(1, flush=True); input(); "
        "import ctypes; libc = ctypes.CDLL(None); [libc.getppid() for _ in range(40)]; time.sleep(1)'"
    )
    with child(
        ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout.readline() == b"1\n"
        enter(pod.container, one.pid)
        told = f"echo > /proc/{one.pid}/fd/0; sleep 1"
        run = run_recipe(
            "function-calls", "--function", "/lib/x86_64-linux-gnu/libc.so.6:getppid", "--cgroup",
            str(pod.container), bpftrace=bpftrace, command=["sh", "-c", told],
        )  # fmt: skip
    assert run.total("calls") == 40
    assert run.capture["program"]["functions"][0]["path"].startswith(f"/proc/{one.pid}/root/")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--cgroup", "/proc"), 3, "there is no such cgroup"),
        (("--cgroup", "/no/such"), 3, "there is no such cgroup"),
        (("--cgroup", "kubepods/../.."), 3, "has no .."),
        (("--container", "web"), 3, "there is no such container"),
        (("--container", "a b"), 3, "not the id or name of a container"),
        (("--pod", "default/nothing"), 3, "there is no such pod on this node"),
        (("--pod", "UPPER"), 3, "not the name of a pod"),
        (("--exact",), 2, "--exact says something of --cgroup, --container and --pod alone"),
        (("--by", "node"), 3, "it is one of cgroup, container, pod"),
    ],
)
def test_what_is_none_is_told(arguments, code, said):
    done = ebpf_recipe("run", "syscount", "-d", "1s", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_a_pod_of_two_namespaces_is_asked_for_with_one(pod):
    other = POD.replace("8d2f", "9e3a")
    (pod.folder.parent / f"pod{other}").mkdir()
    twin = Path("/var/log/pods") / f"other-space_{NAME}_{other}"
    with known_to_the_kubelet():
        twin.mkdir()
        try:
            done = ebpf_recipe("run", "syscount", "-d", "1s", "--pod", NAME)
        finally:
            twin.rmdir()
    assert done.returncode == 3
    assert f"one in 2 namespaces: other-space/{NAME}, test-space/{NAME}" in done.stderr
    assert f"--pod other-space/{NAME}" in done.stderr


def test_a_recipe_that_knows_no_task_refuses_cgroups():
    done = ebpf_recipe("run", "packet-drops", "--pod", "a/b")
    assert done.returncode == 3
    assert "packet-drops cannot honour --pod: most packets are dropped in a softirq" in done.stderr
    done = ebpf_recipe("run", "biolatency", "--by", "pod")
    assert done.returncode == 3
    assert "biolatency cannot say --by pod: a request is done in an interrupt" in done.stderr


def test_the_hierarchy_without_a_controller_is_refused_by_its_name():
    named = Path("/sys/fs/cgroup/systemd")
    if not named.is_dir():
        pytest.skip("no such hierarchy is mounted here")
    folder = named / f"ebpf-recipe-{os.getpid()}"
    folder.mkdir()
    try:
        done = ebpf_recipe("run", "syscount", "--cgroup", str(folder))
    finally:
        folder.rmdir()
    assert done.returncode == 3
    assert "the hierarchy name=systemd has no controller, and programs cannot see it" in done.stderr

"""Every recipe that honours cgroups: two loads do the same, and what one of them does is all that is counted."""

import contextlib
import itertools
import json
import os
import shlex
import subprocess
import sys

import pytest

from runner.recipe.catalogue import find_recipe, recipe_ids
from tests.kernel.recipes import run_recipe
from tests.laboratory.cgroups import cgroup_tree, enter, inside
from tests.laboratory.children import child
from tests.laboratory.disk import disk
from tests.laboratory.load import asking, load
from tests.laboratory.network import lose_packets, one_segment_packets, stop_losing_packets
from tests.laboratory.prefork import prefork

pytestmark = pytest.mark.kernel

NAME, PORT = "worker", 8460
CONNECTIONS = 12
LIBRARY = "/lib/x86_64-linux-gnu/libc.so.6"


# Recipe: its parameters, what the loads are told, and what of its tables is compared with their answer. What it
# compares is exact where both count the same thing, and else a part of it that cannot come from the other load.
WORK = {
    "syscount": (("--syscall", "openat"), "opens 40 FOLDER", lambda run, _: (run.total("calls"), 80)),
    "syscall-latency": (("--syscall", "openat"), "opens 40 FOLDER", lambda run, _: (run.total("time", "count"), 80)),
    "file-opens": ((), "opens 40 FOLDER", lambda run, done: (run.total("opens"), done["succeeded"] + done["failed"])),
    "function-calls": (
        ("--function", f"{LIBRARY}:getppid"), "calls 70", lambda run, done: (run.total("calls"), done)
    ),
    "function-latency": (
        ("--function", f"{LIBRARY}:getppid"), "calls 70", lambda run, done: (run.total("time", "count"), done)
    ),
    "fork-rate": ((), "forks 20 10", lambda run, done: (run.total("created"), sum(done))),
    "execsnoop": ((), "starts 12 /bin/true", lambda run, done: (run.total("execs"), done[0])),
    "fileslower": (("--least", "1ns"), "reads FOLDER/file 0 30", lambda run, done: (len(run.events("slow")), len(done))),
    "sched-switches": ((), "sleep 30 5", lambda run, done: (min(run.total("switches"), 30), len(done))),
    "runqlat": ((), "sleep 30 5", lambda run, done: (min(run.total("waits", "count"), 30), len(done))),
    "offcpu": (("--least", "4ms"), "sleep 30 5", lambda run, done: (min(run.total("waits", "count"), 30), len(done))),
    "thread-time": ((), "sleep 30 5", lambda run, done: (min(run.total("time", "count", state="event"), 30), len(done))),
    "cpu-profile": ((), "spin 0.5", lambda run, _: (min(run.total("samples"), 10), 10)),
}  # fmt: skip
# They need a network, or a disk, and have their own test below; reads of the kernel's own need a probe that few have.
OTHERS = {"tcp-connects", "tcpconnlat", "tcptop", "tcp-retrans", "bitesize", "vfs-read-latency"}


def test_none_is_left_out():
    honouring = {each for each in recipe_ids() if "cgroup" in find_recipe(each).recipe.target.honours}
    assert honouring == WORK.keys() | OTHERS


@contextlib.contextmanager
def two_loads(folder):
    """Have two processes of one name, one in the cgroup that is asked for and one in another."""
    with cgroup_tree(2) as top, contextlib.ExitStack() as stack:
        mine, theirs = top / "mine" / "inner", top / "minelike"
        loads = []
        for place, group in enumerate((mine, theirs)):
            group.mkdir(parents=True)
            own = folder / str(place)
            own.mkdir()
            loads.append(stack.enter_context(load(NAME, own)))
            enter(group, loads[-1].pid)
        yield top / "mine", mine, loads


@pytest.mark.parametrize("recipe", WORK)
def test_what_a_cgroup_does_is_all_that_is_counted(bpftrace, tmp_path, recipe):
    arguments, words, compare = WORK[recipe]
    work = tmp_path / "work"
    work.mkdir()
    (work / "here").write_text("")
    (work / "file").write_bytes(os.urandom(4096))
    with two_loads(tmp_path) as (asked, inner, loads):
        run = run_recipe(
            recipe, *arguments, "--cgroup", str(asked), "--comm", NAME if recipe != "execsnoop" else "true",
            "--by", "cgroup", bpftrace=bpftrace, command=asking(words.replace("FOLDER", str(work)), *loads),
        )  # fmt: skip
        paths = {str(inner)[len(str(asked.parents[0].parent)) :]}
    ours, independent = compare(run, run.answers()[0])
    assert run.agrees(ours, independent)
    by = [row["key"]["cgroup"] for rows in run.tables.values() for row in rows if "cgroup" in row["key"]]
    by += [event["fields"]["cgroup"] for event in run.capture["events"]]
    assert set(by) == paths
    pids = {row["key"]["pid"] for rows in run.tables.values() for row in rows if "pid" in row["key"]}
    assert recipe == "execsnoop" or pids <= {loads[0].pid}


def dialing(client, server, folder, group):
    plan = {"address": server.ipv4, "port": PORT, "blocking": CONNECTIONS}
    words = [
        sys.executable,
        "-m",
        "tests.laboratory.dialer",
        NAME,
        json.dumps(plan),
        str(folder / group.name),
    ]
    return inside(group, client.command(words))


@pytest.mark.parametrize(("recipe", "table"), [("tcp-connects", "active"), ("tcpconnlat", "connects")])
def test_connections_belong_to_the_cgroup_that_opens_them(bpftrace, hosts, tmp_path, recipe, table):
    server, client = hosts
    with cgroup_tree(2) as top, prefork(server, "acceptor", server.ipv4, PORT, 1, tmp_path):
        groups = [top / "mine", top / "minelike"]
        for each in groups:
            each.mkdir()
        commands = " & ".join(shlex.join(dialing(client, server, tmp_path, each)) for each in groups)
        run = run_recipe(
            recipe, "--cgroup", str(groups[0]), "--by", "cgroup", bpftrace=bpftrace,
            command=["sh", "-c", f"{commands} & wait"],
        )  # fmt: skip
    rows = run.tables[table]
    assert run.agrees(sum(row.get("count", row.get("value")) for row in rows), CONNECTIONS)
    assert {row["key"]["cgroup"].rpartition("/")[2] for row in rows} == {"mine"}
    assert recipe != "tcp-connects" or run.tables["accepted"] == []


def test_bytes_belong_to_the_cgroup_that_moves_them(bpftrace, hosts, tmp_path):
    server, client = hosts
    with cgroup_tree(2) as top, contextlib.ExitStack() as stack:
        groups, fetches = [top / "mine", top / "minelike"], []
        for place, group in enumerate(groups):
            group.mkdir()
            words = [server.ipv4, str(PORT + 1 + place)]
            role = [sys.executable, "-m", "tests.laboratory.transfer"]
            out = str(tmp_path / f"serve-{place}")
            serving = stack.enter_context(
                child(server.command([*role, "serve", NAME, *words, out]), stdout=subprocess.PIPE)
            )
            assert serving.stdout.readline() == b"listening\n"
            enter(group, serving.pid)
            fetches.append(
                client.command([*role, "fetch", "fetcher", *words, str(tmp_path / f"fetch-{place}")])
            )
        run = run_recipe(
            "tcptop", "--cgroup", str(groups[0]), "--by", "cgroup", bpftrace=bpftrace,
            command=["sh", "-c", " && ".join(map(shlex.join, fetches)) + "; sleep 0.5"],
        )  # fmt: skip
    rows = [row for table in ("sent", "received") for row in run.tables[table]]
    assert {row["key"]["cgroup"].rpartition("/")[2] for row in rows} == {"mine"}
    assert {row["key"]["local_port"] for row in rows} == {PORT + 1}
    counted = json.loads((tmp_path / "serve-0").read_text())["connections"].values()
    expected = sum(one["sent"] for one in counted)
    assert run.total("sent") == expected or run.missed


def test_requests_belong_to_the_cgroup_that_submits_them(bpftrace, tmp_path):
    with disk(tmp_path) as one, cgroup_tree(2) as top:
        groups = [top / "mine", top / "minelike"]
        for each in groups:
            each.mkdir()
        reads = [
            shlex.join(
                inside(each, ["dd", f"if={one.path}", "of=/dev/null", "bs=64k", "count=100", "iflag=direct"])
            )
            for each in groups
        ]
        run = run_recipe(
            "bitesize", "--device", one.name, "--cgroup", str(groups[0]), "--by", "cgroup", bpftrace=bpftrace,
            command=["sh", "-c", f"({'; '.join(reads)}) 2>/dev/null; sleep 0.3"],
        )  # fmt: skip
    rows = run.tables["requests"]
    # A miss of the probe that remembers whose it is, is not told.
    assert 99 - run.missed <= sum(row["count"] for row in rows) <= 100
    assert {row["key"]["cgroup"].rpartition("/")[2] for row in rows} == {"mine"}


STALLED_PORTS = itertools.count(PORT + 20, 2)
"""Each time others: a client that is killed leaves sockets behind that are nobody's and send on."""


@contextlib.contextmanager
def two_servers(server, group_of, size):
    with contextlib.ExitStack() as stack:
        served = []
        for port, group in group_of.items():
            group.mkdir()
            serve = [sys.executable, "-m", "tests.laboratory.server", server.ipv4, str(port), "pay svc", size]
            process = stack.enter_context(child(server.command(serve), stdout=subprocess.PIPE))
            assert process.stdout.readline() == b"listening\n"
            enter(group, process.pid)
            served.append(process)
        yield served


def test_retransmits_belong_to_the_cgroup_of_the_sockets_owner(bpftrace, hosts):
    server, client = hosts
    times = 15
    with cgroup_tree(2) as top, one_segment_packets(server):
        groups = {PORT + 3: top / "mine", PORT + 4: top / "minelike"}
        lose_packets(client, 0.05)
        try:
            with two_servers(server, groups, "300000") as (mine, _):
                fetches = [
                    shlex.join(
                        client.command(
                            [
                                sys.executable,
                                "-m",
                                "tests.laboratory.client",
                                server.ipv4,
                                str(port),
                                str(times),
                            ]
                        )
                    )
                    for port in groups
                ]
                run = run_recipe(
                    "tcp-retrans", "--cgroup", str(top / "mine"), "--by", "cgroup", bpftrace=bpftrace,
                    command=["sh", "-c", f"{' & '.join(fetches)} & wait"],
                )  # fmt: skip
                expected = sum(int(mine.stdout.readline().split()[1]) for _ in range(times))
        finally:
            stop_losing_packets(client)
    rows = [row for table in ("retransmits", "synack_retransmits") for row in run.tables[table]]
    owned = [row for row in rows if row["key"]["pid"] is not None]
    assert {row["key"]["cgroup"].rpartition("/")[2] for row in owned} == {"mine"}
    assert {row["key"]["local_port"] for row in owned} == {PORT + 3}
    assert expected >= 20
    assert run.agrees(sum(row["value"] for row in owned), expected)


def test_a_socket_that_no_probe_saw_is_in_the_cgroup_of_its_holder(bpftrace, hosts):
    """Both connections stalled before the trace: who owns them, /proc says."""
    server, client = hosts
    port = next(STALLED_PORTS)
    with cgroup_tree(2) as top, contextlib.ExitStack() as stack:
        groups = {port: top / "mine", port + 1: top / "minelike"}
        stack.enter_context(two_servers(server, groups, "4000000"))
        asking_both = []
        for each in groups:
            ask = client.command(
                [sys.executable, "-m", "tests.laboratory.client", server.ipv4, str(each), "stall"]
            )
            asking_both.append(stack.enter_context(child(ask, stdin=subprocess.PIPE, stdout=subprocess.PIPE)))
            assert asking_both[-1].stdout.readline() == b"connected\n"
        lose_packets(client, 1.0)
        try:
            for each in asking_both:
                each.stdin.write(b"go\n")
                each.stdin.flush()
                assert each.stdout.readline() == b"asked\n"
            run = run_recipe(
                "tcp-retrans", "-d", "5s", "--cgroup", str(top / "mine"), "--by", "cgroup", bpftrace=bpftrace,
            )  # fmt: skip
        finally:
            stop_losing_packets(client)
    # What a test before left behind in this network is closed, and nobody's: it may send its last packet again.
    of_others = [
        row
        for row in run.tables["retransmits"]
        if not {row["key"]["local_port"], row["key"]["remote_port"]} & set(groups)
    ]
    assert all("unattributed" in row and row["key"]["pid"] is None for row in of_others), of_others
    rows = [row for row in run.tables["retransmits"] if row not in of_others]
    assert sum(row["value"] for row in rows) >= 5
    assert {row["key"]["local_port"] for row in rows} == {port}, rows
    assert {row["key"]["cgroup"].rpartition("/")[2] for row in rows} == {"mine"}
    assert run.total("retransmits_total") == run.total("retransmits")

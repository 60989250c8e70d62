"""tcp-connects against the load's own count and the kernel's counters of the same network."""

import json
import subprocess
import sys

import pytest

from tests.kernel.recipes import run_beside, run_recipe
from tests.laboratory.children import child
from tests.laboratory.network import counted_since, counters, rule
from tests.laboratory.prefork import prefork
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

PORT, REFUSED, SILENT = 8200, 8201, 8202
PLAN = {
    "port": PORT, "blocking": 60, "nonblocking": 40, "threaded": 25,
    "refused_port": REFUSED, "refused": 17,
    "silent_port": SILENT, "given_up": 5, "timed_out": 1,
    "unix": 9,
}  # fmt: skip
LOAD = "125 connections, 23 failures"
MADE = 125


def dialing(host, plan, out):
    words = ["dialer", json.dumps(plan), str(out)]
    return host.command([sys.executable, "-m", "tests.laboratory.dialer", *words])


@pytest.fixture
def silent(hosts):
    with rule(hosts[0], f"INPUT -p tcp --dport {SILENT} -j DROP"):
        yield hosts


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_connections_are_those_of_the_load_and_of_the_kernel(bpftrace, silent, tmp_path, family, truth):
    server, client = silent
    address, source = getattr(server, family), getattr(client, family)
    release = release_of(bpftrace)
    with prefork(server, "acceptor", address, PORT, 4, tmp_path) as serving:
        plan = {**PLAN, "address": address, "unix_path": str(serving.path)}
        out = tmp_path / "out"
        before = [counters(host) for host in silent]
        run = run_recipe("tcp-connects", bpftrace=bpftrace, command=dialing(client, plan, out))
        at_server, at_client = (counted_since(host, then) for host, then in zip(silent, before, strict=True))
        answer = serving.ask()
    pid = json.loads(out.read_text())["pid"]
    ours = {
        "attempts": run.total("active", pid=pid),
        "failures with an error": sum(
            row["value"] for row in run.rows("failed", pid=pid) if row["key"]["error"] != 0
        ),
        "accepted": run.total("accepted", local_port=PORT, remote_address=source),
    }
    theirs = {
        "attempts": (at_client["TcpActiveOpens"], "nstat TcpActiveOpens"),
        "failures with an error": (at_client["TcpAttemptFails"], "nstat TcpAttemptFails"),
        "accepted": (at_server["TcpPassiveOpens"], "nstat TcpPassiveOpens"),
    }
    for what, (independent, name) in theirs.items():
        truth("tcp-connects", what, f"{LOAD}, {family}", release, ours[what], independent, name)
    by_process = {
        worker: run.total("accepted", pid=worker, comm="acceptor", local_port=PORT, remote_address=source)
        for worker in answer["accepted"]
    }
    truth(
        "tcp-connects", "accepted by each of 4 processes", f"{LOAD}, {family}", release,
        ", ".join(map(str, sorted(by_process.values()))),
        ", ".join(map(str, sorted(answer["accepted"].values()))), "each process's own count",
    )  # fmt: skip
    for what, (independent, _) in theirs.items():
        assert run.agrees(ours[what], independent), what
    for worker, accepted in answer["accepted"].items():
        assert accepted, "a process accepted nothing"
        assert run.agrees(by_process[worker], accepted)
    made = run.total("active", pid=pid, comm="dialer", remote_address=address, remote_port=PORT)
    assert run.agrees(made, MADE)
    failed = {
        (row["key"]["remote_port"], row["key"]["error"]): row["value"]
        for row in run.rows("failed", pid=pid, comm="dialer")
    }
    wanted = {
        (REFUSED, 111): PLAN["refused"],
        (SILENT, 0): PLAN["given_up"],
        (SILENT, 110): PLAN["timed_out"],
    }
    assert failed.keys() <= wanted.keys()
    assert all(run.agrees(failed.get(key, 0), count) for key, count in wanted.items())
    # Its accepts of a Unix socket are no TCP connections.
    assert answer["unix"] == PLAN["unix"] + 1
    assert run.rows("accepted", pid=serving.pid) == []
    for table in ("active", "failed", "accepted"):
        assert run.total(f"{table}_total") == run.total(table)


def test_filters_contain_theirs_and_nothing_else(bpftrace, hosts, tmp_path):
    server, client = hosts
    plan = {
        "address": server.ipv4,
        "port": PORT,
        "blocking": 11,
        "threaded": 7,
        "refused_port": REFUSED,
        "refused": 3,
    }
    out = tmp_path / "out"
    command = dialing(client, plan, out)

    with prefork(server, "acceptor", server.ipv4, PORT, 2, tmp_path) as serving:
        before = serving.ask()["accepted"]
        (worker, *_) = before
        filters = {
            ("--comm", "somebody-else"): (0, 0, 0),
            ("--comm", "dialer"): (21, 3, 0),
            ("--comm", "acceptor"): (0, 0, 18),
            ("--thread", "thread-dialer"): (7, 0, 0),
            ("--port", str(PORT), "--remote", server.ipv4): (18, 0, 0),
            ("--port", str(PORT), "--remote", client.ipv4): (0, 0, 18),
            ("--port", str(REFUSED), "--remote", "10.99.0.0/24"): (3, 3, 0),
        }
        *runs, of_worker = run_beside(
            "tcp-connects", *filters, ("--pid", str(worker)), bpftrace=bpftrace, command=command
        )
        accepted = serving.ask()["accepted"][worker] - before[worker]
    for run, (arguments, expected) in zip(runs, filters.items(), strict=True):
        numbers = [run.total(table) for table in ("active", "failed", "accepted")]
        assert all(map(run.agrees, numbers, expected)), (arguments, numbers)
    assert of_worker.agrees(of_worker.total("accepted"), accepted)
    assert {row["key"]["pid"] for row in of_worker.tables["accepted"]} <= {worker}
    assert of_worker.tables["active"] == of_worker.tables["failed"] == []


def test_an_attempt_from_before_the_trace_belongs_to_who_holds_it(bpftrace, hosts, tmp_path):
    server, client = hosts
    plan = {"address": server.ipv4, "silent_port": SILENT, "pending": 1}
    # Once nothing is dropped any more, the next SYN is answered with a reset: nobody listens there.
    answer = f"iptables-legacy -w -I INPUT 1 -p tcp --dport {SILENT} -j ACCEPT"
    # The next one comes 3, 7 or 15 s after the first.
    answered = (
        "timeout 20 sh -c 'until iptables-legacy -w -nvxL INPUT 1 | grep -q \"^ *[1-9]\"; do sleep 0.1; done'"
    )
    answering = server.command(
        ["sh", "-c", f"{answer} && {answered} && sleep 0.5 && iptables-legacy -w -D INPUT 1"]
    )
    with (
        rule(server, f"INPUT -p tcp --dport {SILENT} -j DROP"),
        child(
            dialing(client, plan, tmp_path / "out"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout.readline() == b"ready\n"
        run = run_recipe("tcp-connects", "--comm", "dialer", bpftrace=bpftrace, command=answering)
    (row,) = run.rows("failed", remote_port=SILENT)
    assert row["key"] == {
        "pid": process.pid, "comm": "dialer", "remote_address": server.ipv4, "remote_port": SILENT, "error": 111,
    }  # fmt: skip
    assert row["value"] == 1
    assert run.tables["active"] == []

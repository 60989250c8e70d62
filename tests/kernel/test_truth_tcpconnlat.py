"""tcpconnlat against the times that the load itself measures around its connect()."""

import json
import math
import sys

import pytest

from runner.capture.buckets import LogBuckets
from tests.kernel.recipes import run_beside, run_recipe
from tests.laboratory.network import counted_since, counters, narrow, rule
from tests.laboratory.prefork import prefork
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

PORT, REFUSED = 8400, 8401
# A SYN-ACK takes 6 ms and longer on the link; the less of it the longer the link was idle.
KILOBITS = 100
SPREAD_US = 5000
EVERY = 16
BUCKETS = LogBuckets()


def dialing(host, plan, out):
    words = ["dialer", json.dumps(plan), str(out)]
    return host.command([sys.executable, "-m", "tests.laboratory.dialer", *words])


def quantile(sorted_indexes, share):
    return sorted_indexes[math.ceil(share * len(sorted_indexes)) - 1]


def indexes(rows):
    return sorted(
        index
        for row in rows
        for bucket in row["buckets"]
        for index in [BUCKETS.index(bucket["lower"])] * bucket["count"]
    )


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_times_are_those_that_the_load_measures(bpftrace, hosts, tmp_path, family, truth):
    server, client = hosts
    address, release = getattr(server, family), release_of(bpftrace)
    plan = {
        "address": address,
        "port": PORT,
        "blocking": 60,
        "spread_us": SPREAD_US,
        "nonblocking": 40,
        "refused_port": REFUSED,
        "refused": 5,
    }
    out = tmp_path / "out"
    lost = f"INPUT -p tcp --syn --dport {PORT} -m statistic --mode nth --every {EVERY} --packet 0 -j DROP"
    with (
        prefork(server, "acceptor", address, PORT, 2, tmp_path),
        rule(server, lost) as dropped,
        narrow(server, KILOBITS),
    ):
        before = counters(client)
        run = run_recipe(
            "tcpconnlat",
            "--comm",
            "dialer",
            "--above",
            "500ms",
            bpftrace=bpftrace,
            command=dialing(client, plan, out),
        )
        sent_again = counted_since(client, before)["TcpRetransSegs"]
        drops = dropped()
    answer = json.loads(out.read_text())
    load = f"100 connections, every {EVERY}th SYN lost, {family}"
    keys = {"pid": answer["pid"], "comm": "dialer", "remote_address": address, "remote_port": PORT}
    (row,) = run.rows("connects", **keys)
    slow = run.total("slow", **keys)
    truth("tcpconnlat", "connections", load, release, row["count"], len(answer["nanoseconds"]), "the load")
    truth(
        "tcpconnlat",
        "connections of 500 ms and more",
        load,
        release,
        slow,
        sent_again,
        "nstat TcpRetransSegs",
    )
    ours = indexes(run.rows("latency", comm="dialer"))
    theirs = sorted(BUCKETS.index(taken // 1000) for taken in answer["nanoseconds"])
    pairs = {share: (quantile(ours, share), quantile(theirs, share)) for share in (0.5, 0.9, 0.99)}
    for share, pair in pairs.items():
        shown = ["{} to {} us".format(*BUCKETS.bounds(index, is_unsigned=False)) for index in pair]
        truth(
            "tcpconnlat", f"p{share * 100:.0f}", load, release, *shown, "the load's own clock around connect()",
            because="the load's time has its system calls and its wake-up in it",
        )  # fmt: skip
    whole = sum(answer["nanoseconds"])
    truth(
        "tcpconnlat", "whole time, ms", load, release, round(row["total"] / 1e6, 3), round(whole / 1e6, 3),
        "the load's own clock around connect()",
        because="the load's time has its system calls and its wake-up in it",
    )  # fmt: skip
    assert sent_again == drops == sum(taken >= 500_000_000 for taken in answer["nanoseconds"]) >= 5
    assert len(theirs) == 100
    assert row["count"] == len(ours)
    assert run.agrees(row["count"], len(theirs)), run
    assert run.agrees(slow, sent_again), run
    if not run.missed:
        assert all(abs(mine - independent) <= 1 for mine, independent in pairs.values()), pairs
        assert 0.98 * whole <= row["total"] <= whole


def test_what_the_kernel_does_not_show_is_counted(bpftrace, hosts, tmp_path, busy, figure):
    # Answers come in interrupts: many of them find the other program running.
    server, client = hosts
    plan = {"address": server.ipv4, "port": PORT, "blocking": 300, "spread_us": SPREAD_US}
    with prefork(server, "acceptor", server.ipv4, PORT, 2, tmp_path), narrow(server, KILOBITS):
        run = run_recipe(
            "tcpconnlat",
            "--comm",
            "dialer",
            bpftrace=bpftrace,
            command=dialing(client, plan, tmp_path / "out"),
        )
    seen, unseen = run.total("connects", "count"), run.total("unseen")
    figure(f"beside a busy program: of 300 connections {seen} were seen, {unseen} are told as unseen")
    assert unseen > 0
    assert "ends-missed" in run.problems
    assert seen + unseen == 300


def test_filters_contain_theirs_and_nothing_else(bpftrace, hosts, tmp_path):
    server, client = hosts
    plan = {"address": server.ipv4, "port": PORT, "blocking": 11, "threaded": 7}
    command = dialing(client, plan, tmp_path / "out")

    with prefork(server, "acceptor", server.ipv4, PORT, 2, tmp_path) as serving:
        filters = {
            ("--comm", "somebody-else"): (0, 0),
            ("--pid", str(serving.pid)): (0, 0),
            ("--comm", "dialer", "--port", str(PORT)): (18, 0),
            ("--thread", "thread-dialer", "--above", "1ns"): (7, 7),
            ("--remote", "10.99.0.0/24", "--comm", "dial*"): (18, 0),
            ("--remote", client.ipv4): (0, 0),
        }
        runs = run_beside("tcpconnlat", *filters, bpftrace=bpftrace, command=command)
    for run, (arguments, (connections, slow)) in zip(runs, filters.items(), strict=True):
        assert len(indexes(run.tables["latency"])) == run.total("connects", "count"), arguments
        assert run.agrees(run.total("connects", "count"), connections), arguments
        assert run.agrees(run.total("slow"), slow), arguments

"""packet-drops against the kernel's other counters of the same drops."""

import json
import subprocess
import sys

import pytest

from tests.command import ebpf_recipe
from tests.kernel.recipes import run_recipe
from tests.laboratory.children import child
from tests.laboratory.network import counted_since, counters, rule
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

CLOSED, FILTERED, FULL = 8500, 8501, 8502
COUNT = {CLOSED: 137, FILTERED: 89, FULL: 200}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_drops_are_those_that_the_kernel_counts_elsewhere(bpftrace, hosts, tmp_path, family, truth):
    server, client = hosts
    address, release = getattr(server, family), release_of(bpftrace)
    program = [sys.executable, "-m", "tests.laboratory.datagrams"]
    words = [str(word) for port, count in COUNT.items() for word in (port, count, 500)]
    with (
        rule(server, f"INPUT -p udp --dport {FILTERED} -j DROP") as filtered,
        child(
            server.command([*program, "keep", address, str(FULL)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as keeping,
    ):
        assert keeping.stdout.readline() == b"listening\n"
        before = counters(server)
        run = run_recipe(
            "packet-drops", bpftrace=bpftrace, command=client.command([*program, "send", address, *words])
        )
        grown = counted_since(server, before)
        by_rule = filtered()
    prefix, version = ("Udp", 4) if family == "ipv4" else ("Udp6", 6)
    interface = json.loads(server.run("ip", "-j", "link", "show", "lab0"))[0]["ifindex"]
    expected = {
        "NO_SOCKET": (grown[f"{prefix}NoPorts"], f"nstat {prefix}NoPorts"),
        "NETFILTER_DROP": (by_rule, "the rule's own counter"),
        "SOCKET_RCVBUFF": (grown[f"{prefix}RcvbufErrors"], f"nstat {prefix}RcvbufErrors"),
    }
    ours = {
        reason: run.total("drops", reason=reason, ip_version=version, interface=interface)
        for reason in expected
    }
    for reason, (independent, source) in expected.items():
        truth(
            "packet-drops", f"drops, {reason}", f"{sum(COUNT.values())} datagrams, {family}", release,
            ours[reason], independent, source,
        )  # fmt: skip
    assert all(run.agrees(ours[reason], independent) for reason, (independent, _) in expected.items())
    assert expected["NO_SOCKET"][0] == COUNT[CLOSED]
    assert expected["NETFILTER_DROP"][0] == COUNT[FILTERED]
    assert 0 < expected["SOCKET_RCVBUFF"][0] < COUNT[FULL]
    assert run.total("drops_total") == run.total("drops")
    (row,) = run.rows("drops", reason="SOCKET_RCVBUFF", ip_version=version, interface=interface)
    assert "udp" in row["key"]["location"]


def test_processes_are_refused_with_the_reason(bpftrace):
    for option, value in (("--pid", "1"), ("--comm", "curl"), ("--thread", "worker")):
        done = ebpf_recipe("run", "packet-drops", "--bpftrace", bpftrace, option, value, "-d", "1s")
        assert done.returncode == 3
        assert "softirq" in done.stderr
        assert done.stdout == ""

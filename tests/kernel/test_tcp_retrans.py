"""tcp-retrans against counts that are not ours: another bpftrace program, and the kernel's own counter."""

import itertools
import subprocess
import sys
import time
from datetime import datetime

import pytest

from tests.kernel.recipes import MISSING, run_beside, run_recipe
from tests.laboratory.children import child
from tests.laboratory.independent import counted
from tests.laboratory.network import (
    lose_packets,
    retransmitted_segments,
    stop_losing_packets,
    two_hosts,
    wait_until_nothing_is_sent,
)
from tests.laboratory.nginx import PORT, load

pytestmark = pytest.mark.kernel

# Every retransmit of the server's port, and its segments (tcp_gso_segs, at byte 8 of tcp_skb_cb,
# include/net/tcp.h): with the SYN-ACKs they make up TcpRetransSegs.
INDEPENDENT = """
tracepoint:tcp:tcp_retransmit_skb /args->sport == PORT/ {
  @all = count(); @naive[comm] = count();
  $skb = (struct sk_buff*)args->skbaddr; $cb = (uint16*)($skb->cb); @segments = sum(*($cb + 4));
  @longest = max(*($cb + 4));
}
tracepoint:tcp:tcp_retransmit_synack /args->sport == PORT/ { @synack = count(); }
"""


@pytest.fixture
def lossy(hosts):
    # What the test before left unanswered is sent again, and counted by the kernel as everything else.
    wait_until_nothing_is_sent(hosts[0])
    lose_packets(hosts[1], 0.05)
    yield hosts
    stop_losing_packets(hosts[1])


def run(bpftrace, *arguments, command):
    # The kernel leaves out events that fall into another BPF program, for every program alike.
    return run_recipe("tcp-retrans", *arguments, bpftrace=bpftrace, command=command, allowed=MISSING)


def tables_of_each(bpftrace, *each, command):
    """The tables of several runs around one load."""
    runs = run_beside("tcp-retrans", *each, bpftrace=bpftrace, command=command, allowed=MISSING)
    return [one.tables for one in runs]


def total(rows, **wanted):
    return sum(r["value"] for r in rows if all(r["key"][name] == value for name, value in wanted.items()))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_retransmits_belong_to_the_owner_of_the_socket(bpftrace, lossy, nginx_host, family, figure):
    server, client = lossy
    address = getattr(server, family)
    before = retransmitted_segments(server)
    with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
        done = run(bpftrace, "--comm", "nginx", command=load(client, address, 40))
        segments = retransmitted_segments(server) - before
    capture, tables = done.capture, done.tables
    ours = total(tables["retransmits"], comm="nginx", local_port=PORT, remote_address=getattr(client, family))
    naive = independent.get("@naive", {}).get("nginx", 0)
    figure(
        f"{family}: retransmits of port {PORT}: {independent['@all']}; "
        f"tcp-retrans gives nginx {ours}, `@[comm]` gives it {naive}; "
        f"segments {independent['@segments']} ({independent['@longest']} at most at once) + SYN-ACKs {independent.get('@synack', 0)}, nstat {segments}"
    )
    assert independent["@all"] >= 10, "the load made too few retransmits to prove anything"
    assert 0.98 * independent["@all"] <= ours <= independent["@all"]
    assert total(tables["synack_retransmits"], local_port=PORT) == independent.get("@synack", 0)
    # The independent count is itself complete: the kernel's counter, another mechanism, agrees.
    missing = segments - independent["@segments"] - independent.get("@synack", 0)
    assert missing >= 0
    # What one program missed another need not have missed; what is hidden is so from both.
    if capture["quality"]["grade"] == "usable":
        assert missing <= done.hidden * independent["@longest"]
    pids = {row["key"]["pid"] for row in tables["retransmits"] if row["key"]["comm"] == "nginx"}
    assert pids
    assert all(row["key"]["comm"] in ("nginx", None) for row in tables["retransmits"])


def test_a_filter_for_somebody_else_contains_nothing_of_nginx(bpftrace, lossy, nginx_host, figure):
    server, client = lossy
    with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
        done = run(bpftrace, "--comm", "curl", command=load(client, server.ipv4, 40))
    capture, tables = done.capture, done.tables
    figure(f"retransmits of nginx meanwhile: {independent['@all']}; rows: {tables['retransmits']}")
    assert independent["@all"] >= 10
    assert capture["target"] == {"comm": ["curl"]}
    assert total(tables["retransmits"], local_port=PORT) == 0
    assert all(row["key"]["comm"] in ("curl", None) for row in tables["retransmits"])


def test_port_and_remote_select_connections(bpftrace, lossy, nginx_host, figure):
    server, client = lossy
    filters = {
        ("--port", "1", "--port", str(PORT), "--remote", "10.99.0.0/24", "--remote", "::1"): True,
        ("--port", "1"): False,
        ("--remote", "10.98.0.0/24", "--remote", "fd99::/64"): False,
    }
    with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
        each = tables_of_each(bpftrace, *filters, command=load(client, server.ipv4, 12))
    assert independent["@all"] > 0
    for tables, (arguments, is_there) in zip(each, filters.items(), strict=True):
        ours = total(tables["retransmits"], local_port=PORT)
        figure(f"{' '.join(arguments)}: {ours} of {independent['@all']}")
        assert ours == (independent["@all"] if is_there else 0)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_server_is_found_by_the_name_of_its_leader(bpftrace, lossy, family, figure):
    server, client = lossy
    address = getattr(server, family)
    serve = [sys.executable, "-m", "tests.laboratory.server", address, "8090", "pay svc", "400000"]
    fetch = client.command([sys.executable, "-m", "tests.laboratory.client", address, "8090", "40"])
    with child(server.command(serve), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        with counted(INDEPENDENT.replace("PORT", "8090"), bpftrace=bpftrace) as independent:
            tables, one = tables_of_each(
                bpftrace, ("--comm", "pay svc"), ("--pid", str(process.pid)), command=fetch
            )
        ours = total(tables["retransmits"], comm="pay svc", local_port=8090)
        by_thread = [name for name in independent.get("@naive", {}) if name.startswith("worker-")]
        figure(
            f"{family}: 'pay svc': {ours} of {independent['@all']}; `@[comm]` says {independent['@naive']}"
        )
        assert independent["@all"] >= 10
        assert 0.98 * independent["@all"] <= ours <= independent["@all"]
        assert by_thread, "the threads did not rename themselves"
        assert {row["key"]["pid"] for row in tables["retransmits"]} - {None} == {process.pid}
        assert {row["key"]["comm"] for row in one["retransmits"]} - {None} == {"pay svc"}


EVERY = 'tracepoint:tcp:tcp_retransmit_skb /args->sport == PORT/ { printf("%llu\\n", nsecs); }'
EDGE_SECONDS = 0.05
# One each: sockets of a server that was ended go on sending again for a while, and are nobody's. They
# hold their network namespace, too.
PORTS = itertools.count(8100)


@pytest.fixture
def hosts_of_one_test():
    with two_hosts() as both:
        yield both


def until(asked):
    """A command that ends far from what is sent again: 0.2, 0.6, 1.4, 3.0, 6.2, 12.6 s after it was asked for."""
    code = (
        "import sys, time; late = time.monotonic() - float(sys.argv[1]);"
        " time.sleep(max(0, (4.6 if late < 2.8 else 9.4) - late))"
    )
    return [sys.executable, "-c", code, str(asked)]


def retransmits_between(independent, window):
    """How many there were for certain between two moments, and how many at most."""
    now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    begin, end = (datetime.fromisoformat(window[name]).timestamp() for name in ("attached_at", "ended_at"))
    moments = [int(text) / 1e9 + now for text in independent["printed"]]
    return tuple(
        sum(begin + edge <= moment <= end - edge for moment in moments)
        for edge in (EDGE_SECONDS, -EDGE_SECONDS)
    )


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_connection_that_stalled_before_the_trace_has_its_owner(
    bpftrace, hosts_of_one_test, family, figure
):
    server, client = hosts_of_one_test
    address = getattr(server, family)
    port = next(PORTS)
    serve = [sys.executable, "-m", "tests.laboratory.server", address, str(port), "pay svc", "4000000"]
    ask = client.command([sys.executable, "-m", "tests.laboratory.client", address, str(port), "stall"])
    with (
        child(server.command(serve), stdout=subprocess.PIPE) as process,
        counted(EVERY.replace("PORT", str(port)), bpftrace=bpftrace) as independent,
    ):
        assert process.stdout.readline() == b"listening\n"
        with child(ask, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
            assert asking.stdout.readline() == b"connected\n"
            lose_packets(client, 1.0)
            try:
                asking.stdin.write(b"go\n")
                asking.stdin.flush()
                assert asking.stdout.readline() == b"asked\n"
                asked = time.monotonic()
                mine, others = run_beside(
                    "tcp-retrans", ("--comm", "pay svc"), ("--comm", "python*"), bpftrace=bpftrace,
                    command=until(asked), allowed=MISSING,
                )  # fmt: skip
            finally:
                stop_losing_packets(client)
    tables = mine.tables
    certain, most = retransmits_between(independent, mine.capture["window"])
    ours = total(tables["retransmits"], comm="pay svc", pid=process.pid, local_port=port)
    figure(f"{family}: stalled before the trace: 'pay svc' {ours} of {certain} to {most}")
    assert certain >= 20
    assert 0.98 * certain <= ours <= most
    assert tables["retransmits_total"][0]["value"] == total(tables["retransmits"])
    assert total(others.tables["retransmits"], local_port=port) == 0


def test_a_listener_of_several_processes_has_their_name(bpftrace, hosts, nginx_host, figure):
    server, client = hosts
    # The client's own SYNs arrive, the SYN-ACKs do not.
    fetch = f"curl -sS --max-time 4 http://{server.ipv4}:{PORT}/blob || true"
    lose_packets(client, 1.0)
    try:
        tables, others = tables_of_each(
            bpftrace, ("--comm", "nginx"), ("--comm", "curl"), command=client.command(["sh", "-c", fetch])
        )
    finally:
        stop_losing_packets(client)
    figure(f"SYN-ACKs of nginx: {tables['synack_retransmits']}")
    assert total(tables["synack_retransmits"], comm="nginx", pid=None, local_port=PORT) >= 1
    assert not any(row.get("unattributed") for row in tables["synack_retransmits"])
    assert others["synack_retransmits"] == []

"""tcp-retrans against counts that are not ours: another bpftrace program, and the kernel's own counter."""

import json
import subprocess
import sys

import pytest

from tests.command import EBPF_RECIPE
from tests.laboratory.children import child
from tests.laboratory.independent import counted
from tests.laboratory.network import lose_packets, retransmitted_segments, stop_losing_packets
from tests.laboratory.nginx import PORT, load

pytestmark = pytest.mark.kernel

# Every retransmit of the server's port, and its segments (tcp_gso_segs, at byte 8 of tcp_skb_cb,
# include/net/tcp.h): with the SYN-ACKs they make up TcpRetransSegs.
INDEPENDENT = """
tracepoint:tcp:tcp_retransmit_skb /args->sport == PORT/ {
  @all = count(); @naive[comm] = count();
  $skb = (struct sk_buff*)args->skbaddr; $cb = (uint16*)($skb->cb); @segments = sum(*($cb + 4));
}
tracepoint:tcp:tcp_retransmit_synack /args->sport == PORT/ { @synack = count(); }
"""


@pytest.fixture
def lossy(hosts):
    lose_packets(hosts[1], 0.05)
    yield hosts
    stop_losing_packets(hosts[1])


def run(bpftrace, *arguments):
    done = subprocess.run(
        [EBPF_RECIPE, "run", "tcp-retrans", "--bpftrace", bpftrace, *arguments],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    capture = json.loads(done.stdout)
    assert capture["quality"] == {"grade": "usable", "problems": []}
    return capture, {table["name"]: table["rows"] for table in capture["tables"]}


def total(rows, **wanted):
    return sum(r["value"] for r in rows if all(r["key"][name] == value for name, value in wanted.items()))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_retransmits_belong_to_the_owner_of_the_socket(bpftrace, lossy, nginx_host, family, figure):
    server, client = lossy
    address = getattr(server, family)
    before = retransmitted_segments(server)
    with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
        _, tables = run(bpftrace, "--comm", "nginx", "--", *load(client, address, 40))
        segments = retransmitted_segments(server) - before
    ours = total(tables["retransmits"], comm="nginx", local_port=PORT, remote_address=getattr(client, family))
    naive = independent.get("@naive", {}).get("nginx", 0)
    figure(
        f"{family}: retransmits of port {PORT}: {independent['@all']}; "
        f"tcp-retrans gives nginx {ours}, `@[comm]` gives it {naive}; "
        f"segments {independent['@segments']} + SYN-ACKs {independent.get('@synack', 0)}, nstat {segments}"
    )
    assert independent["@all"] >= 10, "the load made too few retransmits to prove anything"
    assert 0.98 * independent["@all"] <= ours <= independent["@all"]
    assert total(tables["synack_retransmits"], local_port=PORT) == independent.get("@synack", 0)
    # The independent count is itself complete: the kernel's counter, another mechanism, agrees.
    assert independent["@segments"] + independent.get("@synack", 0) == segments
    pids = {row["key"]["pid"] for row in tables["retransmits"] if row["key"]["comm"] == "nginx"}
    assert pids
    assert all(row["key"]["comm"] in ("nginx", None) for row in tables["retransmits"])


def test_a_filter_for_somebody_else_contains_nothing_of_nginx(bpftrace, lossy, nginx_host, figure):
    server, client = lossy
    with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
        capture, tables = run(bpftrace, "--comm", "curl", "--", *load(client, server.ipv4, 40))
    figure(f"retransmits of nginx meanwhile: {independent['@all']}; rows: {tables['retransmits']}")
    assert independent["@all"] >= 10
    assert capture["target"] == {"comm": ["curl"]}
    assert total(tables["retransmits"], local_port=PORT) == 0
    assert all(row["key"]["comm"] in ("curl", None) for row in tables["retransmits"])


def test_port_and_remote_select_connections(bpftrace, lossy, nginx_host, figure):
    server, client = lossy
    command = load(client, server.ipv4, 12)
    for arguments, is_there in (
        (("--port", "1", "--port", str(PORT), "--remote", "10.99.0.0/24", "--remote", "::1"), True),
        (("--port", "1"), False),
        (("--remote", "10.98.0.0/24", "--remote", "fd99::/64"), False),
    ):
        with counted(INDEPENDENT.replace("PORT", str(PORT)), bpftrace=bpftrace) as independent:
            _, tables = run(bpftrace, *arguments, "--", *command)
        ours = total(tables["retransmits"], local_port=PORT)
        figure(f"{' '.join(arguments)}: {ours} of {independent['@all']}")
        assert independent["@all"] > 0
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
            _, tables = run(bpftrace, "--comm", "pay svc", "--", *fetch)
        ours = total(tables["retransmits"], comm="pay svc", local_port=8090)
        by_thread = [name for name in independent.get("@naive", {}) if name.startswith("worker-")]
        figure(
            f"{family}: 'pay svc': {ours} of {independent['@all']}; `@[comm]` says {independent['@naive']}"
        )
        assert independent["@all"] >= 10
        assert 0.98 * independent["@all"] <= ours <= independent["@all"]
        assert by_thread, "the threads did not rename themselves"
        assert {row["key"]["pid"] for row in tables["retransmits"]} - {None} == {process.pid}
        _, one = run(bpftrace, "--pid", str(process.pid), "--", *fetch)
        assert {row["key"]["comm"] for row in one["retransmits"]} - {None} == {"pay svc"}

"""tcp-retrans against the kernel's own counts: of each connection (TCP_INFO), and of the whole network.

Both count segments, and the recipe packets; so each packet is one segment here.
"""

import subprocess
import sys

import pytest

from tests.kernel.recipes import run_recipe
from tests.laboratory.children import child
from tests.laboratory.network import (
    counted_since,
    counters,
    lose_packets,
    one_segment_packets,
    stop_losing_packets,
    wait_until_nothing_is_sent,
)
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

PORT = 8090
TIMES = 30


@pytest.fixture
def lossy(hosts):
    wait_until_nothing_is_sent(hosts[0])
    with one_segment_packets(hosts[0]):
        lose_packets(hosts[1], 0.05)
        yield hosts
        stop_losing_packets(hosts[1])


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_retransmits_are_those_that_the_kernel_counts(bpftrace, lossy, family, truth):
    server, client = lossy
    address, release = getattr(server, family), release_of(bpftrace)
    serve = [sys.executable, "-m", "tests.laboratory.server", address, str(PORT), "pay svc", "300000"]
    fetch = client.command([sys.executable, "-m", "tests.laboratory.client", address, str(PORT), str(TIMES)])
    with child(server.command(serve), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"listening\n"
        before = counters(server)
        run = run_recipe("tcp-retrans", "--comm", "pay svc", bpftrace=bpftrace, command=fetch)
        segments = counted_since(server, before)["TcpRetransSegs"]
        by_connection = [int(process.stdout.readline().split()[1]) for _ in range(TIMES)]
    ours = sum(
        run.total(table, pid=process.pid, comm="pay svc", local_port=PORT)
        for table in ("retransmits", "synack_retransmits")
    )
    load = f"{TIMES} blobs of 300 kB with 5 % loss, {family}"
    for independent, source in (
        (sum(by_connection), "TCP_INFO of each connection, tcpi_total_retrans"), (segments, "nstat TcpRetransSegs"),
    ):  # fmt: skip
        truth(
            "tcp-retrans", "packets of the server sent again", load, release, ours, independent, source,
            because=f"the capture says that the kernel left out {run.missed} events" if ours < segments else "",
        )  # fmt: skip
    assert segments == sum(by_connection) >= 50
    assert run.agrees(ours, segments)

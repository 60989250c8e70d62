"""tcp-retrans knows who writes a socket that was never read, where only tcp_sendmsg tells: by a kprobe."""

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

pytestmark = pytest.mark.guest

PORT, TIMES, BYTES = 8095, 12, 300_000


@pytest.fixture
def lossy(hosts):
    wait_until_nothing_is_sent(hosts[0])
    with one_segment_packets(hosts[0]):
        lose_packets(hosts[1], 0.05)
        yield hosts
        stop_losing_packets(hosts[1])


def test_retransmits_of_who_only_writes_have_their_owner(lossy, truth):
    server, client = lossy
    release = release_of("bpftrace")
    words = [server.ipv4, str(PORT)]
    serve = [sys.executable, "-m", "tests.laboratory.server", *words, "pay svc", str(BYTES), "unasked"]
    fetch = client.command([sys.executable, "-m", "tests.laboratory.client", *words, str(TIMES)])
    with child(server.command(serve), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"listening\n"
        before = counters(server)
        run = run_recipe("tcp-retrans", "--comm", "pay svc", bpftrace="bpftrace", command=fetch)
        segments = counted_since(server, before)["TcpRetransSegs"]
    assert run.capture["recipe"]["variant"] == "kprobe"
    ours = sum(
        run.total(table, pid=process.pid, comm="pay svc", local_port=PORT)
        for table in ("retransmits", "synack_retransmits")
    )
    truth(
        "tcp-retrans", "packets of a server that only writes, sent again",
        f"{TIMES} blobs of 300 kB with 5 % loss, ipv4; variant kprobe; guest, Linux 6.1", release, ours, segments,
        "nstat TcpRetransSegs",
        because=f"the capture says that the kernel left out {run.missed} events" if ours < segments else "",
    )  # fmt: skip
    assert segments >= 20
    assert run.agrees(ours, segments)

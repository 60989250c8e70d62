"""tcptop where the kernel has no tracepoints of what is sent and received: by fexit, and by kretprobes."""

import functools
import sys

import pytest

from tests.guest.variants import run_without
from tests.kernel.test_truth_tcptop import Transfer, agree
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.guest

WHERE = "guest, Linux 6.1"
BLOCKED = 30
ROUNDS = 2
WAITING = [sys.executable, "-c", f"""
import ctypes, socket, threading, time
ctypes.CDLL(None).prctl(15, b"waiting")
listener = socket.create_server(("127.0.0.1", 0))
pairs = []
for _ in range({BLOCKED}):
    mine = socket.create_connection(listener.getsockname())
    pairs.append((mine, listener.accept()[0]))
def wait(connection):
    for _ in range({ROUNDS}):
        connection.recv(1)
threads = [threading.Thread(target=wait, args=(mine,)) for mine, _ in pairs]
for one in threads:
    one.start()
for _ in range({ROUNDS}):
    time.sleep(1)
    for _, other in pairs:
        other.send(b"x")
for one in threads:
    one.join()
"""]  # fmt: skip
"""A process of many threads that wait for a byte at the same time, and for another."""


def compare(transfer, release, variant, truth):
    """Every side of every connection has its bytes, and TCP_INFO says the same."""
    for name, keys, count, family in transfer.sides():
        ours = {table: transfer.run.total(table, **keys) for table in ("sent", "received")}
        if count["kernel"] is not None:
            load = f"{name}, every call that sends or receives, {family}; variant {variant}; {WHERE}"
            for place, table in enumerate(ours):
                truth(
                    "tcptop", f"bytes {table}", load, release, ours[table], count["kernel"][place], "TCP_INFO"
                )
            assert count["kernel"] == [count["sent"], count["received"]]
        assert agree(transfer.run, ours, count), (keys, ours, count)


def test_fexit_counts_the_bytes_that_the_kernel_counts(hosts, tmp_path, truth):
    release = release_of("bpftrace")
    transfer = Transfer(hosts, tmp_path, "bpftrace", ("ipv4", "ipv6"), beside=WAITING)
    assert transfer.run.capture["recipe"]["variant"] == "fexit"
    compare(transfer, release, "fexit", truth)
    received = transfer.run.total("received", comm="waiting")
    truth(
        "tcptop", "bytes received", f"{BLOCKED} threads that wait at the same time, variant fexit; {WHERE}",
        release, received, BLOCKED * ROUNDS, "the load",
    )  # fmt: skip
    assert transfer.run.agrees(received, BLOCKED * ROUNDS)
    assert transfer.run.total("unreturned") == 0


def test_kretprobes_count_the_bytes_and_the_calls_that_they_miss(hosts, tmp_path, truth, figure):
    """The kernel follows but a few calls at a time: what it does not follow is counted."""
    runner = functools.partial(run_without, ("tracepoint", "fexit"), folder=tmp_path)
    transfer = Transfer(hosts, tmp_path, "bpftrace", ("ipv4", "ipv6"), runner=runner, beside=WAITING)
    run = transfer.run
    assert run.capture["recipe"]["variant"] == "kprobe"
    compare(transfer, release_of("bpftrace"), "kprobe", truth)
    received, unreturned = run.total("received", comm="waiting"), run.total("unreturned")
    figure(
        f"of {BLOCKED} threads that wait for a byte {ROUNDS} times, {received} bytes; {unreturned} unreturned"
    )
    assert 0 < received < BLOCKED * ROUNDS
    assert unreturned > 0
    # Of the first wait each has its byte, or is counted when its thread waits again.
    assert BLOCKED <= received + unreturned <= BLOCKED * ROUNDS
    assert "returns-missed" in run.problems
    assert run.capture["quality"]["grade"] == "degraded"

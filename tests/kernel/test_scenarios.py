"""The loads that investigations are tested on: what the kernel and the loads themselves count says that they are what they say."""

import contextlib
import os
import statistics
from pathlib import Path

import pytest

from tests.laboratory.scenarios import SCENARIOS
from tests.laboratory.until import until

pytestmark = pytest.mark.kernel


@contextlib.contextmanager
def raised(name):
    """Raise a scenario; nothing of it is there afterwards."""
    with SCENARIOS[name]() as one:
        yield one
    assert "ebpf-recipe-scenario-" not in Path("/proc/self/mountinfo").read_text()
    backing = [path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")]
    assert not [path for path in backing if "ebpf-recipe-scenario-" in path]
    assert not list(Path("/sys/fs/cgroup").glob(f"**/ebpf-recipe-limit-{os.getpid()}-*"))


def window(one, kind, operations):
    """Return what was counted while so many operations of a kind ended."""
    before = one.now()
    until(lambda: len(one.since(before)[1][kind]) >= operations, f"{operations} operations end: {kind}")
    return one.since(before)


def answers(one, figure, operations=100):
    counters, latencies = window(one, "answered", operations)
    assert not latencies["failed"]
    figure(
        f"{len(latencies['answered'])} answered in {statistics.median(latencies['answered']) / 1e6:.1f} ms, "
        f"{len(latencies['given up'])} given up; {counters}"
    )
    return counters, latencies


def reads(one, figure):
    counters, latencies = window(one, "slow", 30)
    fast, slow = (statistics.median(latencies[kind]) / 1e6 for kind in ("fast", "slow"))
    figure(
        f"{len(latencies['fast'])} reads in {fast:.2f} ms, {len(latencies['slow'])} in {slow:.0f} ms; {counters}"
    )
    # Most reads are fast, and those of one path all are not.
    assert len(latencies["fast"]) > 10 * len(latencies["slow"])
    # Where the device stood still for a moment, its limit lets one or two through at once afterwards.
    assert (
        statistics.quantiles(latencies["slow"], n=10)[0] > statistics.quantiles(latencies["fast"], n=20)[-1]
    )
    assert slow > 20 * fast
    # The processor is not what they wait for.
    assert counters["waited_ns"] < sum(latencies["slow"]) / 2
    return counters, slow


def test_an_api_server_loses_packets_and_waits_for_its_processor(figure):
    with raised("api_server") as one:
        assert (one.symptom, one.filters) == ("timeouts", ("--comm", "nginx"))
        # It began when a request had been given up.
        assert one.latencies()["given up"]
        counters, _ = answers(one, figure)
        assert counters["TcpRetransSegs"] > 0
        # Five batch jobs at the same processor: about five times as long.
        assert counters["waited_ns"] > 2 * counters["ran_ns"]


def test_a_file_server_waits_for_a_device(figure):
    with raised("file_server") as one:
        assert (one.symptom, one.filters) == ("slow-files", ("--comm", "file-server"))
        counters, slow = reads(one, figure)
        # What each read takes, it takes the device.
        assert counters["device_read_ms"] / counters["device_reads"] > slow / 2


def test_a_limited_file_server_waits_before_its_device_is_asked(figure):
    with raised("file_server_limited") as one:
        counters, slow = reads(one, figure)
        assert counters["device_reads"] >= 20
        assert counters["device_read_ms"] / counters["device_reads"] < slow / 20


def test_a_healthy_server_loses_nothing_and_does_not_wait(figure):
    with raised("healthy") as one:
        counters, latencies = answers(one, figure)
        assert counters["TcpRetransSegs"] == 0
        # Others of this machine may keep it waiting a little; `api_server` waits five times as long as it runs.
        assert counters["waited_ns"] < 2 * counters["ran_ns"]
        assert not latencies["given up"]


def test_an_idle_server_does_not_wait_where_the_others_do(figure):
    with raised("idle_beside_hog") as one:
        counters, latencies = answers(one, figure, operations=3)
        assert counters["TcpRetransSegs"] == 0
        assert counters["hogs_waited_ns"] > 100 * counters["waited_ns"]
        assert not latencies["given up"]


def test_a_quota_holds_a_server_back_in_most_periods(figure):
    with raised("quota") as one:
        before = one.now()
        until(lambda: one.since(before)[0]["nr_periods"] >= 20, "20 periods end")
        counters, _ = one.since(before)
        figure(f"{counters}")
        assert counters["nr_throttled"] > counters["nr_periods"] / 2
        assert counters["TcpRetransSegs"] == 0


def test_two_causes_are_both_there(figure):
    with raised("two_causes") as one:
        counters, latencies = answers(one, figure, operations=30)
        assert counters["TcpRetransSegs"] > 0
        # Two reads for each answer, one after the other; neither the device nor the network has all of its time.
        reading_ms = 2 * counters["device_read_ms"] / counters["device_reads"]
        assert 0.2 < reading_ms / (statistics.mean(latencies["answered"]) / 1e6) < 0.9

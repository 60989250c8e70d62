"""syscall-latency against the load's own clock, and against the sums of another tool."""

import re
import signal
import subprocess
import sys
import time

import pytest

from runner.capture.buckets import LogBuckets
from tests.kernel.recipes import MISSING, bucket_at, buckets_of, run_recipe
from tests.laboratory.caller import built, caller
from tests.laboratory.children import child
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

KINDS = {
    "clock_nanosleep": "300 sleeps of 300 us",
    "readv": "100 reads of a pipe that is written every 2 ms",
    "getppid": "20,000 quick calls",
}
OWN = "the load's clock has the way into the kernel and out of it in it, and the tracing of it"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return built(tmp_path_factory.mktemp("caller"))


def place_of(nanoseconds):
    return LogBuckets(2).index(nanoseconds)


def test_times_are_those_that_the_load_measures(bpftrace, program, tmp_path, truth):
    with caller(program, tmp_path) as one:
        run = run_recipe(
            "syscall-latency", "--comm", "caller", bpftrace=bpftrace, command=one.asking("times")
        )
        told = one.told()
    release = release_of(bpftrace)
    for name, load in KINDS.items():
        measured = sorted(told[name])
        (row,) = run.rows("latency", pid=one.pid, syscall=name)
        (time_of,) = run.rows("time", pid=one.pid, syscall=name)
        truth("syscall-latency", f"calls of {name}", load, release, row["count"], len(measured), "the load")
        assert run.agrees(row["count"], len(measured)), name
        assert run.agrees(time_of["count"], len(measured)), name
        for quantile in (0.5, 0.9, 0.99):
            low, high = bucket_at(quantile, buckets_of(row))
            theirs = measured[int(quantile * len(measured)) - 1]
            if name == "getppid":
                # What takes less than the clock that it is measured with can only be bounded.
                assert low <= theirs, (quantile, row, theirs)
                continue
            shown = "-".join(map(str, LogBuckets(2).bounds(place_of(theirs), is_unsigned=False)))
            truth(
                "syscall-latency", f"p{quantile * 100:g} ns of {name}", load, release, f"{low}-{high}", shown,
                "the load's own clock", because=OWN,
            )  # fmt: skip
            assert abs(place_of(low) - place_of(theirs)) <= 1, (name, quantile, row, theirs)
        truth(
            "syscall-latency", f"average us of {name}", load, release,
            round(time_of["total"] / time_of["count"] / 1000, 3), round(sum(measured) / len(measured) / 1000, 3),
            "the load's own clock", because=OWN,
        )  # fmt: skip
        assert time_of["total"] <= sum(measured)
    assert run.total("calls") == run.total("latency", "count") == run.total("time", "count")
    assert run.total("unfollowed") == 0
    assert {row["key"]["comm"] for row in run.tables["latency"]} == {"caller"}


def tool_rows(text):
    """Return count and microseconds of each system call, as `syscount -L` of libbpf-tools prints them."""
    rows = re.findall(r"^(\w+) +(\d+) +([\d.]+)$", text, re.MULTILINE)
    return {name: (int(count), float(us)) for name, count, us in rows}


def test_times_are_those_that_another_tool_sums_up(bpftrace, program, tmp_path, truth):
    with (
        caller(program, tmp_path) as one,
        child(["syscount", "-L", "-T", "100", "-p", str(one.pid)], stdout=subprocess.PIPE) as tool,
    ):
        time.sleep(2)
        run = run_recipe(
            "syscall-latency", "--pid", str(one.pid), bpftrace=bpftrace, command=one.asking("times")
        )
        tool.send_signal(signal.SIGINT)
        theirs = tool_rows(tool.communicate(timeout=20)[0].decode())
    release = release_of(bpftrace)
    for name, load in KINDS.items():
        (row,) = run.rows("time", pid=one.pid, syscall=name)
        count, microseconds = theirs[name]
        truth(
            "syscall-latency", f"average us of {name}", load, release, round(row["total"] / row["count"] / 1000, 3),
            round(microseconds / count, 3), "syscount -L of libbpf-tools", because="each has the other's work in it",
        )  # fmt: skip
        assert run.agrees(row["count"], count), name
        if name != "getppid":
            assert (
                abs(row["total"] / row["count"] / 1000 - microseconds / count) <= 0.02 * microseconds / count
            )


def test_filters_contain_theirs_and_nothing_else(bpftrace, program, tmp_path):
    def run_with(*arguments):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with caller(program, folder) as one:
            words = [str(one.pid) if word == "PID" else word for word in arguments]
            run = run_recipe("syscall-latency", *words, bpftrace=bpftrace, command=one.asking("times"))
        assert {row["key"]["pid"] for row in run.tables["latency"]} <= {one.pid}
        return {row["key"]["syscall"] for row in run.tables["latency"]}

    assert run_with("--pid", "PID", "--syscall", "readv", "--syscall", "getppid") == {"readv", "getppid"}
    rest = run_with("--comm", "caller", "--exclude", "getppid", "--exclude", "clock_nanosleep")
    assert "readv" in rest
    assert not {"getppid", "clock_nanosleep"} & rest
    assert run_with("--comm", "caller", "--syscall", "readv", "--exclude", "readv") == set()
    assert run_with("--thread", "somebody-else") == set()


THREADS = """
import ctypes, sys, threading
ctypes.CDLL(None).prctl(15, b"many")
for _ in range(int(sys.argv[1])):
    one = threading.Thread(target=int)
    one.start()
    one.join()
"""


def test_calls_that_do_not_return_leave_nothing_behind(bpftrace, program):
    """More threads than the map has room for: each ends in a call, or takes its leader's place in one."""
    allowed = (*MISSING, "repaired", "map-full")
    run = run_recipe(
        "syscall-latency", "--comm", "many", "--max-map-keys", "512", bpftrace=bpftrace,
        command=[sys.executable, "-c", THREADS, "1500"], allowed=allowed,
    )  # fmt: skip
    assert run.total("unfollowed") == 0
    assert run.total("latency", "count") >= 1500
    assert not run.rows("latency", syscall="exit")
    run = run_recipe(
        "syscall-latency", "--comm", "exe", "--comm", "caller", "--max-map-keys", "256", bpftrace=bpftrace,
        command=[str(program), "again", "500"], allowed=allowed,
    )  # fmt: skip
    assert run.total("unfollowed") == 0
    assert run.total("calls") >= 500


def test_what_the_map_has_no_room_for_is_counted(bpftrace):
    words = "for n in $(seq 8); do sleep 0.2 & done; wait"
    run = run_recipe(
        "syscall-latency", "--comm", "sleep", "--max-map-keys", "4", bpftrace=bpftrace,
        command=["sh", "-c", words], allowed=(*MISSING, "repaired", "map-full"),
    )  # fmt: skip
    assert run.total("unfollowed") > 0
    assert run.capture["quality"]["grade"] == "degraded"


def test_a_call_belongs_to_who_began_it(bpftrace):
    """The name of a process that executes another program is that of before; the rest is the other's."""
    run = run_recipe(
        "syscall-latency", "--comm", "beginner", "--syscall", "execve", bpftrace=bpftrace,
        command=[sys.executable, "-c", "import ctypes, os; ctypes.CDLL(None).prctl(15, b'beginner'); os.execv('/bin/true', ['true'])"],
    )  # fmt: skip
    (row,) = run.tables["latency"]
    assert (row["key"]["comm"], row["key"]["syscall"], row["count"]) == ("beginner", "execve", 1)

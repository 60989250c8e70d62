"""The recipes of the scheduler against what the kernel and the load themselves count."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.kernel.recipes import MISSING, bucket_at, buckets_of, printed_buckets, run_recipe
from tests.laboratory.children import child
from tests.laboratory.load import asking, load
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

STATUS = "/proc/PID/task/*/status"
SCHEDSTAT = "/proc/PID/task/*/schedstat"


def test_switches_are_those_that_the_kernel_counts(bpftrace, tmp_path, truth):
    with load("switcher", tmp_path) as one, load("bystander", tmp_path) as other:
        before = one.switches()
        run = run_recipe(
            "sched-switches",
            "--comm",
            "switcher",
            bpftrace=bpftrace,
            command=asking("switches 2000", one, other),
        )
        theirs = [after - earlier for earlier, after in zip(before, one.switches(), strict=True)]
    ours = [run.total("switches", pid=one.pid, voluntary=voluntary) for voluntary in (True, False)]
    for what, mine, independent in zip(("voluntary", "not voluntary"), ours, theirs, strict=True):
        truth(
            "sched-switches", f"{what} switches", "2,000 rounds between two threads", release_of(bpftrace),
            mine, independent, STATUS,
        )  # fmt: skip
    assert sum(theirs) >= 4000
    assert 0 <= sum(theirs) - sum(ours) <= run.missed
    assert ours == theirs or run.missed
    assert {row["key"]["comm"] for row in run.tables["switches"]} == {"switcher"}
    assert run.total("switches_total") == run.total("switches")


def test_a_thread_is_found_by_its_own_name(bpftrace, tmp_path, truth):
    def of_partner(one):
        (thread,) = [each for each in one.threads() if (each / "comm").read_text() == "partner\n"]
        text = (thread / "status").read_text()
        return sum(int(number) for number in re.findall(r"voluntary_ctxt_switches:\s+(\d+)", text))

    with load("switcher", tmp_path) as one:
        before = of_partner(one)
        run = run_recipe(
            "sched-switches", "--thread", "partner", bpftrace=bpftrace, command=asking("switches 500", one)
        )
        theirs = of_partner(one) - before
    ours = run.total("switches", pid=one.pid)
    truth(
        "sched-switches", "switches of one thread (--thread)", "500 rounds", release_of(bpftrace),
        ours, theirs, STATUS,
    )  # fmt: skip
    assert 0 <= theirs - ours <= run.missed
    assert {row["key"]["comm"] for row in run.tables["switches"]} == {"switcher"}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("spin 1.5", "two that compute on one processor"),
        ("read 1.5", "two that read in the kernel on one processor"),
    ],
    ids=["user", "kernel"],
)
def test_waits_for_a_processor_are_those_that_the_kernel_counts(bpftrace, tmp_path, truth, words, what):
    with load("waiter-a", tmp_path, cpu=1) as one, load("waiter-b", tmp_path, cpu=1) as other:
        before = one.schedstat()
        run = run_recipe(
            "runqlat", "--comm", "waiter-*", bpftrace=bpftrace, command=asking(words, one, other)
        )
        _, waited, times = (after - earlier for earlier, after in zip(before, one.schedstat(), strict=True))
    (row,) = run.rows("waits", pid=one.pid)
    release = release_of(bpftrace)
    truth("runqlat", "waits", what, release, row["count"], times, SCHEDSTAT)
    truth(
        "runqlat", "waited ms", what, release, round(row["total"] / 1e6, 3), round(waited / 1e6, 3), SCHEDSTAT,
        because="the kernel's two clock readings are not ours",
    )  # fmt: skip
    assert waited > 500_000_000, "they did not wait for each other"
    assert 0 <= times - row["count"] <= run.missed + run.hidden
    # Of those that were hidden each may be as long as the longest.
    (histogram,) = run.rows("latency", comm="waiter-a")
    longest = buckets_of(histogram)[-1][1] * 1000
    assert abs(row["total"] - waited) <= 0.01 * waited + (times - row["count"]) * longest
    assert {row["key"]["comm"] for row in run.tables["latency"]} == {"waiter-a", "waiter-b"}
    assert histogram["count"] == row["count"]


def test_waits_are_distributed_as_another_tool_sees_them(bpftrace, tmp_path, truth):
    with (
        load("waiter-a", tmp_path, cpu=1) as one,
        load("waiter-b", tmp_path, cpu=1) as other,
        child(["runqlat", "-p", str(one.pid)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as tool,
    ):
        time.sleep(2)
        run = run_recipe(
            "runqlat", "--pid", str(one.pid), "--above", "2ms", bpftrace=bpftrace,
            command=asking("spin 2", one, other),
        )  # fmt: skip
        tool.send_signal(signal.SIGINT)
        output = tool.communicate(timeout=20)[0].decode()
    theirs = printed_buckets(output)
    (row,) = run.rows("latency")
    buckets = buckets_of(row)
    for quantile in (0.5, 0.9, 0.99):
        low, high = bucket_at(quantile, buckets)
        other_low, other_high = bucket_at(quantile, theirs)
        truth(
            "runqlat", f"p{quantile * 100:g} us", "two that compute on one processor", release_of(bpftrace),
            f"{low}-{high}", f"{other_low}-{other_high}", "runqlat of libbpf-tools",
            because="its buckets are octaves, ours quarters of them",
        )  # fmt: skip
        assert other_low // 2 <= low <= other_high * 2 + 1, (quantile, buckets, theirs)
    slow = run.total("slow")
    certain = sum(count for low, _, count in buckets if low >= 2000)
    most = sum(count for _, high, count in buckets if high >= 2000)
    assert certain <= slow <= most


def is_asleep(stack):
    """Whether a kernel stack is that of a sleep."""
    return any("nanosleep" in str(frame.get("symbol")) for frame in stack)


def test_time_off_the_processor_is_what_the_load_measures(bpftrace, tmp_path, truth):
    with load("sleeper", tmp_path) as one:
        command = asking("sleep 50 10", one)
        run = run_recipe(
            "offcpu", "--pid", str(one.pid), "--least", "5ms", bpftrace=bpftrace,
            command=["sh", "-c", f"{' '.join(map(repr, command))} > {tmp_path}/answer"],
        )  # fmt: skip
    (measured,) = json.loads((tmp_path / "answer").read_text())
    (row,) = run.rows("waits", preempted=False)
    release = release_of(bpftrace)
    load_text = "50 sleeps of 10 ms"
    truth("offcpu", "times off the processor", load_text, release, row["count"], len(measured), "the load")
    truth(
        "offcpu", "ms off the processor", load_text, release,
        round(row["total"] / 1e6, 2), round(sum(measured) / 1e6, 2), "the load",
        because="the load's own measure has its system calls in it",
    )  # fmt: skip
    stacks = run.rows("off_cpu", pid=one.pid)
    slept, waited = (
        sum(
            each["value"]
            for each in stacks
            if not each["key"]["preempted"] and is_asleep(each["key"]["kernel"]) is asleep
        )
        for asleep in (True, False)
    )
    assert slept + waited == row["total"]
    # It waits once more where who asks it is held up for so long between connecting and asking.
    count = row["count"] - (waited > 0)
    assert run.agrees(count, len(measured))
    assert 0.97 * count / len(measured) * sum(measured) <= slept <= sum(measured)
    modules = {str(frame.get("module", "")) for each in stacks for frame in each["key"]["user"]}
    assert any("libc" in module for module in modules), modules


THREADS = """
import sys, threading, time
for _ in range(int(sys.argv[1])):
    one = threading.Thread(target=time.sleep, args=(0.001,))
    one.start()
    one.join()
"""


def test_threads_that_ended_leave_nothing_behind(bpftrace):
    """More threads than the maps have room for, one after the other."""
    run = run_recipe(
        "offcpu", "--comm", "many", "--least", "900us", "--max-map-keys", "512", bpftrace=bpftrace,
        command=[sys.executable, "-c", "import ctypes; ctypes.CDLL(None).prctl(15, b'many')\n" + THREADS, "2000"],
        allowed=(*MISSING, "repaired", "map-full", "stacks-lost", "stacks-cut"),
    )  # fmt: skip
    assert {row["key"]["comm"] for row in run.tables["waits"]} == {"many"}
    # A thread that is preempted while it ends has given up its memory: it has no user stack any more.
    assert all(row["key"]["preempted"] for row in run.tables["off_cpu_of_kernel_threads"])
    assert run.total("unfollowed") == 0
    assert run.total("waits", "count", preempted=False) >= 2000


def test_what_the_maps_have_no_room_for_is_counted(bpftrace, tmp_path):
    folders = [tmp_path / str(place) for place in range(12)]
    for folder in folders:
        folder.mkdir()
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(load("sleeper", folder)) for folder in folders]
        run = run_recipe(
            "offcpu", "--comm", "sleeper", "--max-map-keys", "4", bpftrace=bpftrace,
            command=asking("sleep 5 20", *loads), allowed=(*MISSING, "map-full", "stacks-lost"),
        )  # fmt: skip
    assert run.total("unfollowed") > 0
    assert "map-full" in run.problems
    assert run.capture["quality"]["grade"] == "degraded"
    assert {row["key"]["comm"] for row in run.tables["waits"]} <= {"sleeper"}

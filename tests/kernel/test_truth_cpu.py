"""The recipes of processors against what the load, the kernel and another tool measure."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kernel.recipes import bucket_at, buckets_of, printed_buckets, run_recipe
from tests.laboratory.children import child
from tests.laboratory.load import asking, load
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

HERTZ = 499


@pytest.fixture(scope="module")
def spinner(tmp_path_factory):
    path = tmp_path_factory.mktemp("spinner") / "spinner"
    source = Path(__file__).parents[1] / "laboratory" / "spinner.c"
    subprocess.run(
        ["gcc", "-O0", "-fno-omit-frame-pointer", "-o", path, source],
        check=True,
    )
    return path


def is_near(samples, expected):
    """Whether a number of samples is one that chance gives: three standard deviations, and 2 % for the clock."""
    return abs(samples - expected) <= 3 * math.sqrt(expected) + 0.02 * expected


def test_samples_are_the_time_that_each_function_took(bpftrace, spinner, tmp_path, truth):
    question, answer = tmp_path / "question", tmp_path / "answer"
    os.mkfifo(question)
    os.mkfifo(answer)
    with child(["sh", "-c", f"exec {spinner} 30 10 50 <> {question} > {answer}"]):
        run = run_recipe(
            "cpu-profile", "--comm", "spinner", "--hertz", str(HERTZ), bpftrace=bpftrace,
            command=["sh", "-c", f"echo go > {question}; exec head -n 1 {answer} > {tmp_path}/figures"],
        )  # fmt: skip
    long_ns, short_ns, all_ns = map(int, (tmp_path / "figures").read_text().split())
    release = release_of(bpftrace)
    of = dict.fromkeys(("spin_long", "spin_short"), 0)
    for row in run.rows("samples", comm="spinner"):
        stack = row["key"]["user"]
        name = stack[0].get("symbol") if stack and not row["key"]["kernel"] else None
        if name in of:
            of[name] += row["value"]
    shares = (of["spin_long"] / sum(of.values()), long_ns / (long_ns + short_ns))
    truth(
        "cpu-profile", "share of one of two functions", "30 ms in one, 10 ms in the other, 50 times", release,
        round(shares[0], 4), round(shares[1], 4), "the load's own clock", because="chance: it is a sample",
    )  # fmt: skip
    deviation = math.sqrt(shares[1] * (1 - shares[1]) / sum(of.values()))
    assert abs(shares[0] - shares[1]) <= 3 * deviation + 0.01
    expected = all_ns / 1e9 * HERTZ
    ours = run.total("samples", comm="spinner")
    truth(
        "cpu-profile", "samples of one process", f"{all_ns / 1e9:.2f} s of CPU at {HERTZ} Hz", release,
        ours, round(expected), "the load's own clock", because="chance: it is a sample",
    )  # fmt: skip
    assert is_near(ours, expected)
    callers = {
        row["key"]["user"][1].get("symbol")
        for row in run.rows("samples", comm="spinner")
        if row["key"]["user"][0].get("symbol") == "spin_short"
    }
    assert callers == {"spend"}


def test_samples_are_the_time_that_the_kernel_gives_a_process(bpftrace, tmp_path, truth):
    with load("reader", tmp_path) as one, load("bystander", tmp_path) as other:
        before = one.schedstat()[0]
        run = run_recipe(
            "cpu-profile", "--pid", str(one.pid), "--hertz", str(HERTZ), bpftrace=bpftrace,
            command=asking("read 2", one, other),
        )  # fmt: skip
        expected = (one.schedstat()[0] - before) / 1e9 * HERTZ
    ours = run.total("samples", pid=one.pid)
    truth(
        "cpu-profile", "samples of one process (--pid)", f"reads in the kernel, at {HERTZ} Hz", release_of(bpftrace),
        ours, round(expected), "/proc/PID/task/*/schedstat", because="chance: it is a sample",
    )  # fmt: skip
    assert expected > HERTZ / 2
    assert is_near(ours, expected)
    assert {row["key"]["comm"] for row in run.tables["samples"]} == {"reader"}
    in_kernel = sum(row["value"] for row in run.rows("samples", pid=one.pid) if row["key"]["kernel"])
    assert in_kernel > 0.9 * ours, "reads of /dev/urandom are the kernel's work"


def softirqs():
    """What the kernel counts, by vector and processor."""
    head, *lines = Path("/proc/softirqs").read_text().splitlines()
    processors = [int(name.removeprefix("CPU")) for name in head.split()]
    return {
        (vector.strip(), cpu): int(number)
        for vector, _, rest in (line.partition(":") for line in lines)
        for cpu, number in zip(processors, rest.split(), strict=True)
    }


PACKETS = """
import socket, sys
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])):
    sender.sendto(b"x", receiver.getsockname())
    receiver.recv(1)
"""


@pytest.fixture
def many_rules(hosts):
    """A host whose firewall has so many rules that each packet takes it long."""
    rules = "*filter\n" + "-A INPUT -s 192.0.2.1 -j DROP\n" * 5000 + "COMMIT\n"
    command = hosts[0].command(["iptables-legacy-restore"])
    subprocess.run(command, input=rules.encode(), check=True)
    yield hosts[0]
    hosts[0].run("iptables-legacy", "-F", "INPUT")


def test_softirqs_are_those_that_the_kernel_counts(bpftrace, many_rules, truth):
    packets = 20000
    with child(["softirqs"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as tool:
        time.sleep(2)
        before = softirqs()
        load_command = many_rules.command([sys.executable, "-c", PACKETS, str(packets)])
        run = run_recipe("softirqs", bpftrace=bpftrace, command=load_command)
        after = softirqs()
        tool.send_signal(signal.SIGINT)
        output = tool.communicate(timeout=20)[0].decode()
    release = release_of(bpftrace)
    what = f"{packets:,} datagrams through 5,000 firewall rules"
    received = run.total("time", "count", vector="NET_RX")
    most = sum(after[key] - before[key] for key in after if key[0] == "NET_RX")
    truth(
        "softirqs", "runs of NET_RX", what, release, received, most, "/proc/softirqs",
        because="read before the trace began and after it ended",
    )  # fmt: skip
    assert packets <= received + run.missed
    for row in run.tables["time"]:
        vector, cpu = row["key"]["vector"], row["key"]["cpu"]
        assert row["count"] <= after[vector, cpu] - before[vector, cpu], (vector, cpu)
    (theirs,) = re.findall(r"^net_rx\s+(\d+)", output, re.MULTILINE)
    ours = run.total("time", "total", vector="NET_RX") / 1000
    truth(
        "softirqs", "ms in NET_RX", what, release, round(ours / 1000, 1), round(int(theirs) / 1000, 1),
        "softirqs of libbpf-tools", because="each has the time of the other's probes in it",
    )  # fmt: skip
    assert abs(ours - int(theirs)) <= 0.1 * int(theirs)
    assert abs(run.total("latency", "count", vector="NET_RX") - received) <= run.missed + run.hidden


def test_softirqs_are_distributed_as_another_tool_sees_them(bpftrace, many_rules, truth):
    packets = 20000
    with child(["softirqs", "-d"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as tool:
        time.sleep(2)
        load_command = many_rules.command([sys.executable, "-c", PACKETS, str(packets)])
        run = run_recipe("softirqs", bpftrace=bpftrace, command=load_command)
        tool.send_signal(signal.SIGINT)
        output = tool.communicate(timeout=20)[0].decode()
    _, _, of_packets = output.partition("softirq = net_rx")
    theirs = printed_buckets(of_packets.partition("softirq = ")[0])
    (row,) = run.rows("latency", vector="NET_RX")
    ours = buckets_of(row)
    for quantile in (0.5, 0.9, 0.99):
        low, high = bucket_at(quantile, ours)
        other_low, other_high = bucket_at(quantile, theirs)
        truth(
            "softirqs", f"p{quantile * 100:g} us of NET_RX", f"{packets:,} datagrams through 5,000 firewall rules",
            release_of(bpftrace), f"{low}-{high}", f"{other_low}-{other_high}", "softirqs -d of libbpf-tools",
            because="its buckets are octaves, ours quarters of them",
        )  # fmt: skip
        assert other_low // 2 <= low <= other_high * 2 + 1, (quantile, ours, theirs)

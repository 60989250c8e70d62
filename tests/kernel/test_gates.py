"""Gates on the real kernel: a load decides a script by the exit code, both ways, and a failed one never passes."""

import json
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree as ET

import pytest

from tests.command import EBPF_RECIPE, ebpf_recipe

pytestmark = pytest.mark.kernel

# Four processes called gate-load that want one processor: each waits for the others, milliseconds at a time.
CROWD = """
import os, time
open("/proc/self/comm", "w").write("gate-load")
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for _ in range(3):
    if os.fork() == 0:
        break
end = time.monotonic() + 1.5
while time.monotonic() < end:
    pass
"""
LOAD = ("--", sys.executable, "-c", CROWD)
RUN = ("run", "runqlat", "--comm", "gate-load", "-f", "json")


@pytest.fixture(autouse=True)
def _chosen(bpftrace, monkeypatch):
    monkeypatch.setenv("EBPF_RECIPE_BPFTRACE", bpftrace)


def only_gate(done):
    (gate,) = json.loads(done.stdout)["gates"]
    return gate


def test_a_load_decides_by_the_exit_code_both_ways(figure):
    fails = ebpf_recipe(*RUN, "--gate", "latency.above(1ms) <= 1%", *LOAD)
    assert fails.returncode == 1, fails.stderr
    gate, capture = only_gate(fails), json.loads(fails.stdout)
    assert (gate["verdict"], gate["counts_as"], gate["reason"]) == ("fail", "fail", None)
    tables = {table["name"]: table for table in capture["tables"]}
    assert capture["parameters"] == {"above": "1ms"}
    assert tables["slow"]["above_of"] == {"table": "latency", "parameter": "above"}
    slow = sum(row["value"] for row in tables["slow"]["rows"])
    waits = sum(row["count"] for row in tables["latency"]["rows"])
    if not capture["quality"]["problems"]:
        assert gate["measured"] == {"lower": slow / waits, "upper": slow / waits, "unit": "ratio"}
    assert "gate latency.above(1ms) <= 1%: fail" in fails.stderr
    passes = ebpf_recipe(*RUN, "--gate", "latency.above(10s) <= 1%", *LOAD)
    assert passes.returncode == 0, passes.stderr
    assert only_gate(passes)["verdict"] == "pass"
    figure(f"{slow} of {waits} waits of 1 ms and more: exit 1; none of 10 s: exit 0")


def test_a_share_that_the_buckets_tell_holds_the_one_that_was_counted():
    done = ebpf_recipe(*RUN, "--gate", "latency.above(5ms) >= 0%", *LOAD)
    assert done.returncode == 0, done.stderr
    capture = json.loads(done.stdout)
    tables = {table["name"]: table["rows"] for table in capture["tables"]}
    slow = sum(row["value"] for row in tables["slow"])
    certain = sum(b["count"] for r in tables["latency"] for b in r["buckets"] if b["lower"] >= 5000)
    possible = sum(b["count"] for r in tables["latency"] for b in r["buckets"] if b["upper"] >= 5000)
    assert certain <= slow <= possible
    assert slow > 0


@pytest.mark.parametrize("inconclusive", ["pass", "fail"])
def test_a_failed_load_passes_nothing(inconclusive):
    crowd_and_fail = f"{CROWD}\nraise SystemExit(3)"
    gate = ("--gate", "latency.above(10s) <= 1%", "--inconclusive", inconclusive)
    done = ebpf_recipe(*RUN, *gate, "--", sys.executable, "-c", crowd_and_fail)
    assert done.returncode == 7, done.stderr
    assert only_gate(done)["counts_as"] == "fail"
    assert only_gate(done)["measured"]["upper"] == 0
    assert "the command failed" in only_gate(done)["reason"]
    assert ebpf_recipe("run", "runqlat", "--gate", "waits.count >= 0", "--", "false").returncode == 7


def test_no_events_decide_nothing():
    absent = ("run", "runqlat", "--comm", "no-such-one", "-d", "500ms", "-f", "json")
    for inconclusive in ("pass", "fail"):
        done = ebpf_recipe(*absent, "--gate", "latency.p99 <= 60m", "--inconclusive", inconclusive)
        assert done.returncode == 1, done.stderr
        assert only_gate(done)["reason"] == "there were no events in latency"


def test_a_window_that_a_signal_ended_passes_nothing():
    command = [
        EBPF_RECIPE,
        "run",
        "sched-switches",
        "-d",
        "60s",
        "--gate",
        "switches.total >= 1",
        "-f",
        "json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(6)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    (gate,) = json.loads(out)["gates"]
    assert (gate["verdict"], gate["reason"]) == (
        "inconclusive",
        "a signal ended the window before its time",
    )


def test_of_windows_the_whole_run_decides():
    windows = ("run", "sched-switches", "--interval", "500ms", "--count", "2")
    for gate, code in (("switches.total >= 1", 0), ("switches.total = 0", 1)):
        done = ebpf_recipe(*windows, "-f", "json", "--gate", gate)
        assert done.returncode == code, done.stderr
        found = json.loads(done.stdout)
        assert len(found) == 2
        for window in found:
            assert [each["gate"] for each in window["gates"]] == [gate]
        total = found[0]["gates"][0]["measured"]["upper"]
        counted = [
            sum(row["value"] for row in table["rows"])
            for window in found
            for table in window["tables"]
            if table["name"] == "switches_total"
        ]
        assert total >= max(counted)
    lines = ebpf_recipe(*windows, "-f", "jsonl", "--gate", "switches.total >= 1")
    assert lines.returncode == 0
    assert ["gates" in json.loads(line) for line in lines.stdout.splitlines()] == [False, False, True]


def test_a_gate_of_events_is_said_at_the_end(tmp_path):
    path = tmp_path / "opens.json"
    done = ebpf_recipe("run", "file-opens", "-o", str(path), "--gate", "opens.total >= 1", "--", "ls", "/")
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["gates"][0]["verdict"] == "pass"


def test_gates_of_repeated_runs_are_junit_for_ci(tmp_path):
    """One suite for each run, also where a gate of one fails."""
    path = tmp_path / "gates.xml"
    done = ebpf_recipe(
        *RUN, "--gate", "latency.above(10s) <= 1%", "--gate", "latency.count < 1", "--repeat", "2",
        "--junit", str(path), *LOAD,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    root = ET.fromstring(path.read_bytes())  # noqa: S314
    assert [len(suite.findall("testcase")) for suite in root] == [3, 3]  # the run, and its two gates
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["6", "2", "0"]

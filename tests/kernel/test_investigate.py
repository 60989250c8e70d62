"""Investigations of real loads: what each has to find, an end in the middle, and conclusions that are repeated."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from runner.workflow.schema import case_schema
from tests.command import ebpf_recipe
from tests.kernel.recipes import run_recipe
from tests.laboratory.children import child
from tests.laboratory.investigations import EXPECTED, SHORTEST_SECONDS, investigate, wrong
from tests.laboratory.releases import paths, release_of

pytestmark = pytest.mark.kernel

SHORT = ("-d", f"{SHORTEST_SECONDS}s")
"""Long enough for ten long waits of each kind that the loads have."""


def _pairs():
    """Each load with one release, in turn: `make investigations` runs all of them with all."""
    releases = paths()
    return [(name, releases[place % len(releases)]) for place, name in enumerate(EXPECTED) if releases]


@pytest.mark.parametrize(
    ("name", "path"), _pairs(), ids=lambda each: each if each in EXPECTED else Path(each).parent.name
)
def test_an_investigation_finds_what_is_there_and_nothing_else(name, path, tmp_path):
    found = investigate(name, path, tmp_path / "case", *SHORT)
    assert wrong(name, found) == [], (tmp_path / "case" / "report.md").read_text()
    jsonschema.validate(found.case, case_schema())
    assert found.case["host"]["bpftrace"] == release_of(path)
    assert found.case["complete"]
    again = ebpf_recipe("investigate", "--replay", str(found.folder), "-f", "json")
    assert again.returncode == 0, again.stderr
    assert again.stdout.encode() == (found.folder / "case.json").read_bytes()
    captures = {
        each.stem for each in (found.folder / "captures").glob("*.json") if ".failed" not in each.name
    }
    assert {each.stem for each in (found.folder / "programs").glob("*.bt")} == captures


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "runner", "investigate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_a_case_that_was_interrupted_is_gone_on_with(number, tmp_path):
    folder = tmp_path / "case"
    path = paths()[-1]
    with child([sys.executable, "-c", "import time\nwhile True: time.sleep(0.002)"]) as one:
        words = ("tail-latency", "--pid", str(one.pid), "-d", "2s", "--bpftrace", path, "--case", str(folder))
        process = start(*words, "-f", "json")
        wait_for((folder / "captures" / "scan-thread-time.json").exists, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert process.returncode == 130, said
            assert f"--resume --case {folder}" in said
        kept = (folder / "captures" / "scan-thread-time.json").read_bytes()
        half = ebpf_recipe("investigate", "--replay", str(folder), "-f", "json")
        assert half.returncode == 0, half.stderr
        assert not json.loads(half.stdout)["complete"]
        done = ebpf_recipe("investigate", "--resume", "--case", str(folder), "-f", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["complete"]
        assert (folder / "captures" / "scan-thread-time.json").read_bytes() == kept
        once_more = ebpf_recipe("investigate", "--resume", "--case", str(folder), "-f", "json")
    assert "nothing is left to be run" in once_more.stderr
    assert once_more.stdout == done.stdout


def test_a_target_that_ends_meanwhile_proves_nothing(tmp_path):
    folder = tmp_path / "case"
    with subprocess.Popen(["sleep", "1000"]) as target:
        words = ("tail-latency", "--pid", str(target.pid), "-d", "5s", "--bpftrace", paths()[-1])
        process = start(*words, "--case", str(folder), "-f", "json")
        wait_for(
            lambda: any((folder / "captures").glob(".*.attached")) if folder.exists() else False, process
        )
        target.kill()
        target.wait()
        out, said = process.communicate(timeout=120)
    assert process.returncode == 5, said
    assert "ended before it was done" in said
    case = json.loads(out)
    assert {each["status"] for each in case["hypotheses"]} == {"not-measured"}, case["hypotheses"]
    again = ebpf_recipe("investigate", "--replay", str(folder), "-f", "json")
    assert (again.returncode, again.stdout) == (0, out)


READS = "while :; do dd if=$0 of=/dev/null bs=4k count=2000 iflag=direct status=none; done"


def test_a_budget_that_nothing_fits_is_refused_and_one_that_fits_some_says_which(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(8 << 20))
    with subprocess.Popen(["sh", "-c", READS, str(file)], start_new_session=True) as busy:
        try:
            words = ("slow-disk", "-d", "2s", "--bpftrace", paths()[-1])
            none = ebpf_recipe("investigate", *words, "--budget", "0.01%", "--case", str(tmp_path / "none"))
            # Less than the dearest would take, and enough for a shorter window of it.
            dearest = max(float(each) for each in re.findall(r"it would take ([0-9.]+)% of all", none.stderr))
            budget = f"{0.7 * dearest:.2f}%"
            words = ("slow-disk", "-d", "4s", "--bpftrace", paths()[-1], "--budget", budget)
            some = ebpf_recipe("investigate", *words, "--case", str(tmp_path / "some"))
        finally:
            os.killpg(busy.pid, signal.SIGKILL)
    assert none.returncode == 4, none.stderr
    assert "has room for no recipe" in none.stderr
    assert not (tmp_path / "none").exists()
    plan = json.loads((tmp_path / "some" / "plan.json").read_bytes())
    left_out = {each["recipe"] for each in plan["left_out"]}
    cut = {step["recipe"] for step in plan["scan"] if "shortened" in step}
    assert left_out | cut, plan
    assert some.returncode == 0, some.stderr
    for each in plan["scan"]:
        assert each["predicted_ratio"] * each["seconds"] / 4 <= 0.007 * dearest + 1e-4


def test_the_rates_are_those_that_the_kernel_counts(tmp_path):
    """perf's counters of a tracepoint against the events that a recipe counts: the same load, one after the other."""
    from runner.host.event_rates import event_rates

    with subprocess.Popen(["python3", "-c", "import os\nwhile True: os.getppid()"]) as busy:
        try:
            rate = event_rates(["tracepoint:syscalls:sys_enter_getppid", "tracepoint:no:such"], 1.0)
            run = run_recipe("syscount", "--pid", str(busy.pid), "-d", "1s", bpftrace=paths()[0])
        finally:
            busy.kill()
    assert list(rate) == ["tracepoint:syscalls:sys_enter_getppid"]
    counted = run.total("calls", syscall="getppid") / run.capture["window"]["duration_seconds"]
    assert rate["tracepoint:syscalls:sys_enter_getppid"] > 10_000
    assert counted < 1.5 * rate["tracepoint:syscalls:sys_enter_getppid"], (
        "the program makes it slower, not faster"
    )

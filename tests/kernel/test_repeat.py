"""Repeated runs, commands with a duration and units of work on the real kernel."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import validate

from runner.capture.schema import capture_schema
from tests.command import EBPF_RECIPE, ebpf_recipe
from tests.laboratory.children import command_lines

pytestmark = pytest.mark.kernel

# So many getppid calls of a process with a name of its own, and how many that were.
LOAD = """
import os, sys, time
open("/proc/self/comm", "w").write("repeated")
for _ in range(3000):
    os.getppid()
open(os.environ["EBPF_RECIPE_WORK"], "w").write("3000 calls")
"""
COUNT = ("run", "syscount", "--comm", "repeated", "--overhead", "off")
IDLE = ("run", "sched-switches", "--comm", "nobody-at-all", "--overhead", "off")


def calls(capture, name="getppid"):
    (table,) = (each for each in capture["tables"] if each["name"] == "calls")
    return sum(row["value"] for row in table["rows"] if row["key"]["syscall"] == name)


def missing(capture):
    return sum(each["count"] or 0 for each in capture["quality"]["problems"] if "missed" in each["code"])


def saved(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


def test_each_run_is_a_new_start_with_its_own_exact_count(bpftrace, tmp_path, figure):
    done = ebpf_recipe(
        *COUNT, "--bpftrace", bpftrace, "--repeat", "3", "-o", str(tmp_path), "--", sys.executable, "-c", LOAD
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"run-00{n}.json" for n in (1, 2, 3)]
    assert [line for line in done.stderr.splitlines() if line.startswith("run ")] == [
        f"run {number} of 3" for number in (1, 2, 3)
    ]
    found = saved(tmp_path)
    assert len({each["run_id"] for each in found}) == 3
    for each in found:
        validate(each, capture_schema())
        assert 0 <= 3000 - calls(each) <= missing(each)
        assert each["window"]["workload"]["work"] == {"count": 3000, "unit": "calls"}
    figure(f"{[calls(each) for each in found]} of 3000 calls each")
    ends = [each["window"]["ended_at"] for each in found[:-1]]
    assert all(end < each["window"]["attached_at"] for end, each in zip(ends, found[1:], strict=True))


def test_a_command_that_fails_in_the_second_run_ends_them(tmp_path):
    mark = tmp_path / "mark"
    script = f"test -e {mark} && exit 5; touch {mark}"
    done = ebpf_recipe(*IDLE, "--repeat", "3", "-f", "json", "--", "sh", "-c", script)
    assert done.returncode == 7
    assert "run 2 of 3: the command 'sh' failed: exit 5" in done.stderr
    assert [each["window"]["workload"]["exit_code"] for each in json.loads(done.stdout)] == [0, 5]


def test_a_signal_in_the_second_run_keeps_what_is_done(tmp_path):
    command = [EBPF_RECIPE, *IDLE, "--repeat", "3", "-o", str(tmp_path), "--", "sh", "-c"]
    script = f"test -e {tmp_path}/run-001.json && touch {tmp_path}.second && sleep 60; true"
    with subprocess.Popen([*command, script], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not Path(f"{tmp_path}.second").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "1 of 3 are complete" in said
    assert [each["window"]["ended_by"] for each in saved(tmp_path)] == ["workload", "interrupt"]


def test_a_signal_in_the_first_run_leaves_none_complete():
    command = [EBPF_RECIPE, *IDLE, "--repeat", "2", "-f", "jsonl", "--", "sh", "-c"]
    script = "kill -INT $PPID; sleep 60"
    done = subprocess.run([*command, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert json.loads(done.stdout)["window"]["ended_by"] == "interrupt"


def test_windows_of_repeats_are_files_of_their_own(bpftrace, tmp_path):
    done = ebpf_recipe(
        *IDLE, "--bpftrace", bpftrace, "--repeat", "2", "--windows", "2", "-d", "200ms", "-o", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    runs = [sorted(path.name for path in tmp_path.glob(f"run-00{run}-*")) for run in (1, 2)]
    # A border that another program was in the way of is missing, and that is said.
    fewer = [int(number) for number in re.findall(r"note: (\d) windows instead of 2", done.stderr)]
    assert sorted(map(len, runs)) == sorted([*fewer, 2, 2][:2])
    assert [*runs[0], *runs[1]] == sorted(path.name for path in tmp_path.iterdir())
    for run, names in enumerate(runs, start=1):
        assert names == [f"run-00{run}-window-00{window}.json" for window in range(1, len(names) + 1)]
    ids = [{json.loads((tmp_path / name).read_text())["run_id"] for name in names} for names in runs]
    assert [len(each) for each in ids] == [1, 1]
    assert ids[0] != ids[1]


def test_a_duration_ends_a_command_and_all_it_started():
    done = ebpf_recipe(
        *IDLE, "-d", "400ms", "-f", "json", "--gate", "switches.total <= 0",
        "--", "sh", "-c", "sleep 62.75 & sleep 62.75; exit 3",
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    window = json.loads(done.stdout)["window"]
    assert window["ended_by"] == "duration"
    assert window["workload"]["exit_code"] is None
    assert window["workload"]["ended"] == "runner"
    assert window["duration_seconds"] < 5
    assert b"sleep\x0062.75\x00" not in command_lines()


def test_a_command_that_ends_before_its_duration_is_told_and_passes_nothing():
    gate = ("--gate", "calls.total >= 1")
    done = ebpf_recipe(*COUNT, "-d", "20s", "-f", "json", *gate, "--", sys.executable, "-c", LOAD)
    assert done.returncode == 1, done.stderr
    capture = json.loads(done.stdout)
    assert capture["window"]["ended_by"] == "workload"
    assert "ended-early" in [each["code"] for each in capture["quality"]["problems"]]
    assert "note: ended-early: the command was over after" in done.stderr
    assert "ended-early" in capture["gates"][0]["reason"]
    failed = ebpf_recipe(*IDLE, "-d", "20s", "--", "sh", "-c", "exit 4")
    assert failed.returncode == 7


def test_a_duration_that_a_load_outlasts_passes_a_gate():
    load = LOAD.replace("range(3000)", "range(10 ** 9)")
    done = ebpf_recipe(
        *COUNT, "-d", "500ms", "-f", "json", "--gate", "calls.total >= 1", "--", sys.executable, "-c", load
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["gates"][0]["verdict"] == "pass"


def test_work_that_cannot_be_read_is_told_and_costs_nothing():
    done = ebpf_recipe(*IDLE, "-f", "json", "--", "sh", "-c", 'echo "about 12" > "$EBPF_RECIPE_WORK"')
    assert done.returncode == 0, done.stderr
    capture = json.loads(done.stdout)
    assert [each["code"] for each in capture["quality"]["problems"]] == ["work-unreadable"]
    assert capture["quality"]["grade"] == "usable"
    assert "note: work-unreadable" in done.stderr
    assert "work" not in capture["window"]["workload"]


def test_a_script_has_a_command_with_a_duration_too(tmp_path):
    path = tmp_path / "calls.bt"
    path.write_text("tracepoint:syscalls:sys_enter_getppid { @calls = count(); }\n")
    done = ebpf_recipe("run", str(path), "-d", "300ms", "-f", "json", "--", "sleep", "61.5")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["window"]["workload"]["ended"] == "runner"
    assert "EBPF_RECIPE_WORK" not in os.environ


def test_windows_in_a_directory_say_what_the_command_did(tmp_path):
    """They are all that a comparison has of the run."""
    command = ("sh", "-c", 'echo 12 rounds > "$EBPF_RECIPE_WORK"; exec sleep 30')
    done = ebpf_recipe(*IDLE, "-d", "400ms", "--windows", "2", "-o", str(tmp_path), "--", *command)
    assert done.returncode == 0, done.stderr
    works = [each["window"]["workload"]["work"] for each in saved(tmp_path)]
    assert works == [{"count": 12, "unit": "rounds"}] * len(works)
    assert works

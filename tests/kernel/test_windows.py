"""Windows on the real kernel: nothing is lost between them, and they come as they are measured."""

import collections
import itertools
import json
import os
import re
import signal
import subprocess
import time

import pytest
from jsonschema import validate

from runner.capture.schema import capture_schema
from runner.recipe.catalogue import recipe_ids
from tests.command import EBPF_RECIPE, ebpf_recipe
from tests.kernel.recipes import MISSING
from tests.laboratory.called import build
from tests.laboratory.children import child
from tests.laboratory.load import ask, load
from tests.laboratory.machine import has_kprobes
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel

NEEDS_KPROBES = ("vfs-read-latency",)


def lines_of(process):
    """The captures that a run prints, each with when it came."""
    for line in process.stdout:
        yield time.monotonic(), json.loads(line)


def test_windows_add_up_to_what_the_kernel_counts(bpftrace, tmp_path, figure):
    with load("switcher", tmp_path) as one:
        before = sum(one.switches())
        command = [EBPF_RECIPE, "run", "sched-switches", "--pid", str(one.pid), "--bpftrace", bpftrace]
        command += ["--interval", "500ms", "--count", "6", "-f", "jsonl"]
        with child(command, stdout=subprocess.PIPE) as process:
            captures = lines_of(process)
            came, first = next(captures)
            # It works in the middle of the run, and sleeps when the last snapshot is taken.
            for _ in range(3):
                ask("switches 300", str(one.path))
                time.sleep(0.4)
            rest = list(captures)
            theirs = sum(one.switches()) - before
        assert process.wait(30) == 0
    windows, whole = [first, *(each for _, each in rest[:-1])], rest[-1][1]
    assert [window["window"]["index"] for window in windows] == list(range(6))
    # The first came long before the run was over.
    assert rest[-1][0] - came > 2
    counted = [sum(row["value"] for row in window["tables"][0]["rows"]) for window in windows]
    all_of_it = sum(row["value"] for row in whole["tables"][0]["rows"])
    missed = sum(each["count"] for each in whole["quality"]["problems"] if each["code"] in MISSING)
    figure(f"windows {counted}, the whole run {all_of_it}, /proc {theirs}, missed {missed}")
    assert sum(counted) == all_of_it
    assert 0 <= theirs - all_of_it <= missed
    assert theirs >= 1800
    assert {each["run_id"] for each in (*windows, whole)} == {windows[0]["run_id"]}
    for earlier, later in itertools.pairwise(windows):
        for before_it, table in zip(earlier["tables"], later["tables"], strict=True):
            assert table["since"] == before_it["until"]


# Both processors switch, die and call without a pause: events come at every border, and while the run ends.
BUSY = "while :; do sh -c 'exit'; done & while :; do sh -c 'exit'; done & wait"


def counted(table):
    """What adds up of a table, by key: counts, sums, and buckets of histograms."""
    found = collections.Counter()
    for row in table["rows"]:
        key = json.dumps(row["key"], sort_keys=True)
        for bucket in row.get("buckets", []):
            found[key, bucket["lower"]] += bucket["count"]
        for field in ("value", "count", "total"):
            found[key, field] += row.get(field, 0)
    return +found


@pytest.mark.parametrize("recipe", ["sched-switches", "runqlat"])
def test_windows_of_a_busy_host_add_up_exactly_in_every_table(bpftrace, recipe, figure):
    options = [
        "--bpftrace",
        bpftrace,
        "--interval",
        "150ms",
        "-d",
        "800ms",
        "-f",
        "jsonl",
        "--overhead",
        "off",
    ]
    with child(["sh", "-c", BUSY], start_new_session=True) as load:
        done = subprocess.run(
            [EBPF_RECIPE, "run", recipe, *options], capture_output=True, text=True, timeout=60, check=False
        )
        os.killpg(load.pid, signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    *windows, whole = map(json.loads, done.stdout.splitlines())
    assert "index" not in whole["window"]
    sums = collections.defaultdict(collections.Counter)
    for window in windows:
        for table in window["tables"]:
            sums[table["name"]] += counted(table)
    left_out = {each["table"] for window in windows for each in window["window"].get("left_out", [])}
    compared = 0
    for table in whole["tables"]:
        if table["name"] not in left_out:
            assert sums[table["name"]] == counted(table), table["name"]
            compared += sum(counted(table).values())
    lasting = sum(window["window"]["duration_seconds"] for window in windows)
    assert lasting == pytest.approx(whole["window"]["duration_seconds"], abs=1e-5)
    figure(f"{len(windows)} windows add up to the whole run in {compared} events and their amounts")
    assert compared > 1000
    # 0.17 leaves out a map at times; what the windows lack then is said, and was looked at above.
    assert not left_out or release_of(bpftrace).startswith("0.17")


def test_a_duration_is_cut_into_files(tmp_path):
    folder = tmp_path / "windows"
    run = ("run", "runqlat", "--windows", "4", "-d", "600ms", "-o", str(folder))
    done = ebpf_recipe(*run)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    found = [json.loads(path.read_text()) for path in sorted(folder.iterdir())]
    # A border that another program was in the way of is missing, and that is said.
    fewer = re.search(r"note: (\d) windows instead of 4", done.stderr)
    there = range(int(fewer[1]) if fewer else 4)
    assert [path.name for path in sorted(folder.iterdir())] == [f"window-00{n + 1}.json" for n in there]
    assert [window["window"]["index"] for window in found] == list(there)
    assert len({window["run_id"] for window in found}) == 1
    for window in found:
        validate(window, capture_schema())
    for window in found[:-1]:
        assert window["window"]["duration_seconds"] == pytest.approx(0.15, abs=0.1) or fewer
    # The last one ends with the run: bpftrace counts on until it has detached its probes.
    assert 0.1 < found[-1]["window"]["duration_seconds"] < 1
    again = ebpf_recipe(*run)
    assert again.returncode == 3
    assert "captures of another run (window-001.json)" in again.stderr


def test_tables_on_stdout_beside_files_of_intervals(tmp_path):
    done = ebpf_recipe(
        "run", "offcpu", "--interval", "200ms", "--count", "2", "-f", "table",
        "-o", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the windows lack off_cpu: its user stacks" in done.stderr
    assert "offcpu · window 2" in done.stdout
    found = [json.loads(path.read_text()) for path in sorted(tmp_path.iterdir())]
    assert [window["window"]["left_out"][0]["table"] for window in found] == ["off_cpu", "off_cpu"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("called"))


@pytest.mark.parametrize("recipe", recipe_ids())
def test_every_recipe_has_windows(bpftrace, recipe, program):
    required = ["--function", f"{program}:empty"] if recipe.startswith("function-") else []
    done = subprocess.run(
        [EBPF_RECIPE, "run", recipe, *required, "--bpftrace", bpftrace, "--interval", "300ms", "--count", "2"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if recipe == "cpu-profile":
        # What it is for are user stacks.
        assert done.returncode == 3
        return
    if recipe in NEEDS_KPROBES and not has_kprobes():
        # Its windows are looked at in the guest.
        assert done.returncode == 4
        return
    assert done.returncode == 0, done.stderr
    windows = json.loads(done.stdout)
    assert [window["window"]["index"] for window in windows] == [0, 1]
    assert all(window["recipe"]["id"] == recipe and window["tables"] for window in windows)
    for window in windows:
        validate(window, capture_schema())


def test_an_interrupt_ends_an_open_run(bpftrace):
    command = [EBPF_RECIPE, "run", "softirqs", "--bpftrace", bpftrace, "--interval", "200ms", "-f", "jsonl"]
    with child(command, stdout=subprocess.PIPE) as process:
        for _ in range(3):
            assert json.loads(process.stdout.readline())["window"]["index"] >= 0
        process.terminate()
        last = [json.loads(line) for line in process.stdout][-1]
        assert process.wait(30) == 0
    assert last["window"]["ended_by"] == "interrupt"
    assert "index" not in last["window"]

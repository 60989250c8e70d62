"""Windows on the real kernel: nothing is lost between them, and they come as they are measured."""

import itertools
import json
import subprocess
import time

import pytest
from jsonschema import validate

from runner.capture.schema import capture_schema
from runner.recipe.catalogue import recipe_ids
from tests.command import EBPF_RECIPE
from tests.kernel.recipes import MISSING
from tests.laboratory.called import build
from tests.laboratory.children import child
from tests.laboratory.load import ask, load
from tests.laboratory.machine import has_kprobes

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

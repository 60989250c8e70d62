"""A run that is asked for a process ends with it, and keeps what was measured."""

import json
import subprocess
import sys
import time

import pytest

from tests.command import EBPF_RECIPE
from tests.kernel.recipes import MISSING
from tests.laboratory.children import child
from tests.laboratory.hidden import Process1, most_hidden

pytestmark = pytest.mark.kernel

SLEEPS = "import sys, time\nsys.stdin.readline()\nfor _ in range(20): time.sleep(0.01)\n"


def test_what_a_process_did_before_it_ended_is_kept(bpftrace):
    with child([sys.executable, "-c", SLEEPS], stdin=subprocess.PIPE) as target:
        argv = [EBPF_RECIPE, "run", "offcpu", "--pid", str(target.pid), "--bpftrace", bpftrace, "-d", "60s"]
        began, before = time.monotonic(), Process1.now()
        with child([*argv, "-f", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            # Probes attach meanwhile.
            time.sleep(6)
            target.stdin.write(b"\n")
            target.stdin.close()
            target.wait(20)
            output, said = run.communicate(timeout=40)
    assert run.returncode == 0, said
    capture = json.loads(output)
    assert capture["window"]["ended_by"] == "target"
    assert time.monotonic() - began < 40
    assert b"what it was asked for has ended" in said
    waits = [row for table in capture["tables"] if table["name"] == "waits" for row in table["rows"]]
    problems = capture["quality"]["problems"]
    missed = sum(each["count"] for each in problems if each["code"] in MISSING)
    hidden = most_hidden(capture["program"]["text"], Process1.now().since(before).slices)
    assert sum(row["count"] for row in waits if not row["key"]["preempted"]) >= 20 - missed - hidden


def test_a_process_that_ends_before_the_probes_attach_ends_the_run(bpftrace):
    with child([sys.executable, "-c", "import time; time.sleep(0.6)"]) as target:
        argv = [EBPF_RECIPE, "run", "runqlat", "--pid", str(target.pid), "--bpftrace", bpftrace, "-f", "json"]
        done = subprocess.run([*argv, "-d", "60s"], capture_output=True, timeout=50, check=False)
    if done.returncode == 3:
        # On a busy machine it may be gone before we look for it: that is said instead.
        assert b"there is no such process" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["window"]["ended_by"] == "target"

"""Ids of a pid namespace are not the kernel's: a filter by one would be for another process."""

import json
import subprocess
import sys

import pytest

from tests.command import EBPF_RECIPE
from tests.laboratory.children import child

pytestmark = pytest.mark.kernel


def test_pid_is_refused_where_it_would_name_another_process(bpftrace):
    done = subprocess.run(
        [
            "unshare", "--pid", "--fork", "--mount-proc",
            EBPF_RECIPE, "run", "sched-switches", "--bpftrace", bpftrace, "--pid", "1", "-d", "1s",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "--pid names a process of this pid namespace" in done.stderr
    assert done.stdout == ""


THREAD_THAT_ASKS = """
import ctypes, os, threading
def name(text): ctypes.CDLL(None).prctl(15, text)
name(b"the-leader")
def ask():
    name(b"its-thread")
    while True: os.getppid()
threading.Thread(target=ask, daemon=True).start()
input()
"""


def test_a_thread_outside_the_namespace_has_its_process_name(bpftrace):
    # 0.23 and 0.27 ask for ids of their own namespace, and get 0 for a process and for a thread outside.
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    with child([sys.executable, "-c", THREAD_THAT_ASKS], stdin=subprocess.PIPE):
        done = subprocess.run(
            [
                *inside, EBPF_RECIPE, "run", "syscount", "--syscall", "getppid", "--bpftrace", bpftrace,
                "-d", "300ms", "-f", "json",
            ],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (table,) = (each for each in json.loads(done.stdout)["tables"] if each["name"] == "calls")
    calls = {row["key"]["comm"]: row["value"] for row in table["rows"]}
    assert calls.pop("the-leader") > 0
    assert "its-thread" not in calls

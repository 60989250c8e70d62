"""Ids of a pid namespace are not the kernel's: a filter by one would be for another process."""

import subprocess

import pytest

from tests.command import EBPF_RECIPE

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

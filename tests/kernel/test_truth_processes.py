"""execsnoop and fork-rate against what the load itself starts."""

import shutil
from collections import Counter

import pytest

from runner.capture.encode import encode_text
from tests.kernel.recipes import run_recipe
from tests.laboratory.load import START_ARGUMENTS, asking, load
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel


def test_every_start_is_reported_with_its_command_line(bpftrace, tmp_path, truth):
    program = tmp_path / "starts, x"
    shutil.copy("/bin/true", program)
    link = tmp_path / "started"
    link.symlink_to(program)
    times = 100
    with load("starter", tmp_path) as one:
        run = run_recipe(
            "execsnoop", "--comm", "started", "--comm", "starter", bpftrace=bpftrace,
            command=asking(f"starts {times} {link}", one),
        )  # fmt: skip
    ((succeeded, failed),) = run.answers()
    what, release = f"{times} starts, and {times} of what is not there", release_of(bpftrace)
    ours = run.total("execs", comm="started", parent="starter")
    truth("execsnoop", "programs started", what, release, ours, succeeded, "the load")
    assert run.agrees(ours, succeeded)
    reported = run.events("exec")
    truth("execsnoop", "reported starts", what, release, len(reported), succeeded, "the load")
    assert run.agrees(len(reported), succeeded)
    arguments = [encode_text(word) for word in START_ARGUMENTS]
    right = sum(
        event["fields"]["arguments"] == arguments
        and event["fields"]["executable"] == str(program)
        and event["fields"]["ppid"] == one.pid
        and event["fields"]["parent"] == "starter"
        for event in reported
    )
    truth("execsnoop", "command lines and paths that are right", what, release, right, succeeded, "the load")
    assert right == len(reported)
    assert len({event["fields"]["pid"] for event in reported}) == len(reported)
    # What fails keeps the name of who tried; a fork of it, for posix_spawn forks.
    failures = [
        event["fields"] for event in run.events("failed") if event["fields"]["filename"] == f"{link}.not"
    ]
    truth("execsnoop", "starts that fail", what, release, len(failures), failed, "the load")
    assert run.agrees(len(failures), failed)
    assert Counter(each["error"] for each in failures) == {"ENOENT": len(failures)}


def test_new_processes_and_threads_are_counted_apart(bpftrace, tmp_path, truth):
    with load("forker", tmp_path) as one:
        run = run_recipe(
            "fork-rate", "--comm", "forker", bpftrace=bpftrace, command=asking("forks 300 200", one)
        )
    (made,) = run.answers()
    for threads, theirs in zip((False, True), made, strict=True):
        ours = run.total("created", pid=one.pid, threads=threads)
        truth(
            "fork-rate", "new threads" if threads else "new processes", "300 processes, 200 threads",
            release_of(bpftrace), ours, theirs, "the load",
        )  # fmt: skip
        assert run.agrees(ours, theirs)
    assert len(run.tables["created"]) == 2

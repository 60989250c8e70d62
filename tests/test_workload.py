"""The command behind `--`: ended with all that it started, and what is said of how it ended."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from runner import workload as workload_module
from runner.bpftrace.recording import Moment, Recording
from runner.capture.evidence import why_unfit
from runner.ending import ending_problems, has_failed, window_of
from runner.workload import EndedWorkload, Workload
from tests.captures import capture, latency


def started(script, until):
    """A command that has come so far that a file is there."""
    workload = Workload(["sh", "-c", script])
    workload.start(lambda: None)
    deadline = time.monotonic() + 20
    while not until.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return workload


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_ignores_a_sigterm_ends_too_where_its_parent_does_not_ignore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(workload_module, "_TERM_SECONDS", 0.3)
    mark = tmp_path / "pid"
    script = f"sh -c 'trap \"\" TERM; echo $$ > {mark}.new; mv {mark}.new {mark}; while :; do sleep 0.1; done' & wait"
    workload = started(script, mark)
    begun = time.monotonic()
    workload.end()
    assert time.monotonic() - begun < 5
    assert (workload.is_ended_by_us, workload.exit_code) == (True, -signal.SIGTERM)
    assert is_gone(int(mark.read_text()))


def test_one_that_was_over_was_not_ended_by_us(tmp_path):
    workload = started(f"touch {tmp_path}/x; exit 3", tmp_path / "x")
    while workload.exit_code is None:
        time.sleep(0.01)
    workload.end()
    assert (workload.is_ended_by_us, workload.exit_code) == (False, 3)


RECORDING = Recording(Moment.now(), 1, ended=Moment.now())


@pytest.mark.parametrize(
    ("ended_by", "workload", "shown", "fails"),
    [
        ("workload", (0, False), {"exit_code": 0}, False),
        ("workload", (3, False), {"exit_code": 3}, True),
        ("duration", (-15, True), {"exit_code": None, "ended": "runner"}, False),
        ("duration", (0, True), {"exit_code": None, "ended": "runner"}, False),
        # It failed by itself in the moment in which the window was over.
        ("duration", (3, False), {"exit_code": 3}, True),
        ("interrupt", (-15, True), {"exit_code": -15, "ended": "runner"}, False),
        ("budget", (1, False), {"exit_code": 1}, True),
    ],
)
def test_how_a_command_ended(ended_by, workload, shown, fails):
    ended = EndedWorkload(["load"], *workload)
    window = window_of(RECORDING, ended_by, ended)
    assert window["workload"] == {"argv": ["load"], **shown}
    assert has_failed(window) == fails
    problems = [each["code"] for each in ending_problems(RECORDING, ended_by, ended, is_whole=True)]
    assert problems == ["workload-failed"] * fails
    judged = capture(latency([1]), window={"ended_by": ended_by, "workload": window["workload"]})
    assert (why_unfit(judged, has_keys=False) is None) == (not fails and ended_by in ("workload", "duration"))


def test_what_is_said_is_json():
    json.dumps(
        window_of(RECORDING, "duration", EndedWorkload([os.fsdecode(b"\xff")], 0, is_ended_by_us=True))
    )

"""What a real bpftrace cannot be made to show: it dies, goes deaf, prints half a line, or nonsense."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from runner.bpftrace import process, session
from runner.bpftrace.recording import clock_ns
from runner.errors import HostRefused, NotUnderstood, TraceFailed
from runner.host import kernel
from runner.recipe.catalogue import find_recipe
from runner.recipe.parameters import TARGET_FILTERS, parse_values
from runner.replay import replay
from runner.run import execute
from runner.workload import Workload
from tests.command import FAKE_BPFTRACE, RECORDINGS


@pytest.fixture
def plan(monkeypatch):
    values = {"comm": parse_values("comm", TARGET_FILTERS["comm"], ["nginx"])}
    recorded = replay(find_recipe("tcp-retrans"), values, RECORDINGS[1]).plan
    fake = dataclasses.replace(recorded.bpftrace, path=Path(FAKE_BPFTRACE))
    monkeypatch.setattr(
        session, "GRACE", ((signal.SIGINT, 0.5, 5.0), (signal.SIGTERM, 0.5, 1.0), (signal.SIGKILL, 5.0, 5.0))
    )
    return dataclasses.replace(recorded, bpftrace=fake)


def run(plan, monkeypatch, fault, seconds=0.2):
    monkeypatch.setenv("FAKE_FAULT", fault)
    return execute(plan, duration_seconds=seconds)


def summary(outcome):
    capture = outcome.capture()
    codes = {problem["code"]: problem["count"] for problem in capture["quality"]["problems"]}
    totals = {table["name"]: table["rows"] for table in capture["tables"]}["retransmits_total"]
    total = totals[0]["value"] if totals else None
    return capture["quality"]["grade"], capture["window"]["ended_by"], codes, total


def test_a_whole_run_with_lost_events_is_degraded(plan, monkeypatch):
    grade, ended_by, codes, total = summary(run(plan, monkeypatch, ""))
    assert (grade, ended_by, total) == ("degraded", "duration", 3)
    assert codes == {"lost-events": 17, "map-full": 3}


def test_who_forgets_that_it_is_to_end_is_measured_until_it_is_told_again(plan, monkeypatch):
    moments, busy_seconds = [], kernel.busy_seconds

    def read():
        moments.append(clock_ns())
        return busy_seconds()

    monkeypatch.setattr(kernel, "busy_seconds", read)
    outcome = run(plan, monkeypatch, "forgets")
    assert summary(outcome)[3] == 3
    window = outcome.capture()["window"]["duration_seconds"]
    assert window > 0.4
    # What is compared with its samples is of the same window.
    assert len(moments) == 3
    assert (moments[-1] - moments[0]) / 1e9 == pytest.approx(window, abs=0.2)


def test_half_a_line_is_void_and_what_stands_before_it_is_kept(plan, monkeypatch):
    grade, _, codes, total = summary(run(plan, monkeypatch, "half-line"))
    assert (grade, total) == ("void", 3)
    assert "output-incomplete" in codes


def test_a_death_is_a_crash(plan, monkeypatch):
    outcome = run(plan, monkeypatch, "dies", seconds=30)
    grade, ended_by, codes, total = summary(outcome)
    assert (grade, ended_by, total) == ("void", "crash", None)
    assert "output-incomplete" in codes
    assert outcome.recording.exit_code == -signal.SIGSEGV


def test_one_that_somebody_else_ends_says_so(plan, monkeypatch):
    grade, ended_by, codes, total = summary(run(plan, monkeypatch, "leaves", seconds=30))
    assert (grade, ended_by, total) == ("degraded", "interrupt", 3)
    assert "ended-early" in codes


def test_a_flood_is_ended_and_its_maps_are_kept(plan, monkeypatch):
    monkeypatch.setattr(process, "MOST_BYTES", 8 << 20)
    monkeypatch.setattr(process, "TAIL_BYTES", 1 << 20)
    outcome = run(plan, monkeypatch, "flood", seconds=60)
    grade, ended_by, codes, total = summary(outcome)
    assert (grade, ended_by, total) == ("degraded", "limit", 3)
    assert codes["output-limit"] == outcome.recording.dropped_bytes > 0
    assert len(outcome.recording.stdout) < 11 << 20
    lines = outcome.recording.stdout.decode().splitlines()
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_a_stopped_runner_finds_the_window_that_bpftrace_ended(plan, monkeypatch):
    outcome = run(plan, monkeypatch, "limit", seconds=0.5)
    capture = outcome.capture()
    assert capture["window"]["ended_by"] == "limit"
    assert capture["window"]["duration_seconds"] == 11
    assert capture["quality"]["problems"][0]["code"] == "runner-stalled"


def test_a_deaf_one_is_killed(plan, monkeypatch):
    begun = time.monotonic()
    outcome = run(plan, monkeypatch, "deaf")
    assert time.monotonic() - begun < 10
    assert outcome.recording.exit_code == -signal.SIGKILL
    assert summary(outcome)[:2] == ("void", "duration")


@pytest.mark.parametrize("fault", ["broken-json", "odd-key"])
def test_what_is_not_understood_is_carried_by_the_error(plan, monkeypatch, fault):
    outcome = run(plan, monkeypatch, fault)
    with pytest.raises(NotUnderstood) as failed:
        outcome.capture()
    assert failed.value.raw == bytes(outcome.recording.stdout)
    assert b"@retransmits" in failed.value.raw


def test_one_that_never_gets_ready_is_ended(plan, monkeypatch):
    monkeypatch.setattr(session.Session.wait_ready, "__defaults__", (0.5,))
    with pytest.raises(TraceFailed, match="not ready after"):
        run(plan, monkeypatch, "never-ready")


def test_a_refusal_is_diagnosed(plan, monkeypatch):
    with pytest.raises(HostRefused, match="not-root"):
        run(plan, monkeypatch, "stderr:bpftrace currently only supports running as the root user.")


def test_a_command_that_outlives_the_window_is_ended(plan, monkeypatch):
    monkeypatch.setenv("FAKE_FAULT", "dies")
    workload = Workload(["sleep", "600"])
    outcome = execute(plan, duration_seconds=None, workload=workload)
    assert outcome.ended_by == "crash"
    assert workload.exit_code == -signal.SIGTERM


def test_nothing_is_left_behind(plan, monkeypatch):
    for fault in ("", "deaf", "dies", "half-line"):
        run(plan, monkeypatch, fault)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)

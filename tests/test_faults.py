"""What a real bpftrace cannot be made to show: it dies, goes deaf, prints half a line, or nonsense."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from runner.bpftrace import session
from runner.errors import HostRefused, NotUnderstood, TraceFailed
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
    return capture["quality"]["grade"], capture["window"]["ended_by"], codes, totals[0]["value"]


def test_a_whole_run_with_lost_events_is_degraded(plan, monkeypatch):
    grade, ended_by, codes, total = summary(run(plan, monkeypatch, ""))
    assert (grade, ended_by, total) == ("degraded", "duration", 3)
    assert codes == {"lost-events": 17, "map-full": 3}


def test_half_a_line_is_void_and_what_stands_before_it_is_kept(plan, monkeypatch):
    grade, _, codes, total = summary(run(plan, monkeypatch, "half-line"))
    assert (grade, total) == ("void", 3)
    assert "output-incomplete" in codes


def test_a_death_is_a_crash(plan, monkeypatch):
    outcome = run(plan, monkeypatch, "dies", seconds=30)
    grade, ended_by, codes, total = summary(outcome)
    assert (grade, ended_by, total) == ("void", "crash", 0)
    assert "output-incomplete" in codes
    assert outcome.recording.exit_code == -signal.SIGSEGV


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

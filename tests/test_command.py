"""A command as a step: its output kept and shown, what it leaves behind not waited for, signals handed on."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from runner.interrupts import Interrupts
from runner.workflow.command import MOST_BYTES, own_command, run_command
from tests.laboratory.until import until


def run(*argv, **more):
    with Interrupts() as signals:
        return run_command(argv, signals, **more)


def test_what_it_prints_is_kept_and_shown():
    shown = []
    ended = run("sh", "-c", "echo out; echo err >&2; exit 3", show=shown.append)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (3, b"out\n", b"err\n")
    assert sorted(b"".join(shown).splitlines()) == [b"err", b"out"]
    assert not ended.is_cut


def test_it_has_nothing_to_read_and_no_terminal():
    ended = run("sh", "-c", "cat; test -r /dev/tty && exec </dev/tty")
    assert ended.exit_code != 0
    assert ended.stdout == b""


def test_what_it_leaves_in_the_background_runs_on_and_is_not_waited_for():
    ended = run("sh", "-c", "sleep 47.25 & echo $!")
    pid = int(ended.stdout)
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


def test_who_prints_for_ever_behind_it_does_not_hold_it_up():
    ended = run("sh", "-c", "yes & echo $!")
    first = ended.stdout.split(b"\n")
    os.kill(next(int(line) for line in first if line.isdigit()), signal.SIGKILL)
    assert ended.exit_code == 0


def test_more_than_is_kept_is_shown_and_told():
    shown = []
    ended = run("head", "-c", str(3 * MOST_BYTES), "/dev/zero", show=lambda data: shown.append(len(data)))
    assert (len(ended.stdout), sum(shown), ended.is_cut) == (MOST_BYTES, 3 * MOST_BYTES, True)


def test_one_that_takes_too_long_is_ended_with_all_it_started():
    ended = run(
        "sh", "-c", "trap '' TERM; sleep 61.25 & echo $!; wait; wait", limit_seconds=0.3, grace_seconds=0.5
    )
    assert ended.is_late
    assert ended.exit_code == 128 + signal.SIGKILL
    # It was killed; it dies when a processor has time for that.
    pid = int(ended.stdout)
    until(lambda: state_of(pid) in ("", "Z"), "what it started has ended")


def state_of(pid):
    """A zombie until the first process of the system has waited for it; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_signal_reaches_it_and_what_it_started_once():
    script = "trap 'echo got; exit 4' INT; echo ready; while :; do sleep 0.05; done"
    ready = threading.Event()

    def interrupt():
        ready.wait()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with Interrupts() as signals:
        ended = run_command(["sh", "-c", script], signals, show=lambda _: ready.set())
    thread.join()
    assert (ended.exit_code, ended.stdout.split()) == (4, [b"ready", b"got"])
    assert signals.first == "SIGINT"


def test_a_command_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        run("/no/such/command")


def test_our_own_is_this_one_wherever_somebody_stands(tmp_path, monkeypatch):
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / "__init__.py").write_text("raise SystemExit('another')")
    monkeypatch.chdir(tmp_path)
    ended = run(*own_command("--version"))
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(b"ebpf-recipe ")
    assert own_command("list")[0] == sys.executable

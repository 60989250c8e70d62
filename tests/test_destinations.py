"""Where results go: odd destinations are refused before anything runs, and nothing is overwritten by chance."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import AS_NOBODY, EBPF_RECIPE, RECORDINGS, ebpf_recipe

REPLAY = ("run", "tcp-retrans", "--comm", "nginx", "--replay", str(RECORDINGS[0]))


@pytest.mark.parametrize("option", ["-o", "--record"])
def test_links_that_lead_in_a_circle(tmp_path, option):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    arguments = REPLAY if option == "-o" else ("run", "tcp-retrans")
    done = ebpf_recipe(*arguments, option, str(tmp_path / "a"))
    assert done.returncode == 8
    assert "cannot be written" in done.stderr
    assert f"{option} FILE" in done.stderr


def test_a_name_that_is_too_long(tmp_path):
    assert ebpf_recipe(*REPLAY, "-o", str(tmp_path / ("x" * 300))).returncode == 8


def test_a_folder_that_may_not_be_entered(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    argv = [*AS_NOBODY, EBPF_RECIPE, *REPLAY, "-o", str(closed / "x" / "y")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 8, done.stderr


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"])
def test_a_name_of_stdout_is_stdout(tmp_path, name):
    target = tmp_path / "log"
    script = f"echo before; {EBPF_RECIPE} {' '.join(REPLAY)} -o {name}; echo after"
    with target.open("w") as log:
        subprocess.run(["sh", "-c", script], stdout=log, check=True)
    lines = target.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert '"schema": "ebpf-recipe/capture/v1",' in target.read_text()


def test_a_signal_while_a_result_is_written_keeps_it(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [EBPF_RECIPE, *REPLAY, "-o", str(fifo)], stderr=subprocess.PIPE, text=True
    ) as process:
        # Nobody reads: it waits in open(2).
        deadline = time.monotonic() + 30
        while "wait_for_partner" not in Path(f"/proc/{process.pid}/wchan").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 8
    kept = Path(message.split("kept in ")[1].strip())
    assert '"ebpf-recipe/capture/v1"' in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize(
    "arguments",
    [
        (*REPLAY, "--dry-run"), (*REPLAY, "--record", "x"), (*REPLAY, "-d", "1s"), (*REPLAY, "--", "true"),
        ("run", "tcp-retrans", "--dry-run", "-o", "x"), ("run", "tcp-retrans", "--dry-run", "--sudo"),
    ],
)  # fmt: skip
def test_options_that_would_be_ignored_are_refused(arguments):
    done = ebpf_recipe(*arguments)
    assert done.returncode == 2
    assert "do not go together" in done.stderr
    assert not Path("x").exists()


def test_a_stderr_that_takes_nothing_ends_nothing(tmp_path):
    target = tmp_path / "x.json"
    script = f"{EBPF_RECIPE} run nothing-like-it 2>/dev/full; echo $?; {EBPF_RECIPE} {' '.join(REPLAY)} -o {target} 2>/dev/full; echo $?"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "0"]


def test_an_empty_entry_of_path_is_not_the_working_directory(tmp_path):
    ours = tmp_path / "bpftrace"
    ours.write_text("#!/bin/sh\ntouch ran\n")
    ours.chmod(0o755)
    environment = {**os.environ, "PATH": ""}
    argv = [sys.executable, EBPF_RECIPE, "run", "tcp-retrans", "--dry-run"]
    subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert not (tmp_path / "ran").exists()

"""Units of work: what a command writes becomes a number, or is told; never a crash, and no file is left."""

import os
import sys
import time
from pathlib import Path

import pytest

from runner.bpftrace.recording import Moment, Recording
from runner.capture.schema import capture_schema
from runner.ending import ending_problems, window_of
from runner.work import MOST, VARIABLE, Work, WorkFile, parse_work
from runner.workload import EndedWorkload, Workload


@pytest.mark.parametrize(
    ("written", "work"),
    [
        (b"", None),
        (b"\n \n\t\n", None),
        (b"12000 requests", Work(12000, "requests")),
        (b"12000\trequests \n\n", Work(12000, "requests")),
        (b"1 a\n2 b\r\n3 c\r\n", Work(3, "c")),
        (b"0", Work(0, None)),
        (b"007", Work(7, None)),
        (str(MOST).encode(), Work(MOST, None)),
        ("5 Stück".encode(), Work(5, "Stück")),
        (b"x" * 100_000 + b"\n8 calls\n", Work(8, "calls")),
    ],
)
def test_the_last_line_counts(written, work):
    assert parse_work(written) == work


@pytest.mark.parametrize(
    "written",
    [
        b"requests", b"-1", b"+1", b"1.5", b"1e3", b"1 two words", b"0x10", b"1 \xff", b"1 \x1b[31m", b"nan", b"\x00",
        str(MOST + 1).encode(), b"9" * 29, b"9" * 5000, "٣".encode(), b"12 requests\nfailed", b"1 " + b"x" * 65,
    ],
)  # fmt: skip
def test_what_is_no_work(written):
    with pytest.raises(ValueError, match=r"NUMBER \[UNIT\]|is more than"):
        parse_work(written)


def ran(script):
    """A command that has ended, and where its file was."""
    over = []
    workload = Workload([sys.executable, "-c", f"import os; path = os.environ['{VARIABLE}']\n{script}"])
    workload.start(lambda: over.append(True))
    path = Path(next(iter(workload_files(workload))))
    deadline = time.monotonic() + 20
    while not over:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workload.end()
    assert not path.parent.exists()
    return workload


def workload_files(workload):
    file = workload._work_file
    assert isinstance(file, WorkFile)
    # It is not read here: the command may have put a pipe into its place by now, and whoever opens that waits.
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    return [file.path]


@pytest.mark.parametrize(
    ("script", "work"),
    [
        ("pass", None),
        ("open(path, 'w').write('40 transfers')", Work(40, "transfers")),
        ("os.unlink(path); open(path, 'a').write('41')", Work(41, None)),
        ("open(path, 'w').truncate(10 ** 10); open(path, 'a').write('\\n42 kB\\n')", Work(42, "kB")),
    ],
)
def test_a_command_says_what_it_did(script, work):
    workload = ran(script)
    assert (workload.work, workload.work_problem, workload.exit_code) == (work, None, 0)


@pytest.mark.parametrize(
    "script",
    [
        "open(path, 'w').write('much')",
        "os.unlink(path)",
        "os.unlink(path); os.mkdir(path)",
        "os.unlink(path); os.mkfifo(path)",
        "os.unlink(path); os.symlink('/etc/passwd', path)",
        "os.unlink(path); os.symlink('/dev/zero', path)",
        "import shutil; shutil.rmtree(os.path.dirname(path))",
    ],
)
def test_what_became_of_the_file_is_told(script):
    workload = ran(script)
    assert workload.work is None
    assert "$EBPF_RECIPE_WORK is not understood" in workload.work_problem
    recording = Recording(Moment.now(), 1, ended=Moment.now())
    (problem,) = ending_problems(recording, "workload", workload, is_whole=True)
    assert problem["code"] == "work-unreadable"
    assert "12000 requests" in problem["cure"]
    assert "work" not in window_of(recording, "workload", workload)["workload"]


def test_it_is_in_the_capture():
    recording = Recording(Moment.now(), 1, ended=Moment.now())
    window = window_of(recording, "workload", EndedWorkload(["x"], 0, work=Work(MOST, None)))
    assert window["workload"]["work"] == {"count": MOST, "unit": None}
    assert "work" in capture_schema()["$defs"]["Workload"]["properties"]


def test_the_environment_is_not_ours():
    ran("assert os.environ['PATH']")
    assert VARIABLE not in os.environ

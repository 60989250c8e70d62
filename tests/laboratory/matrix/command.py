"""A command with a limit on its time: whatever it started ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runner.lifetime import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[3]
"""Where commands run: the checkout, whose modules they import."""

_GRACE_SECONDS = 10
"""For the runner to end bpftrace, and bpftrace itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended.

    :param exit_code: None where it was ended, for its time was over.
    :param left: Processes of its session that could not be ended.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    left: tuple[int, ...] = ()


def run_limited(argv: Sequence[str], seconds: float) -> Done:
    """Run a command, for so long at most."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # Its own session: the signals of a terminal are for us, and we find what it started.
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT, start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509
        )  # fmt: skip
        code = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            left = end_session(process)
        return Done(code, _text(out), _text(err), left)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def end_session(process: subprocess.Popen[bytes]) -> tuple[int, ...]:
    """End a session that has no more time; return the processes of it that are there all the same."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_SECONDS
        for pid in session_of(process.pid):
            _signal(pid, number)
        while session_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
            process.poll()
    process.poll()
    return session_of(process.pid)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def session_of(leader: int) -> tuple[int, ...]:
    """Return the processes of a session that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # State, parent, process group and session come behind the name (proc_pid_stat(5)).
            state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(session) == leader and state not in "ZX":
            found.append(int(path.parent.name))
    return tuple(found)

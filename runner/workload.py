"""The command after `--`: checked before the trace, started when it is attached, ended with us."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from runner.errors import WorkloadFailed
from runner.host.processes import descendants_of
from runner.lifetime import end_with_parent
from runner.work import VARIABLE, Work, WorkFile, parse_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.interrupts import Interrupts

NOT_FOUND = 127
"""What a shell exits with for a command that is not there."""

_TERM_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EndedWorkload:
    """What is left of a command that a run lasted for."""

    argv: Sequence[str]
    exit_code: int | None
    is_ended_by_us: bool = False
    work: Work | None = None
    work_problem: str | None = None


class Workload:
    """A command that runs while a run lasts. Its stdout goes to stderr: ours carries the result alone."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Check that the command exists; nothing is started yet.

        :raises WorkloadFailed: It does not, or may not be executed.
        """
        self.argv = list(argv)
        self.exit_code: int | None = None
        self.is_ended_by_us = False
        """The run was over before the command was."""
        self.work: Work | None = None
        """What it says that it did; known at its end."""
        self.work_problem: str | None = None
        """Why that cannot be understood."""
        self._work_file: WorkFile | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._happened: SimpleQueue[str] = SimpleQueue()
        if shutil.which(self.argv[0]) is None:
            raise WorkloadFailed(f"there is no command {self.argv[0]!r} that can be executed")

    def start(self, on_end: Callable[[], None]) -> None:
        """Start the command; `on_end` is called, from a thread, when it has ended.

        :raises WorkloadFailed: It cannot be started.
        """
        try:
            self._work_file = WorkFile()
            # On a descriptor of its own: the command's stdout, joined to our stderr.
            self._process = subprocess.Popen(
                self.argv,
                stdout=sys.stderr.fileno(),
                env={**os.environ, VARIABLE: str(self._work_file.path)},
                preexec_fn=end_with_parent(),  # noqa: PLW1509
            )
        except OSError as error:
            raise WorkloadFailed(f"{self.argv[0]} cannot be started: {error.strerror}") from error
        threading.Thread(target=self._wait, args=(on_end,), name="workload", daemon=True).start()

    def wait(self, signals: Interrupts) -> None:
        """Wait until the command has ended by itself, or a signal comes."""
        signals.wake_up(self._happened.put)
        if self._process is not None:
            self._happened.get()

    def end(self) -> None:
        """End the command and what it started, if it still runs: SIGTERM, and SIGKILL after 5 s."""
        process = self._process
        if process is not None:
            self.is_ended_by_us = process.poll() is None
            if self.is_ended_by_us:
                _end_all([process.pid, *descendants_of(process.pid)])
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_TERM_SECONDS)
            self.exit_code = process.returncode
        if self._work_file is not None:
            self._read_work(self._work_file)
            self._work_file = None

    def _read_work(self, file: WorkFile) -> None:
        try:
            self.work = parse_work(file.read())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.work_problem = f"what the command wrote into ${VARIABLE} is not understood: {why}"
        finally:
            file.remove()

    def _wait(self, on_end: Callable[[], None]) -> None:
        assert self._process is not None
        self.exit_code = self._process.wait()
        self._happened.put("end")
        on_end()


def _end_all(pids: Sequence[int]) -> None:
    """End processes: what a shell started does not end with it, and is nobody's descendant then."""
    with contextlib.ExitStack() as descriptors:
        family = {pid: _opened(pid, descriptors) for pid in pids}
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid, descriptor in family.items():
                with contextlib.suppress(ProcessLookupError):
                    if descriptor is None:
                        os.kill(pid, number)
                    else:
                        signal.pidfd_send_signal(descriptor, number)
            if _have_ended(family.values(), _TERM_SECONDS):
                return


def _opened(pid: int, descriptors: contextlib.ExitStack) -> int | None:
    """Return a descriptor of a process, whose id may soon be another's; None where there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    descriptors.callback(os.close, descriptor)
    return descriptor


def _have_ended(family: Iterable[int | None], seconds: float) -> bool:
    """Wait until processes have ended; return whether they all have."""
    poll, deadline = select.poll(), time.monotonic() + seconds
    waiting = {descriptor for descriptor in family if descriptor is not None}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            poll.unregister(descriptor)
            waiting.discard(descriptor)
    return not waiting


AnyWorkload = Workload | EndedWorkload
"""A command that a run lasts for, or lasted for when it was recorded."""

"""The bpftrace process: started in a session of its own, drained without pause, ended in steps."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from runner.errors import HostRefused, TraceFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Stream = Literal["stdout", "stderr"]

CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20
"""The largest pipe that an unprivileged process may ask for (/proc/sys/fs/pipe-max-size)."""

GRACE: Sequence[tuple[signal.Signals, float, float]] = (
    (signal.SIGINT, 10.0, 60.0),
    (signal.SIGTERM, 5.0, 5.0),
    (signal.SIGKILL, 5.0, 5.0),
)
"""How bpftrace is ended: signal, seconds of silence that are waited, seconds in all.

SIGINT and SIGTERM both make it print its maps, and a second one cuts that short; so as long as
output comes, the next step waits."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that bpftrace wrote, and when they were read (CLOCK_MONOTONIC, nanoseconds)."""

    stream: Stream
    read_at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream of bpftrace's reached its end."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Wake:
    """Somebody outside wants the waiting to end: a signal handler, the end of a workload."""

    reason: str


Happening = Output | Ended | Wake


class BpftraceProcess:
    """A running bpftrace.

    stdout and stderr each have a thread that reads and does nothing else: a signal that meets a full
    pipe makes bpftrace lose all its later output and still exit with 0 (seen on 0.17, 0.23, 0.27).
    What the threads read, and every `wake`, arrives in order from `next_happening`.
    """

    def __init__(self, argv: Sequence[str], program: str, environment: Mapping[str, str]) -> None:
        """Start bpftrace with a program on its stdin.

        :raises HostRefused: It cannot be started.
        """
        self._happenings: SimpleQueue[Happening] = SimpleQueue()
        self._open_streams: set[Stream] = {"stdout", "stderr"}
        source = os.memfd_create("program")
        try:
            _write_all(source, program.encode())
            os.lseek(source, 0, os.SEEK_SET)
            self._popen = subprocess.Popen(
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise HostRefused(f"{argv[0]} cannot be started: {error.strerror}") from error
        finally:
            os.close(source)
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        # Without privilege the sum of all pipes is limited; the usual size then serves.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._popen.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        pipes: tuple[tuple[Stream, int], ...] = (
            ("stdout", self._popen.stdout.fileno()),
            ("stderr", self._popen.stderr.fileno()),
        )
        self._threads = [
            threading.Thread(target=self._drain, args=pipe, name=f"bpftrace-{pipe[0]}", daemon=True)
            for pipe in pipes
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._popen.pid

    def wake(self, reason: str) -> None:
        """Make a waiting `next_happening` return; safe in signal handlers and threads."""
        self._happenings.put(Wake(reason))

    def next_happening(self, timeout_seconds: float | None) -> Happening | None:
        """Return what came next, or None after the timeout. None at once where nothing more can come."""
        try:
            if not self._open_streams:
                return self._happenings.get_nowait()
            happening = self._happenings.get(timeout=timeout_seconds)
        except Empty:
            return None
        if isinstance(happening, Ended):
            self._open_streams.discard(happening.stream)
        return happening

    @property
    def is_drained(self) -> bool:
        """Whether both streams have ended and everything read was taken."""
        return not self._open_streams

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to bpftrace and what it started, if they still run."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def wait(self, timeout_seconds: float) -> int:
        """Return the exit code, negative for a signal.

        :raises TraceFailed: It does not end, not even killed.
        """
        try:
            return self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise TraceFailed(f"bpftrace (process {self._popen.pid}) does not end") from error

    def close(self) -> None:
        """Leave nothing behind: kill what still runs, reap it, close the pipes."""
        if self._popen.poll() is None:
            self.signal(signal.SIGKILL)
            self._popen.wait()
        for thread in self._threads:
            thread.join(timeout=GRACE[-1][1])
        for pipe in (self._popen.stdout, self._popen.stderr):
            assert pipe is not None
            pipe.close()

    def _drain(self, stream: Stream, descriptor: int) -> None:
        put = self._happenings.put
        try:
            while data := os.read(descriptor, CHUNK_BYTES):
                put(Output(stream, time.monotonic_ns(), data))
        finally:
            put(Ended(stream))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

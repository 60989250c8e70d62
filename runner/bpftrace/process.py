"""The bpftrace process: started in a session of its own, drained without pause, ended in steps."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import threading
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from runner.bpftrace.folding import ErrorFold
from runner.bpftrace.provenance import source_name
from runner.bpftrace.recording import clock_ns
from runner.errors import HostRefused, TraceFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.bpftrace.launch import Launcher

Stream = Literal["stdout", "stderr"]

CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20
"""The largest pipe that an unprivileged process may ask for (/proc/sys/fs/pipe-max-size)."""

MOST_BYTES = 64 << 20
"""How much of a stream is kept in memory; a run that prints more is ended."""

TAIL_BYTES = 16 << 20
"""How much of the end of a longer stream is kept: bpftrace prints its maps last."""

GRACE: Sequence[tuple[signal.Signals, float, float]] = (
    (signal.SIGINT, 10.0, 60.0),
    (signal.SIGTERM, 5.0, 5.0),
    (signal.SIGKILL, 5.0, 5.0),
)
"""How bpftrace is ended: signal, seconds of silence that are waited, seconds in all.

SIGINT and SIGTERM both make it print its maps, and a second one cuts that short; so as long as
output comes, the next step waits."""


_HINTS = {errno.EMFILE: "raise the limit of open files (ulimit -n)"}


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that bpftrace wrote, and when they were read (`clock_ns()`).

    :param dropped: How many bytes before them were not kept.
    """

    stream: Stream
    read_at_ns: int
    data: bytes
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Flood:
    """bpftrace wrote more than is kept: it should be ended."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream of bpftrace's reached its end."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Wake:
    """Somebody outside wants the waiting to end: a signal handler, the end of a workload."""

    reason: str


Happening = Output | Flood | Ended | Wake


class BpftraceProcess:
    """A running bpftrace.

    stdout and stderr each have a thread that reads and does nothing else: a signal that meets a full
    pipe makes bpftrace lose all its later output and still exit with 0 (seen on 0.17, 0.23, 0.27).
    What the threads read, and every `wake`, arrives in order from `next_happening`.
    """

    def __init__(self, launch: Launcher, program: str) -> None:
        """Start bpftrace with a program on its stdin.

        :raises HostRefused: It cannot be started.
        """
        self._happenings: SimpleQueue[Happening] = SimpleQueue()
        self._open_streams: set[Stream] = {"stdout", "stderr"}
        with contextlib.ExitStack() as ours_only_now:
            try:
                source = os.memfd_create(source_name())
                ours_only_now.callback(os.close, source)
                _write_all(source, program.encode())
                os.lseek(source, 0, os.SEEK_SET)
                self._pipes: dict[Stream, int] = {}
                theirs = [source]
                for stream in ("stdout", "stderr"):
                    reading, writing = os.pipe()
                    self._pipes[stream] = reading
                    ours_only_now.callback(os.close, writing)
                    theirs.append(writing)
            except OSError as error:
                raise HostRefused(
                    f"bpftrace cannot be started: {error.strerror}", hint=_HINTS.get(error.errno or 0)
                ) from error
            # Without privilege the sum of all pipes is limited; the usual size then serves.
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._pipes["stdout"], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                self._child = launch(theirs, self.wake)
            except BaseException:
                self._close_pipes()
                raise
        self._exit_code: int | None = None
        self._kept: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._counting = threading.Lock()
        self._fold = ErrorFold()
        self._threads = [
            threading.Thread(target=self._drain, args=pipe, name=f"bpftrace-{pipe[0]}", daemon=True)
            for pipe in self._pipes.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Return the process id of what was started."""
        return self._child.pid

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

    def forget(self, size: int) -> None:
        """Take that so many bytes of stdout are not kept after all: they do not count as a flood."""
        with self._counting:
            self._kept["stdout"] -= size

    @property
    def is_drained(self) -> bool:
        """Whether both streams have ended and everything read was taken."""
        return not self._open_streams

    @property
    def errors(self) -> dict[bytes, int]:
        """Return the lines of errors on stdout, which are in no Output, with how often each came.

        Complete when it is drained.
        """
        return self._fold.counts

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to bpftrace and what it started, if they still run; a stopped one is continued."""
        self._child.send(number)

    @property
    def nudge_seconds(self) -> float:
        """Return how long after its first signal a silent bpftrace is nudged."""
        return self._child.nudge_seconds

    def nudge(self) -> None:
        """Make bpftrace look again whether a signal has come: 0.17 forgets one that comes while it
        handles a wake-up of its own, for its loop looks only when epoll_wait is interrupted.
        """
        self._child.nudge()

    def wait(self, timeout_seconds: float) -> int:
        """Return the exit code, negative for a signal.

        :raises TraceFailed: It does not end, not even killed.
        """
        if self._exit_code is None:
            self._exit_code = self._child.wait(timeout_seconds)
        if self._exit_code is None:
            raise TraceFailed(
                f"bpftrace (process {self.pid}) does not end",
                hint=f"as root: kill -9 the bpftrace that is or runs below process {self.pid}",
            )
        return self._exit_code

    def close(self) -> None:
        """Leave nothing behind: kill what still runs, reap it, close the pipes."""
        if self._exit_code is None and self._child.wait(0) is None:
            self.signal(signal.SIGKILL)
            self._child.wait(GRACE[-1][1])
        for thread in self._threads:
            thread.join(timeout=GRACE[-1][1])
        if not any(thread.is_alive() for thread in self._threads):
            self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in self._pipes.values():
            os.close(pipe)

    def _drain(self, stream: Stream, descriptor: int) -> None:
        put = self._happenings.put
        try:
            while data := os.read(descriptor, CHUNK_BYTES):
                read_at = clock_ns()
                if stream == "stdout":
                    data = self._fold.feed(data)
                if data:
                    put(Output(stream, read_at, data))
                with self._counting:
                    self._kept[stream] += len(data)
                    is_flood = self._kept[stream] > MOST_BYTES
                if is_flood:
                    put(Flood(stream))
                    self._drain_flood(stream, descriptor)
                    return
            if stream == "stdout" and (rest := self._fold.rest()):
                put(Output(stream, clock_ns(), rest))
        finally:
            put(Ended(stream))

    def _drain_flood(self, stream: Stream, descriptor: int) -> None:
        """Read what no memory should hold; keep its end, where the maps are."""
        tail: deque[bytes] = deque()
        kept = dropped = 0
        while data := os.read(descriptor, CHUNK_BYTES):
            if stream == "stdout":
                data = self._fold.feed(data)
            if not data:
                continue
            tail.append(data)
            kept += len(data)
            while kept - len(tail[0]) > TAIL_BYTES:
                kept -= len(tail[0])
                dropped += len(tail.popleft())
        if tail:
            self._happenings.put(Output(stream, clock_ns(), b"".join(tail), dropped))


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

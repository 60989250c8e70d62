"""One tracing session: from start to readiness, through the window, to the last byte of output."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from runner.bpftrace.diagnosis import diagnose
from runner.bpftrace.process import (
    GRACE,
    MOST_BYTES,
    BpftraceProcess,
    Ended,
    Flood,
    Output,
    Wake,
)
from runner.bpftrace.recording import Moment, Recording, clock_ns
from runner.errors import TraceFailed, ValueRefused

if TYPE_CHECKING:
    import types

    from runner.bpftrace.frame import FramedProgram
    from runner.bpftrace.launch import Launcher

PASSWORD_WANTED = "password"  # noqa: S105
"""The reason that a waiting is woken with where sudo asks for a password."""

READY_TIMEOUT_SECONDS = 120.0
"""bpftrace needs 0.1 to 0.3 s on a host, up to 4 s for a long program or many probes, and a hundred times as
long where all is emulated."""

READY_VARIABLE = "EBPF_RECIPE_READY_SECONDS"
"""Another limit, for a machine that is that slow."""

Taken = Literal["kept", "taken", "last"]
"""What becomes of a line: it stays in the recording; it was taken and need not be kept; likewise, and with
it the window ends (`LAST_LINE`)."""

Listener = Callable[[bytes, int], Taken]
"""Takes a line of stdout and when it was read (`clock_ns()`)."""

_MOST_READY_SECONDS = 86_400

LAST_LINE = "last line"
"""The reason that a waiting is woken with where a listener has what it wants."""


def ready_timeout_seconds() -> float:
    """Return how long bpftrace may take until its probes are attached.

    :raises ValueRefused: The variable that says so is no number of seconds.
    """
    text = os.environ.get(READY_VARIABLE, "")
    if not text:
        return READY_TIMEOUT_SECONDS
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= _MOST_READY_SECONDS:
        raise ValueRefused(f"{READY_VARIABLE}={text!r}: a number of seconds from 1 to {_MOST_READY_SECONDS}")
    return float(text)


class Session:
    """Drive one bpftrace. Use as a context manager: leaving it leaves no process behind."""

    def __init__(
        self,
        program: FramedProgram,
        launch: Launcher,
        *,
        on_line: Listener | None = None,
        count_probes: Callable[[int], int | None] | None = None,
    ) -> None:
        """Start bpftrace.

        :param on_line: Called with each whole line of stdout, from the thread that waits; what it takes is
            not in the recording.
        :param count_probes: Says how many probes a process keeps attached, None where nobody may look.
        """
        self._count_probes = count_probes or (lambda _: None)
        self._token = program.token.encode()
        self._on_line = on_line
        self._partial = bytearray()
        self.recording = Recording(Moment.now(), program.end_value)
        self._process = BpftraceProcess(launch, program.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._process.close()

    @property
    def pid(self) -> int:
        """Return bpftrace's process id."""
        return self._process.pid

    def wake(self, reason: str) -> None:
        """Make a waiting `wait_ready` or `wait` return the reason; safe in signal handlers and threads."""
        self._process.wake(reason)

    def wait_ready(self, timeout_seconds: float | None = None) -> str | None:
        """Wait until every probe is attached.

        :param timeout_seconds: `ready_timeout_seconds()` where none is given.
        :returns: None when it is so, else the reason given to `wake`.
        :raises TraceFailed, HostRefused: bpftrace ended first, or never got ready.
        """
        limit = ready_timeout_seconds() if timeout_seconds is None else timeout_seconds
        reason = self._wait(limit, until_ready=True)
        if reason == "timeout":
            self.stop()
            raise TraceFailed(
                f"bpftrace was not ready after {limit:.0f} s",
                hint=f"fewer probes, or a host that is less busy; {READY_VARIABLE}=600 waits longer",
            )
        if reason == "flood":
            self.stop()
            raise TraceFailed(f"bpftrace printed more than {MOST_BYTES >> 20} MiB before it was ready")
        if reason == "ended":
            recording = self.recording
            recording.exit_code = self._process.wait(GRACE[-1][1])
            raise diagnose(recording.exit_code, bytes(recording.stderr), bytes(recording.stdout))
        return None if reason == "ready" else reason

    def wait(self, timeout_seconds: float | None) -> str:
        """Wait for the end of the window.

        :returns: `timeout`, `ended` (bpftrace ended by itself), `flood` (it printed more than is
            kept), or the reason given to `wake`.
        """
        return self._wait(timeout_seconds, until_ready=False)

    def stop(self, on_overlooked: Callable[[], None] | None = None) -> Recording:
        """End bpftrace so that it prints its maps, read all of it, and return the recording.

        A signal meanwhile (`wake`) is somebody who cannot wait: it takes the next harder step.

        :param on_overlooked: Called where bpftrace is seen to have overlooked that it is to end; the window
            ends when this returns.
        """
        if self.recording.ended is None:
            self.recording.ended = Moment.now()
        for number, silence_seconds, limit_seconds in GRACE:
            if self._process.is_drained:
                break
            before = self._count_probes(self.pid)
            self._process.signal(number)
            patience = self._process.nudge_seconds
            if self._read_to_end(patience, patience) == "silence" and not self._is_detaching(before):
                # Where nobody may look it may be detaching all the same: then it counts no more.
                if on_overlooked is not None and before is not None:
                    on_overlooked()
                # It went on counting until now.
                self.recording.ended = Moment.now()
                self._process.nudge()
            self._read_to_end(silence_seconds, limit_seconds)
        if self.recording.exit_code is None:
            self.recording.exit_code = self._process.wait(GRACE[-1][1])
        self._flush_line()
        self.recording.errors = dict(self._process.errors)
        return self.recording

    def _is_detaching(self, before: int | None) -> bool:
        """Whether bpftrace has begun to end: before it prints it closes its probes, 20 to 30 ms each.

        :param before: How many probes it had before its signal.
        """
        now = self._count_probes(self.pid)
        return before is not None and now is not None and now < before

    def _read_to_end(self, silence_seconds: float, limit_seconds: float) -> str:
        """Read until the end of both streams, a silence, a limit or somebody who cannot wait."""
        limit = time.monotonic() + limit_seconds
        is_silent = True
        while not self._process.is_drained and (left := limit - time.monotonic()) > 0:
            happening = self._process.next_happening(min(silence_seconds, left))
            if isinstance(happening, Wake):
                # That the window is over is no reason for haste: it is why we are here.
                if happening.reason.startswith("SIG"):
                    return "wake"
                continue
            if happening is None:
                return "silence" if is_silent else "pause"
            if isinstance(happening, Output):
                is_silent = False
                self._take(happening)
        return "end"

    def _wait(self, timeout_seconds: float | None, *, until_ready: bool) -> str:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            happening = self._process.next_happening(None if left is None else max(left, 0.0))
            match happening:
                case None if self._process.is_drained:
                    return "ended"
                case None:
                    return "timeout"
                case Wake(reason):
                    return reason
                case Flood():
                    return "flood"
                case Ended():
                    if self._process.is_drained:
                        return "ended"
                case Output():
                    self._take(happening)
                    if until_ready and self.recording.attached is not None:
                        return "ready"
            if left is not None and left <= 0:
                return "timeout"

    def _take(self, output: Output) -> None:
        recording = self.recording
        if output.stream == "stderr":
            recording.stderr += output.data
            return
        data = output.data
        if output.dropped:
            # What stands before the gap and what stands behind it are both cut in the middle of a line.
            recording.dropped_bytes += output.dropped
            del recording.stdout[recording.stdout.rfind(b"\n") + 1 :]
            data = data[data.find(b"\n") + 1 :]
            self._partial.clear()
        seen = max(len(recording.stdout) - len(self._token), 0)
        if self._on_line is None:
            recording.stdout += data
        else:
            *lines, rest = (self._partial + data).split(b"\n")
            self._partial = bytearray(rest)
            for line in lines:
                self._hand_on(bytes(line), b"\n", output.read_at_ns)
        if recording.attached is None and recording.stdout.find(self._token, seen) >= 0:
            # The wall clock may be set meanwhile; the distance to now is what counts.
            now = Moment.now()
            late = now.clock_ns - output.read_at_ns
            wall = datetime.fromtimestamp(now.wall.timestamp() - late / 1e9, UTC)
            recording.attached = Moment(output.read_at_ns, wall)

    def _hand_on(self, line: bytes, end: bytes, read_at_ns: int) -> None:
        assert self._on_line is not None
        taken = self._on_line(line, read_at_ns)
        if taken == "kept":
            self.recording.stdout += line + end
            return
        self._process.forget(len(line) + len(end))
        if taken == "last":
            self._process.wake(LAST_LINE)

    def _flush_line(self) -> None:
        if self._on_line is not None and self._partial:
            line = bytes(self._partial)
            self._partial.clear()
            self._hand_on(line, b"", clock_ns())

"""How bpftrace is started: as a child of ours, in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Protocol

from runner.errors import HostRefused
from runner.lifetime import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with these settings of bpftrace's and no others."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("BPFTRACE_")}
    return {**inherited, "BPFTRACE_COLOR": "never", **variables}


class Child(Protocol):
    """A started bpftrace, or what started it for us."""

    nudge_seconds: float
    """How long a silence must be before a nudge."""

    @property
    def pid(self) -> int:
        """Return the process id of what we started."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal, or the nearest to it that we are allowed; a stopped process is continued."""

    def nudge(self) -> None:
        """Make bpftrace look again whether a signal has come; one that ends already is not disturbed."""

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Return the exit code, negative for a signal; None where it still runs after the timeout."""


class Launcher(Protocol):
    """Starts bpftrace."""

    def __call__(self, streams: Sequence[int], wake: Callable[[str], None]) -> Child:
        """Start it on the descriptors of stdin, stdout and stderr.

        :param wake: Makes the run's waiting return a reason; may be called from any thread.
        :raises HostRefused: It cannot be started.
        """


def direct_launcher(argv: Sequence[str], variables: Mapping[str, str]) -> Launcher:
    """Return what starts bpftrace with our own privilege.

    :param variables: bpftrace's settings.
    """

    def start(streams: Sequence[int], wake: Callable[[str], None]) -> Child:  # noqa: ARG001
        return DirectChild(argv, variables, streams)

    return start


class DirectChild:
    """bpftrace as our own child, with our own privilege."""

    nudge_seconds = 0.25

    def __init__(self, argv: Sequence[str], variables: Mapping[str, str], streams: Sequence[int]) -> None:
        """Start it.

        :param variables: bpftrace's settings.
        :param streams: Descriptors of stdin, stdout and stderr.
        :raises HostRefused: It cannot be started.
        """
        try:
            self._popen = subprocess.Popen(
                argv,
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                env=clean_environment(variables),
                start_new_session=True,
                # It is a few calls into libc; no lock of another thread is touched. SIGKILL, for nobody
                # will read what is printed, and it ends a stopped process too.
                preexec_fn=end_with_parent(signal.SIGKILL),  # noqa: PLW1509
            )
        except OSError as error:
            raise HostRefused(f"{argv[0]} cannot be started: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """Return bpftrace's process id."""
        return self._popen.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to bpftrace and what it started, if they still run."""
        for each in (number, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, each)

    def nudge(self) -> None:
        """Stop and continue it: that alone ends an epoll_wait early (signal(7)), and harms no write."""
        for each in (signal.SIGSTOP, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, each)

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Return the exit code, negative for a signal; None where it still runs after the timeout."""
        try:
            return self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

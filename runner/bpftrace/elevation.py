"""bpftrace through sudo: it alone is raised, and sudo is talked to on a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

from pexpect import TIMEOUT, fdpexpect

from runner.bpftrace.launch import clean_environment
from runner.bpftrace.session import PASSWORD_WANTED
from runner.errors import HostRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.bpftrace.launch import Child, Launcher

_INTR = b"\x03"
_POLL_SECONDS = 0.1


class Elevation:
    """Starts bpftrace through sudo, and answers when sudo asks for a password."""

    def __init__(self, sudo: str, ask: Callable[[], str]) -> None:
        """Start nothing yet.

        :param sudo: Path of sudo.
        :param ask: Returns the password; called once for each time that sudo asks.
        """
        self._sudo = sudo
        self._ask = ask
        self._child: SudoChild | None = None

    def launcher(self, argv: Sequence[str], variables: Mapping[str, str]) -> Launcher:
        """Return what starts bpftrace.

        :param variables: bpftrace's settings; sudo takes them only where a rule of its allows that.
        """
        prompt = f"ebpf-recipe-{secrets.token_hex(8)}: "
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = [self._sudo, "-p", prompt, *settings, "--", *argv]

        def start(streams: Sequence[int], wake: Callable[[str], None]) -> Child:
            self._child = SudoChild(command, prompt, streams, lambda: wake(PASSWORD_WANTED))
            return self._child

        return start

    def answer(self) -> None:
        """Ask for the password and give it to sudo."""
        assert self._child is not None
        self._child.give(self._ask())


class SudoChild:
    """sudo as our child, and bpftrace below it.

    Its controlling terminal is ours to hold. We may not signal what runs as root; but Ctrl-C typed
    there reaches bpftrace, and when the terminal is gone (we close it, or end) sudo ends bpftrace.
    """

    # A second Ctrl-C cuts short what the first began, should that have begun.
    nudge_seconds = 2.0

    def __init__(
        self, command: Sequence[str], prompt: str, streams: Sequence[int], on_prompt: Callable[[], None]
    ) -> None:
        """Start sudo.

        :param streams: Descriptors of stdin, stdout and stderr, which are bpftrace's alone.
        :param on_prompt: Called, from a thread, when sudo asks for a password.
        :raises HostRefused: It cannot be started.
        """
        self._on_prompt = on_prompt
        self._prompt = prompt
        ours, theirs = os.openpty()
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                env=clean_environment({}),
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: PLW1509
            )
        except (OSError, subprocess.SubprocessError) as error:
            os.close(ours)
            os.close(theirs)
            raise HostRefused(f"{command[0]} cannot be started: {error}") from error
        # Kept open: a terminal that nobody has open reads as ended, and sudo opens it only to ask.
        self._theirs = theirs
        self._terminal = fdpexpect.fdspawn(ours, encoding="utf-8", codec_errors="replace")
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._converse, name="sudo", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Return sudo's process id."""
        return self._popen.pid

    def give(self, password: str) -> None:
        """Answer the prompt."""
        with contextlib.suppress(OSError):
            self._terminal.sendline(password)

    def send(self, number: signal.Signals) -> None:
        """Type Ctrl-C for SIGINT; for anything else take the terminal away, which also continues it."""
        if number == signal.SIGINT:
            with contextlib.suppress(OSError):
                os.write(self._terminal.child_fd, _INTR)
        else:
            self._gone.set()
            self._thread.join()

    def nudge(self) -> None:
        """Type Ctrl-C again: the only thing that we may do to it. It is asked for after a long silence."""
        self.send(signal.SIGINT)

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Return sudo's exit code, which is bpftrace's; None where it still runs after the timeout."""
        try:
            code = self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._gone.set()
        self._thread.join()
        return code

    def _converse(self) -> None:
        # Short waits: while one lasts it holds the terminal, which could not be taken away.
        while not self._gone.is_set():
            if self._terminal.expect_exact([self._prompt, TIMEOUT], timeout=_POLL_SECONDS) == 0:
                self._on_prompt()
        self._terminal.close()
        os.close(self._theirs)

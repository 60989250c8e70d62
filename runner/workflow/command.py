"""A command as a step of something larger: its output kept, our signals handed on, its end awaited.

Our own command is run like any other: isolated, with the exit codes that it has for everybody.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from runner.interrupts import LONGEST_WAIT_SECONDS
from runner.lifetime import end_with_parent
from runner.recipe.catalogue import own_directories
from runner.workflow.process_group import GRACE_SECONDS, ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.interrupts import Interrupts

MOST_BYTES = 1 << 20
"""So much is kept of each stream; the rest is shown and not kept."""

_READ_BYTES = 1 << 16
_MOST_LEFT = 17
"""Reads of what is left in a pipe, which holds 1 MiB at most: who stays behind may print for ever."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a command.

    :param exit_code: 128 and the signal's number where a signal ended it, as shells say it.
    :param is_cut: It printed more than is kept.
    :param is_late: It was ended because it took longer than it may.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    is_cut: bool = False
    is_late: bool = False


def own_command(*words: str) -> list[str]:
    """Return the argv of our own command, with the directories of recipes that this one was given."""
    given = [str(path) for named_by, path in own_directories() if named_by == "--recipes"]
    options = [word for path in given for word in ("--recipes", path)]
    # Without -P a folder called runner where somebody stands would be taken for ours.
    return [sys.executable, "-P", "-m", "runner", *options, *words]


def reason_of(said: str, exit_code: int) -> str:
    """Return what our own command says of its failure: the message, and what to do.

    :param said: What it wrote to stderr.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    start = next((place for place, line in enumerate(lines) if line.startswith("ebpf-recipe:")), None)
    if start is None:
        return f"it ended with exit code {exit_code}" + (f": {lines[-1]}" if lines else "")
    return "; ".join([lines[start].removeprefix("ebpf-recipe: "), *lines[start + 1 :]])


def run_command(
    argv: Sequence[str],
    signals: Interrupts,
    *,
    show: Callable[[bytes], None] = lambda _: None,
    environment: Mapping[str, str] | None = None,
    limit_seconds: float | None = None,
    grace_seconds: float | None = GRACE_SECONDS,
) -> Ended:
    """Run a command to its end in a session of its own, without a terminal and with nothing to read.

    What it leaves behind in the background runs on, unless it is ended by us.

    :param signals: What comes meanwhile is handed on to the command and all that it started.
    :param show: Is given what it prints, as it comes.
    :param environment: All of its environment; None for ours.
    :param limit_seconds: After so long it is ended.
    :param grace_seconds: From the first signal until it is killed; None waits for as long as it takes.
    :raises OSError: It cannot be started.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environment is None else dict(environment),
        start_new_session=True,
        preexec_fn=end_with_parent(),  # noqa: PLW1509
    ) as process:
        group = ProcessGroup(process.pid, grace_seconds)
        signals.wake_up(group.send)
        try:
            streams, is_late = _read(process, group, show, limit_seconds)
        except BaseException:
            group.send("SIGTERM")
            raise
        finally:
            signals.keep_from_now_on()
            group.forget()
        code = process.wait()
    out, err = streams
    return Ended(
        128 - code if code < 0 else code, bytes(out.kept), bytes(err.kept), out.is_cut or err.is_cut, is_late
    )


class _Stream:
    """What came from one pipe, as far as it is kept."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self.pipe = pipe
        self.kept = bytearray()
        self.is_cut = False
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> bytes | None:
        """Return what there is; nothing at its end, None where there is nothing yet."""
        try:
            data = os.read(self.pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return None
        room = MOST_BYTES - len(self.kept)
        self.kept += data[:room]
        self.is_cut = self.is_cut or len(data) > room
        return data


def _read(
    process: subprocess.Popen[bytes],
    group: ProcessGroup,
    show: Callable[[bytes], None],
    limit_seconds: float | None,
) -> tuple[tuple[_Stream, _Stream], bool]:
    """Read until the process has ended: what it left in the background may hold its pipes open for ever."""
    out, err = _Stream(process.stdout), _Stream(process.stderr)
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    is_late = False
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            for stream in (out, err):
                selector.register(stream.pipe, selectors.EVENT_READ, stream)
            is_running = True
            while is_running:
                ready = selector.select(LONGEST_WAIT_SECONDS)
                if deadline is not None and time.monotonic() >= deadline:
                    is_late, deadline = True, None
                    group.send("SIGTERM")
                for key, _ in ready:
                    if key.data is None:
                        is_running = False
                    elif data := key.data.read():
                        show(data)
                    elif data is not None:
                        selector.unregister(key.fileobj)
            for stream in (out, err):
                for _ in range(_MOST_LEFT):
                    if not (data := stream.read()):
                        break
                    show(data)
    finally:
        os.close(ended)
    return (out, err), is_late

"""A command that reads or changes a setting, run to its end: what is half done is worse than what is late."""

from __future__ import annotations

import os
import subprocess
import time

from runner.errors import EbpfRecipeError, ExitCode

LONGEST_SECONDS = 60.0
"""A command that takes longer is ended: nobody would know when it acts."""

_MOST_PRINTED = 1 << 26
"""A command that prints more is ended: it would fill the memory."""
_POLL_SECONDS = 0.02
_MOST_SAID = 500


class SettingFailed(EbpfRecipeError):
    """A setting could not be read, changed or put back."""

    exit_code = ExitCode.HOST


def in_namespace(netns: str | None, argv: list[str]) -> list[str]:
    """Return a command as it runs in a network namespace (`ip netns`); None is ours."""
    return argv if netns is None else ["ip", "netns", "exec", netns, *argv]


def said_by(argv: list[str], what: str, environment: dict[str, str] | None = None) -> bytes:
    """Return what a command prints.

    :param what: What the message of a failure is about.
    :raises SettingFailed: It failed, or could not be run.
    """
    done = run_to_end(argv, environment)
    if done.returncode:
        raise SettingFailed(f"{what}: {last_line(done) or f'exit {done.returncode}'}")
    return done.stdout


def run_to_end(
    argv: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, whatever signals come.

    What it leaves behind keeps no pipe of ours. Its output goes to memory: a disk may be full, and still
    everything is put back. It inherits the lock of the host.

    :raises SettingFailed: It cannot be run.
    """
    try:
        out, err = os.memfd_create("stdout"), -1
        try:
            err = os.memfd_create("stderr")
            # A session of its own: Ctrl-C on the terminal is not for it.
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                close_fds=False,
            )
            why = _wait(process, (out, err))
            if why is not None:
                os.killpg(process.pid, 9)
                process.wait()
                return subprocess.CompletedProcess(argv, 124, b"", why.encode())
            return subprocess.CompletedProcess(argv, process.returncode, _printed(out), _printed(err))
        finally:
            os.close(out)
            if err >= 0:
                os.close(err)
    except (OSError, ValueError) as error:
        raise SettingFailed(f"{argv[0]}: {getattr(error, 'strerror', None) or error}") from error


def _wait(process: subprocess.Popen[bytes], printed: tuple[int, int]) -> str | None:
    """Wait for its end; return why it is to be ended instead."""
    deadline = time.monotonic() + LONGEST_SECONDS
    pause = _POLL_SECONDS / 20
    while True:
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            pause = min(2 * pause, _POLL_SECONDS)
        else:
            return None
        if time.monotonic() >= deadline:
            return f"it took longer than {LONGEST_SECONDS:g} s"
        if any(os.fstat(each).st_size > _MOST_PRINTED for each in printed):
            return f"it printed more than {_MOST_PRINTED:,} bytes"


def _printed(descriptor: int) -> bytes:
    return os.pread(descriptor, 1 << 20, 0)


def last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the last line that a command wrote to stderr."""
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:_MOST_SAID] if lines else ""

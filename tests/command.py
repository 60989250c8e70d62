"""The command as its users start it: a process of its own."""

import contextlib
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import runner
from runner.cli.main import main

EBPF_RECIPE = str(Path(sys.executable).with_name("ebpf-recipe"))
FAKE_BPFTRACE = str(Path(__file__).parent / "fakes" / "bpftrace")
RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))

# Somebody without privilege who can yet read this checkout, wherever it lies.
AS_NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip

# Imported once, here: the forks below start with all of it.
for _module in pkgutil.walk_packages(runner.__path__, "runner."):
    if _module.name != "runner.__main__":
        importlib.import_module(_module.name)

LIMIT_SECONDS = 180


class Started:
    """The command, running in a fork of this process.

    A fork does all that a start does but for the imports, in a tenth of the time.

    :ivar pid: Its process id.
    """

    def __init__(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = None
    ) -> None:
        """Start it.

        :param stdout: A descriptor to give it as stdout; then no stdout is returned.
        """
        self._arguments = arguments
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.pid = os.fork()
        if self.pid == 0:
            _become(arguments, env, self._out.fileno() if stdout is None else stdout, self._err.fileno())

    def has_ended(self) -> bool:
        """Whether it has ended; what it said waits for `wait`."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; return its output as text."""
        _, status = os.waitpid(self.pid, 0)
        texts = []
        for file in (self._out, self._err):
            with file:
                file.seek(0)
                texts.append(file.read().decode(errors="surrogateescape"))
        done = subprocess.CompletedProcess(self._arguments, os.waitstatus_to_exitcode(status), *texts)
        assert done.returncode != -signal.SIGALRM, f"not done after {LIMIT_SECONDS} s: {done}"
        assert "Traceback" not in done.stderr, done.stderr
        return done


def ebpf_recipe(
    *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in a fork of this process; its output as text.

    :param stdout: A descriptor to give it as stdout; then no stdout is returned.
    """
    return Started(*arguments, env=env, stdout=stdout).wait()


def _become(arguments: tuple[str, ...], env: Mapping[str, str] | None, out: int, err: int) -> None:
    code = 70
    try:
        # It ends one that hangs, and bpftrace ends with it.
        signal.alarm(LIMIT_SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        code = main(arguments)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    finally:
        os._exit(code)

"""The command as its users start it: a process of its own."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import runner.cli.app
from runner.cli.main import main

EBPF_RECIPE = str(Path(sys.executable).with_name("ebpf-recipe"))
FAKE_BPFTRACE = str(Path(__file__).parent / "fakes" / "bpftrace")
RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))

# Somebody without privilege who can yet read this checkout, wherever it lies.
AS_NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip

assert runner.cli.app  # imported once, here: the forks below start with it


def ebpf_recipe(
    *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in a fork of this process; its output as text.

    A fork does all that a start does but for the imports, in a tenth of the time.

    :param stdout: A descriptor to give it as stdout; then no stdout is returned.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _become(arguments, env, stdout if stdout is not None else out.fileno(), err.fileno())
        _, status = os.waitpid(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="surrogateescape"))
    done = subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), *texts)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _become(arguments: tuple[str, ...], env: Mapping[str, str] | None, out: int, err: int) -> None:
    code = 70
    try:
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

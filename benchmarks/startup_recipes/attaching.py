"""Seconds until the probes are attached: of our command, and of bpftrace alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from runner.bpftrace.frame import frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.session import Session
from runner.bpftrace.version import Bpftrace
from runner.errors import ExitCode

_COMMAND = str(Path(sys.executable).with_name("ebpf-recipe"))


class CannotRun(Exception):
    """The recipe has no variant for this host."""


class OurCommand:
    """Our command as an installed one runs: its modules are compiled, and nothing else is prepared."""

    def __init__(self, compiled: Path) -> None:
        """Take a folder for the compiled modules: a checkout may be told to keep none."""
        self._environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def program(self, words: Sequence[str], bpftrace: Bpftrace) -> str:
        """Return the program that a recipe is on this host."""
        argv = [_COMMAND, "run", *words, "--dry-run", "--bpftrace", str(bpftrace.path)]
        return self._output(argv).decode()

    def seconds(self, words: Sequence[str], bpftrace: Bpftrace) -> tuple[float, float]:
        """Return the seconds until bpftrace is started, and until the last probe is attached."""
        argv = [_COMMAND, "run", *words, "-d", "50ms", "-f", "json", "--bpftrace", str(bpftrace.path)]
        begun = time.time()
        window = json.loads(self._output(argv))["window"]
        started, attached = (
            datetime.fromisoformat(window[name]).timestamp() for name in ("started_at", "attached_at")
        )
        return started - begun, attached - begun

    def _output(self, argv: Sequence[str]) -> bytes:
        done = subprocess.run(argv, capture_output=True, check=False, env=self._environment)
        if done.returncode == ExitCode.HOST:
            raise CannotRun(done.stderr.decode(errors="replace").strip())
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


def seconds_alone(program: str, bpftrace: Bpftrace, *, is_framed: bool = False) -> float:
    """Return the seconds until what bpftrace prints first is read: it does so when all probes are attached.

    :param is_framed: With the probes that the runner adds to a recipe's.
    """
    head, variables = bpftrace.settings(max_map_keys=16384, buffer_pages=None)
    begun = time.perf_counter()
    framed = (
        frame_program(program, head=head, runner=1, limit_seconds=60)
        if is_framed
        else frame_program(program, head=head)
    )
    with Session(framed, direct_launcher(bpftrace.arguments(), variables)) as session:
        session.wait_ready()
        return time.perf_counter() - begun

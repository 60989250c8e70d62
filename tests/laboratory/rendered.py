"""A rendered program, run by bpftrace alone around a command."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from tests.laboratory.children import child, end_bpftrace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BEGAN = b"ebpf-recipe/began"

_ATTACHING_SECONDS = 3
"""It tells of its beginning when the probes are being attached: the last may come a little later."""


def trace_beside(
    bpftrace: str, program: Path, output: Path, command: Sequence[str], limit_seconds: float
) -> None:
    """Run a program that `render` printed, for as long as a command takes; what it prints is in a file then.

    :raises RuntimeError: bpftrace ended before it began; with the last line that it said.
    :raises TimeoutError: It did not begin.
    :raises subprocess.SubprocessError: The command failed or did not end, or bpftrace did not.
    """
    said = output.with_suffix(".said")
    with (
        output.open("wb") as stdout,
        said.open("wb") as stderr,
        child([bpftrace, "-f", "json", str(program)], stdout=stdout, stderr=stderr) as tracer,
    ):
        limit = time.monotonic() + limit_seconds
        while _BEGAN not in output.read_bytes():
            if tracer.poll() is not None:
                lines = said.read_text(errors="replace").strip().splitlines()
                raise RuntimeError(f"bpftrace ended: {lines[-1] if lines else 'it said nothing'}")
            if time.monotonic() > limit:
                raise TimeoutError(f"bpftrace did not begin within {limit_seconds:g} s")
            time.sleep(0.2)
        time.sleep(_ATTACHING_SECONDS)
        subprocess.run(command, check=True, capture_output=True, timeout=limit_seconds)
        end_bpftrace(tracer, limit_seconds)

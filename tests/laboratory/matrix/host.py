"""The place of the matrix that is this machine: `place.py` as a process of its own, watched from here."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from runner.lifetime import end_with_parent
from tests.laboratory.matrix import records
from tests.laboratory.matrix.command import ROOT, end_session
from tests.laboratory.matrix.places import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STARTS = 3
"""How often it is started at most."""

_SLOWEST_RUNS = 4
"""A variant that is forced takes four commands, each with the limit of a run."""
_MORE_SECONDS = 60


def run_host(bpftraces: Sequence[str], out: Path, recipes: Sequence[str], limit: float) -> str | None:
    """See the cells of this machine; return why some were not seen, or None.

    :param out: The place's file (`records.py`). Cells that it has are not seen again.
    :param limit: How many seconds the run of a cell may take.
    """
    paths = [word for path in bpftraces for word in ("--bpftrace", path)]
    words = ["--kernel-name", HOST, *paths, "--limit", f"{limit:g}", "--out", str(out), "--", *recipes]
    argv = [sys.executable, "-m", "tests.laboratory.matrix.place", *words]
    reason: str | None = None
    for _ in range(_STARTS):
        reason = _start(argv, out, _SLOWEST_RUNS * limit + _MORE_SECONDS)
        if reason is None:
            return None
        records.mark_unfinished(out, f"{reason} here", platform.release())
    return reason


def _start(argv: Sequence[str], out: Path, silence: float) -> str | None:
    """Run it once; return what went wrong, or None."""
    heard, size = time.monotonic(), -1
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, cwd=ROOT, start_new_session=True,
        preexec_fn=end_with_parent(),  # noqa: PLW1509
    )  # fmt: skip
    try:
        while process.poll() is None:
            if time.monotonic() - heard > silence:
                return "the run stood still"
            time.sleep(0.2)
            now = out.stat().st_size if out.exists() else 0
            if now != size:
                heard, size = time.monotonic(), now
    finally:
        end_session(process)
    return None if process.returncode == 0 else f"the run ended (exit {process.returncode})"

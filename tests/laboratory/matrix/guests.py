"""A place of the matrix that is a guest: booted for `place.py`, and booted again for the rest where it stood still."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.bpftrace.session import READY_VARIABLE
from tests.laboratory.boot import BOOT_SECONDS, booted, missing
from tests.laboratory.kernels import fetched_kernel
from tests.laboratory.matrix import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laboratory.boot import Guest

BOOTS = 3
"""How often a guest is booted at most."""

_LIFE_SECONDS = 3 * 3600
"""After so long the command ends inside, should there be nobody left to end the guest."""

_LOOK_SECONDS = 0.5

_WITH_TRACEFS = Path(__file__).parents[1] / "with-tracefs"


def run_place(
    kernel: str, bpftraces: Sequence[str], out: Path, recipes: Sequence[str], limit: float
) -> str | None:
    """See the cells of a place; return why some were not seen, or None.

    What is seen is in `out` as it comes, and stays there whatever happens to the guest or to us. The cell in which the
    guest stood still, or fell, is marked there as failed, and the next boot goes on behind it.

    :param kernel: A release that was fetched, such as 6.12.
    :param bpftraces: Paths; they are the same inside.
    :param out: The place's file (`records.py`). Cells that it has are not seen again.
    :param recipes: Which; where empty, all.
    :param limit: How many seconds the run of a cell may take. A guest that tells of nothing for BOOT_SECONDS more
        stands still.
    """
    reason = missing(kernel)
    if reason is not None:
        return reason
    patience = f"{READY_VARIABLE}={limit:.0f}"
    module = ["env", patience, str(_WITH_TRACEFS), sys.executable, "-m", "tests.laboratory.matrix.place"]
    paths = [word for path in bpftraces for word in ("--bpftrace", path)]
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-guest-") as name:
        lines = _Lines.begin(Path(name) / "cells.jsonl", out)
        told = ["--out", str(lines.inside), "--limit", f"{limit:g}", "--", *recipes]
        command = [*module, "--kernel-name", kernel, *paths, *told]
        for boot in range(1, BOOTS + 1):
            reason = _boot(kernel, command, lines, limit + BOOT_SECONDS)
            if reason is None:
                break
            print(f"Linux {kernel}, boot {boot} of {BOOTS}: {reason}", file=sys.stderr, flush=True)
    return reason


def _boot(kernel: str, command: list[str], lines: _Lines, silence: float) -> str | None:
    """Boot the guest once for the cells that were not seen; return what went wrong, or None."""
    taken = lines.taken
    try:
        with booted(command, lines.inside.parent, kernel=kernel, seconds=_LIFE_SECONDS) as guest:
            reason = _follow(guest, lines, silence)
    finally:
        # Whatever ended the guest, or us.
        lines.copy()
    if reason is None:
        return None
    if lines.taken == taken:
        return f"{reason}, and had told of nothing"
    image = fetched_kernel(kernel)
    release = image.name.removeprefix("vmlinuz-") if image else ""
    records.mark_unfinished(lines.inside, f"{reason} here", release)
    lines.copy()
    return reason


def _follow(guest: Guest, lines: _Lines, silence: float) -> str | None:
    """Take lines until the guest ends or stands still; return what went wrong, or None."""
    heard = time.monotonic()
    while guest.process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        if lines.copy():
            heard = time.monotonic()
        elif time.monotonic() - heard > silence:
            return "the guest stood still"
    try:
        code = guest.exit_code()
    except RuntimeError:
        return "the guest fell"
    return None if code == 0 else f"the run in the guest ended (exit {code})"


@dataclass
class _Lines:
    """The lines that a guest writes, taken to the place's file.

    :param inside: The file that the guest writes.
    :param taken: How many of its bytes the place's file has.
    """

    inside: Path
    out: Path
    taken: int

    @classmethod
    def begin(cls, inside: Path, out: Path) -> _Lines:
        """Give the guest the lines that the place's file has."""
        have = out.read_bytes() if out.exists() else b""
        inside.write_bytes(have)
        return cls(inside, out, len(have))

    def copy(self) -> bool:
        """Take the lines that are complete; return whether there were any."""
        with self.inside.open("rb") as file:
            file.seek(self.taken)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        if not new:
            return False
        with self.out.open("ab") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        self.taken += len(new)
        return True

"""A place of the matrix that is a guest: booted for `place.py`, and booted again for the rest where it stood still."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.boot import BOOT_SECONDS, booted, missing
from tests.laboratory.kernels import fetched_kernel
from tests.laboratory.matrix import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laboratory.boot import Guest

BOOTS = 3
"""How often a place is booted at most."""

_LIFE_SECONDS = 2 * 3600
"""After so long the command ends inside, should there be nobody left to end the guest."""

_LOOK_SECONDS = 0.5

_WITH_TRACEFS = Path(__file__).parents[1] / "with-tracefs"


def run_place(
    kernel: str, bpftraces: Sequence[str], out: Path, recipes: Sequence[str], limit: float
) -> str | None:
    """See the cells of a guest; return why some were not seen, or None.

    What is seen is in `out` as it comes, and stays there whatever happens to the guest or to us. The cell in which a
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
    paths = [word for path in bpftraces for word in ("--bpftrace", path)]
    words = ["--kernel-name", kernel, *paths, "--limit", f"{limit:g}"]
    for boot in range(1, BOOTS + 1):
        reason = _boot(kernel, words, recipes, out, limit + BOOT_SECONDS)
        if reason is None:
            return None
        print(
            f"boot {boot} of {BOOTS} of the guest with Linux {kernel}: {reason}", file=sys.stderr, flush=True
        )
    return f"{reason} ({BOOTS} boots)"


def _boot(kernel: str, words: Sequence[str], recipes: Sequence[str], out: Path, silence: float) -> str | None:
    """Boot it once for the cells that are not in `out`; return what went wrong, or None."""
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-guest-") as name:
        folder = Path(name)
        inside = folder / "cells.jsonl"
        if out.exists():
            shutil.copyfile(out, inside)
        lines = _Lines(inside, out, inside.stat().st_size if inside.exists() else 0)
        module = [str(_WITH_TRACEFS), sys.executable, "-m", "tests.laboratory.matrix.place"]
        command = [*module, *words, "--out", str(inside), "--", *recipes]
        try:
            with booted(command, folder, kernel=kernel, seconds=_LIFE_SECONDS) as guest:
                told, reason = _follow(guest, lines, silence)
        finally:
            # Whatever ended us or the guest.
            lines.copy()
    if reason is None:
        return None
    if not told:
        return f"{reason}, and had told of nothing"
    image = fetched_kernel(kernel)
    records.mark_unfinished(out, f"{reason} here", image.name.removeprefix("vmlinuz-") if image else "")
    return reason


def _follow(guest: Guest, lines: _Lines, silence: float) -> tuple[bool, str | None]:
    """Take lines until the guest ends or stands still; return whether there were any, and what went wrong."""
    told, heard = False, time.monotonic()
    while guest.process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        if lines.copy():
            told, heard = True, time.monotonic()
        elif time.monotonic() - heard > silence:
            return told, "the guest stood still"
    told = lines.copy() or told
    try:
        code = guest.exit_code()
    except RuntimeError:
        return told, "the guest fell"
    return told, None if code == 0 else f"the run in the guest ended (exit {code})"


@dataclass
class _Lines:
    """The lines that a guest writes, taken to the place's file.

    :param taken: How many bytes of the guest's file the place's file has.
    """

    inside: Path
    out: Path
    taken: int

    def copy(self) -> bool:
        """Take the lines that are complete; return whether there were any."""
        if not self.inside.exists():
            return False
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

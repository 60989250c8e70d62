"""A place of the matrix that is a guest: booted for `place.py`, and booted again for the rest where it stood still.

Compiling a program takes one processor a minute there. So two guests of the same kernel share a place's recipes: in one,
a load would be counted for its neighbour too.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.recipe.catalogue import recipe_ids
from tests.laboratory.boot import BOOT_SECONDS, booted, missing
from tests.laboratory.kernels import fetched_kernel
from tests.laboratory.matrix import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laboratory.boot import Guest

BOOTS = 3
"""How often a guest is booted at most."""

_AT_ONCE = min(2, os.cpu_count() or 1)

_LIFE_SECONDS = 2 * 3600
"""After so long the command ends inside, should there be nobody left to end the guest."""

_LOOK_SECONDS = 0.5

_WITH_TRACEFS = Path(__file__).parents[1] / "with-tracefs"


def run_place(
    kernel: str, bpftraces: Sequence[str], out: Path, recipes: Sequence[str], limit: float
) -> str | None:
    """See the cells of a place; return why some were not seen, or None.

    What is seen is in `out` as it comes, and stays there whatever happens to a guest or to us. The cell in which a
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
    wanted = recipes or recipe_ids()
    stop = threading.Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shares = [
            _Share(kernel, bpftraces, wanted[first::_AT_ONCE], limit, out, stop) for first in range(_AT_ONCE)
        ]
        running = [pool.submit(share.run) for share in shares if share.recipes]
        try:
            reasons = [one.result() for one in running]
        finally:
            # Where we are interrupted the guests are ended, and what they told is kept.
            stop.set()
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


@dataclass(frozen=True)
class _Share:
    """A guest, booted as often as it needs, and the recipes that it runs.

    :param stop: Set where nobody waits for it any more.
    """

    kernel: str
    bpftraces: Sequence[str]
    recipes: Sequence[str]
    limit: float
    out: Path
    stop: threading.Event

    def run(self) -> str | None:
        """See its cells; return why some were not seen, or None."""
        reason = None
        with tempfile.TemporaryDirectory(prefix="ebpf-recipe-guest-") as name:
            folder = Path(name)
            lines = _Lines.begin(folder / "cells.jsonl", self.out)
            for boot in range(1, BOOTS + 1):
                reason = self._boot(folder, lines)
                if reason is None or self.stop.is_set():
                    break
                print(f"Linux {self.kernel}, boot {boot} of {BOOTS}: {reason}", file=sys.stderr, flush=True)
        return reason

    def _boot(self, folder: Path, lines: _Lines) -> str | None:
        """Boot it once for the cells that were not seen; return what went wrong, or None."""
        module = [str(_WITH_TRACEFS), sys.executable, "-m", "tests.laboratory.matrix.place"]
        paths = [word for path in self.bpftraces for word in ("--bpftrace", path)]
        words = [
            "--kernel-name",
            self.kernel,
            *paths,
            "--out",
            str(lines.inside),
            "--limit",
            f"{self.limit:g}",
        ]
        try:
            with booted(
                [*module, *words, "--", *self.recipes], folder, kernel=self.kernel, seconds=_LIFE_SECONDS
            ) as guest:
                told, reason = self._follow(guest, lines)
        finally:
            # Whatever ended the guest.
            lines.copy()
        if reason is None or self.stop.is_set():
            return reason
        if not told:
            return f"{reason}, and had told of nothing"
        image = fetched_kernel(self.kernel)
        records.mark_unfinished(
            lines.inside, f"{reason} here", image.name.removeprefix("vmlinuz-") if image else ""
        )
        lines.copy()
        return reason

    def _follow(self, guest: Guest, lines: _Lines) -> tuple[bool, str | None]:
        """Take lines until the guest ends or stands still; return whether there were any, and what went wrong."""
        told, heard = False, time.monotonic()
        while guest.process.poll() is None:
            if self.stop.wait(_LOOK_SECONDS):
                return told, "interrupted"
            if lines.copy():
                told, heard = True, time.monotonic()
            elif time.monotonic() - heard > self.limit + BOOT_SECONDS:
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
        # In one piece: the other guest's lines come too.
        with self.out.open("ab", buffering=0) as file:
            file.write(new)
            os.fsync(file.fileno())
        self.taken += len(new)
        return True

"""`make matrix`: every recipe, with each bpftrace, on this machine and in guests; docs/compatibility.md.

usage: python -m tests.laboratory.matrix [--places host,6.1,7.2+0.17.0] [--fresh] [RECIPES …]

A place is a kernel, with the releases of bpftrace that belong to it or with the one behind the `+`. What was seen with
the same text of its recipe, and did not fail, is not seen again unless `--fresh` is given. The documents are written
after each place and at the end, whatever that is. The exit code is 1 where a cell failed or was not seen.
"""

from __future__ import annotations

import argparse
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import EbpfRecipeError
from runner.recipe.catalogue import recipe_ids
from tests.laboratory import releases
from tests.laboratory.matrix import guests, host, records
from tests.laboratory.matrix.cell import Key
from tests.laboratory.matrix.document import page
from tests.laboratory.matrix.place import LIMIT_SECONDS
from tests.laboratory.matrix.places import DEFAULT, HOST, PLANNED, Column, columns_of
from tests.laboratory.matrix.store import Damaged, Last, Store, read_store, write_store, write_whole
from tests.laboratory.matrix.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.laboratory.matrix.cell import Cell

GUEST_LIMIT_SECONDS = 1200.0
"""How long a run may take in a guest: there bpftrace takes half a minute to start, and many minutes for a long program."""

INTERRUPTED = "interrupted"


class Matrix:
    """A run of it.

    :param files: Where each place's file is kept.
    :param written: The folder of the documents.
    """

    def __init__(
        self, files: Path, written: Path, columns: Sequence[Column], recipes: Sequence[str], *, fresh: bool
    ) -> None:
        self._files, self._page, self._json = (
            files,
            written / "compatibility.md",
            written / "compatibility.json",
        )
        self._columns, self._recipes = columns, recipes
        self._at, self._begun = records.now(), time.monotonic()
        self._seen: set[Key] = set()
        self._unplanned: dict[Column, str] = {}
        self._store = read_store(self._json, recipe_ids())
        for folder in (files, written):
            folder.mkdir(parents=True, exist_ok=True)
        names = set(recipe_ids())
        for kernel in self._kernels():
            # What an earlier run saw, and had no time to write into the documents.
            cells = records.read(self._file(kernel)).cells
            known = {key: cell for key, cell in cells.items() if key.recipe in names}
            self._store.take(_newer(self._store, known))
        write_store(self._json, self._store)
        for kernel in self._kernels():
            path = self._file(kernel)
            kept = {} if fresh else self._store.kept(columns, platform.release())
            path.unlink(missing_ok=True)
            for key, cell in kept.items():
                if key.kernel == kernel and key.recipe in recipes:
                    records.write_cell(path, cell)

    def run(self) -> None:
        """Go through the places; what is seen stays, whatever ends this.

        :raises KeyboardInterrupt: It was interrupted; the documents are written.
        """
        left = self._kernels()
        self._store.missing.update(dict.fromkeys(self._columns, INTERRUPTED))
        try:
            while left:
                kernel = left[0]
                before = records.read(self._file(kernel)).cells
                try:
                    self._go(kernel)
                finally:
                    self._take(kernel, before)
                    self._write()
                left.pop(0)
        finally:
            self._write()

    def _go(self, kernel: str) -> None:
        """See the cells of a kernel."""
        paths = _bpftraces()
        here = []
        for column in self._columns:
            if column.kernel == kernel and column.bpftrace in paths:
                here.append(column)
            elif column.kernel == kernel:
                self._store.missing[column] = f"no bpftrace {column.bpftrace} here"
        if not here:
            return
        found, out = [paths[column.bpftrace] for column in here], self._file(kernel)
        try:
            if kernel == HOST:
                reason = host.run_host(found, out, self._recipes, LIMIT_SECONDS)
            else:
                reason = guests.run_place(kernel, found, out, self._recipes, GUEST_LIMIT_SECONDS)
        except (OSError, RuntimeError) as error:
            # The other places are still to be seen.
            reason = " ".join(str(error).split())
        for column in here:
            if reason is None:
                self._store.missing.pop(column, None)
            else:
                self._store.missing[column] = reason
        if reason is not None:
            print(f"{kernel}: not all was seen: {reason}", file=sys.stderr)

    def _take(self, kernel: str, before: Mapping[Key, Cell]) -> None:
        after = records.read(self._file(kernel)).cells
        was_seen = {key for key, cell in after.items() if cell.outcome != "not-seen"}
        self._seen |= {key for key in was_seen if before.get(key) != after[key]}
        self._store.take(after)

    def _write(self) -> None:
        seconds = round(time.monotonic() - self._begun, 1)
        self._store.last = Last(self._at, "make matrix", seconds, len(self._seen))
        seen = {Column(key.kernel, key.bpftrace) for key in self._store.cells}
        for column in self._store.missing.keys() - seen - set(PLANNED):
            # Nobody planned it and nobody saw it: the terminal says so, and the page has no column of it.
            self._unplanned[column] = self._store.missing.pop(column)
        write_store(self._json, self._store)
        write_whole(self._page, page(self._store, recipe_ids()))

    def all_is_well(self) -> bool:
        """Whether every cell that was asked for works or was refused; print those that are not so."""
        wanted = [
            Key(column.kernel, column.bpftrace, recipe, variant)
            for column in self._columns
            for recipe in self._recipes
            for variant in variants_of(recipe)
        ]
        bad = []
        for key in wanted:
            cell = self._store.cells.get(key)
            if cell is None or cell.outcome in ("failed", "not-seen"):
                bad.append(key)
                column = Column(key.kernel, key.bpftrace)
                missing = self._store.missing.get(column) or self._unplanned.get(column, "nobody has run it")
                reason = cell.reason if cell is not None else f"not seen: {missing}"
                print(f"{key.kernel} {key.bpftrace} {key.recipe} {key.variant}: {reason}", file=sys.stderr)
        print(f"{len(self._seen)} cells seen now; of {len(wanted)}, {len(bad)} failed or were not seen")
        return not bad

    def _kernels(self) -> list[str]:
        return list(dict.fromkeys(column.kernel for column in self._columns))

    def _file(self, kernel: str) -> Path:
        return self._files / f"{kernel}.jsonl"


def _bpftraces() -> dict[str, str]:
    """Return the path of each release that is here; one that does not answer is said, and left out."""
    found = {}
    for path in releases.paths():
        try:
            found[releases.release_of(path)] = path
        except (OSError, subprocess.SubprocessError, ValueError, EbpfRecipeError) as error:
            print(f"{path} says no release: {' '.join(str(error).split())}", file=sys.stderr)
    return found


def _newer(store: Store, cells: Mapping[Key, Cell]) -> dict[Key, Cell]:
    """Return cells that are newer than those of a store."""
    return {
        key: cell for key, cell in cells.items() if key not in store.cells or store.cells[key].at < cell.at
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="tests.laboratory.matrix")
    parser.add_argument("--places", type=columns_of, default=columns_of(DEFAULT))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--files", type=Path, default=Path("build/matrix"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("recipes", nargs="*")
    given = parser.parse_args()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    unknown = set(given.recipes) - set(recipe_ids())
    if unknown:
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}")
    recipes = list(dict.fromkeys(given.recipes)) or recipe_ids()
    try:
        matrix = Matrix(given.files, given.docs, given.places, recipes, fresh=given.fresh)
    except (Damaged, OSError) as error:
        sys.exit(str(error))
    try:
        matrix.run()
    except KeyboardInterrupt:
        print("interrupted; the documents say what was seen", file=sys.stderr)
        return 130
    return 0 if matrix.all_is_well() else 1


if __name__ == "__main__":
    sys.exit(main())

"""All cells of one place, seen one after the other: `python -m tests.laboratory.matrix.place`.

usage: … --kernel-name K --bpftrace PATH [--bpftrace PATH …] --out FILE.jsonl [--limit SECONDS] [RECIPES …]

What the file has is not seen again. It runs alike on this machine and inside a guest, from the top of the checkout and
where tracefs is mounted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runner.recipe.catalogue import recipe_ids
from tests.laboratory.matrix import records
from tests.laboratory.matrix.cell import Key
from tests.laboratory.matrix.observe import observe
from tests.laboratory.matrix.variants import variants_of
from tests.laboratory.releases import release_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMIT_SECONDS = 60.0
"""How long a run may take on a machine that is not emulated."""


def planned(kernel: str, releases: Iterable[str], recipes: Iterable[str]) -> Iterator[Key]:
    """Return the cells of a place in their order."""
    names = list(recipes)
    for release in releases:
        for recipe in names:
            for variant in variants_of(recipe):
                yield Key(kernel, release, recipe, variant)


def main() -> int:
    """See them."""
    parser = argparse.ArgumentParser(prog="tests.laboratory.matrix.place")
    parser.add_argument("--kernel-name", required=True)
    parser.add_argument("--bpftrace", action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS)
    parser.add_argument("recipes", nargs="*")
    given = parser.parse_args()
    # So that what a cell has raised is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    paths = {release_of(path): path for path in given.bpftrace}
    have = records.read(given.out).cells
    for key in planned(given.kernel_name, paths, given.recipes or recipe_ids()):
        if key in have:
            continue
        records.write_begin(given.out, key)
        cell = observe(key, paths[key.bpftrace], given.limit)
        records.write_cell(given.out, cell)
        counted = "" if cell.seen is None else f" {cell.seen:,} of {cell.expected:,}"
        print(
            f"{key.kernel} {key.bpftrace} {key.recipe} {key.variant}: {cell.outcome}{counted} {cell.reason}".rstrip()
            + f" ({cell.seconds:g} s)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

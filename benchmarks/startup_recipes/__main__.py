"""`make startup`: measure the recipes that are named, or all, and write docs/startup.md and startup.json."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.startup_recipes.attaching import CannotRun, OurCommand, seconds_alone
from benchmarks.startup_recipes.causes import counted
from benchmarks.startup_recipes.document import page
from benchmarks.startup_recipes.figures import Figures, Stored
from benchmarks.startup_recipes.programs import NOTHING, count_probes, without_bodies
from runner.bpftrace.version import Bpftrace, find_bpftrace
from runner.recipe.catalogue import recipe_ids
from tests.laboratory.functions import build_library
from tests.laboratory.releases import paths

_FUNCTIONS = ("function-calls", "function-latency")
"""Recipes that ask for a function."""


def measure(words: list[str], ours: OurCommand, bpftrace: Bpftrace, rounds: int) -> Figures:
    """Measure one recipe with one bpftrace.

    :param words: The recipe, and the options that it needs.
    """
    program = ours.program(words, bpftrace)
    bare = without_bodies(program)
    # The first of each finds its files in no cache.
    ours.seconds(words, bpftrace)
    taken = [
        (
            *ours.seconds(words, bpftrace),
            seconds_alone(program, bpftrace),
            seconds_alone(program, bpftrace, is_framed=True),
            seconds_alone(bare, bpftrace),
            seconds_alone(NOTHING, bpftrace),
        )
        for _ in range(rounds)
    ]
    started, attached, alone, framed, bodiless, nothing = (
        round(statistics.median(each), 3) for each in zip(*taken, strict=True)
    )
    return {
        "recipe": words[0],
        "bpftrace": str(bpftrace),
        "date": datetime.now(tz=UTC).date().isoformat(),
        "probes": count_probes(program),
        "ours": attached,
        "started": started,
        "alone": alone,
        "framed": framed,
        "bodiless": bodiless,
        "nothing": nothing,
        "causes": counted(program, bpftrace),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="all, where none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("docs"))
    given = parser.parse_args()
    stored_file = given.folder / "startup.json"
    machine = f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"
    unknown = set(given.recipes) - set(recipe_ids())
    if unknown:
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}")
    kept: list[Figures] = []
    if given.recipes and stored_file.exists():
        earlier: Stored = json.loads(stored_file.read_text())
        if earlier["machine"] != machine:
            parser.error(f"what is stored is of another machine ({earlier['machine']}): measure all recipes")
        kept = earlier["figures"]
    releases = [find_bpftrace(path) for path in paths()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library, _ = build_library(folder, 1)
        ours = OurCommand(folder / "compiled")
        for recipe in given.recipes or recipe_ids():
            options = ["--function", f"{library}:f0"] if recipe in _FUNCTIONS else []
            for release in releases:
                try:
                    one = measure([recipe, *options], ours, release, given.rounds)
                except CannotRun as reason:
                    print(f"{recipe:20} {release!s:7} {reason}", file=sys.stderr, flush=True)
                    continue
                kept = [each for each in kept if _key(each) != _key(one)] + [one]
                print(
                    f"{recipe:20} {release!s:7} ours {one['ours']:.2f}, alone {one['alone']:.2f}", flush=True
                )
            stored: Stored = {"machine": machine, "rounds": given.rounds, "figures": sorted(kept, key=_key)}
            stored_file.write_text(json.dumps(stored, indent=1) + "\n")
            (given.folder / "startup.md").write_text(page(stored))


def _key(figures: Figures) -> tuple[str, str]:
    return figures["recipe"], figures["bpftrace"]


if __name__ == "__main__":
    main()

"""`make bench-kernel`: measure the recipes that are named, or all, and write page, figures and recipes."""

from __future__ import annotations

import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.kernel_cost import machine, stored
from benchmarks.kernel_cost.document import as_page
from benchmarks.kernel_cost.loads import LOADS, built, prepared
from benchmarks.kernel_cost.measuring import measure, shortest_free_ns
from benchmarks.kernel_cost.recipe_edit import with_figures
from benchmarks.kernel_cost.stored import Measured
from benchmarks.kernel_cost.subjects import SUBJECTS, Subject
from benchmarks.kernel_cost.tools import tools_for
from tests.laboratory.releases import paths, release_of

ROUNDS = 3
_ROOT = Path(__file__).parents[2]
_FIGURES = _ROOT / "docs" / "cost.json"
_PAGE = _ROOT / "docs" / "cost.md"


def measured(subject: Subject, program: Path, folder: Path, rounds: int = ROUNDS) -> Measured:
    """Measure one recipe beside others' tools.

    :param program: The load's, and `folder` for files of the load and of the tools.
    """
    releases = [(path, release_of(path)) for path in paths()]
    tools = list(tools_for(subject, releases, {"load": str(program)}))
    with prepared(LOADS[subject.load], folder) as load:
        costs = measure(tools, load, program, folder, rounds)
    free_ns = shortest_free_ns(costs)
    return Measured(
        subject.recipe,
        datetime.now(UTC).date().isoformat(),
        machine.description(),
        machine.kernel_release(),
        machine.libbpf_release(),
        load.event,
        f"{load.times:,} times {load.text}" if load.hertz is None else load.text,
        rounds,
        tuple(stored.figure(cost, free_ns) for cost in costs),
    )


def main(chosen: list[str]) -> None:
    """Measure, print, and write after each recipe: what was measured stays where a later one fails."""
    unknown = set(chosen) - {each.recipe for each in SUBJECTS}
    if unknown:
        sys.exit(f"no such recipe: {', '.join(sorted(unknown))}")
    # So that what a load works on is taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    known = stored.read(_FIGURES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = built(folder)
        for subject in SUBJECTS:
            if chosen and subject.recipe not in chosen:
                continue
            one = measured(subject, program, folder)
            known[subject.recipe] = one
            for each in one.figures:
                shown = (
                    each.why_not if each.ns is None else f"{each.ns:8.0f} ns, slowdown {each.slowdown:+.2f}"
                )
                print(f"{one.recipe:18} {each.name:30} {each.release:7} {shown}", flush=True)
            stored.write(_FIGURES, known)
            _PAGE.write_text(as_page(known))
            (path,) = (_ROOT / "recipes").glob(f"*/{subject.recipe}.yaml")
            path.write_text(with_figures(path.read_text(), one))


if __name__ == "__main__":
    main(sys.argv[1:])

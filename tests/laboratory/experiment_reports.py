"""Experiments whose outcome is known, and their reports: `python -m tests.laboratory.experiment_reports FOLDER`.

A change that helps, one that does nothing and one that makes it worse, under each load of the laboratory.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.laboratory.experiments import SCENES
from tests.laboratory.releases import paths, release_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.laboratory.experiments import Change, Scene

_MADE = re.compile(r"(/tmp/)?ebpf-recipe-experiment-[\w-]+")
"""Directories and network namespaces of scenes."""

VERDICTS: Mapping[str, frozenset[str]] = {
    "better": frozenset({"better"}),
    "same": frozenset({"same", "inconclusive"}),
    "worse": frozenset({"worse"}),
}
"""What each kind of change may be called."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an experiment."""

    exit_code: int
    result: dict[str, Any]
    report: str
    said: str


def try_change(scene: Scene, change: Change, bpftrace: str, *options: str) -> Tried:
    """Try a change of a scene, as its user would; its state is kept apart from the host's own."""
    network = () if scene.network is None else ("--netns", scene.network)
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-experiment-") as made:
        folder, document = Path(made) / "made", Path(made) / "experiment.json"
        words = [
            *("experiment", "--set", f"{change.setting}={change.value}", *network, "--bpftrace", bpftrace),
            *("--measure", " ".join([scene.recipe, *scene.arguments]), "--dir", str(folder)),
            *("-f", "markdown", "-o", str(document), *options),
        ]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "runner", *words, "--", *scene.inside(scene.load)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "EBPF_RECIPE_STATE": str(Path(made) / "state")},
        )
        if not document.exists():
            raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
        result = json.loads((folder / "experiment.json").read_text())
        return Tried(done.returncode, result, document.read_text(), done.stderr)


def _rows(folder: Path) -> Iterator[tuple[str, bool]]:
    newest = paths()[-1]
    for name, made in SCENES.items():
        for kind, verdicts in VERDICTS.items():
            with made() as scene:
                change = getattr(scene, kind)
                before = scene.value(change)
                found = try_change(scene, change, newest)
                is_as_before = scene.value(change) == before
            file = folder / f"{name.replace('_', '-')}-{kind}.md"
            file.write_text(_anywhere(found.report, newest))
            result = found.result
            is_right = result["verdict"] in verdicts and is_as_before
            outcome = result["comparisons"][0]["outcomes"][0] if result["comparisons"] else None
            shift = outcome["shown"]["shift"] if outcome is not None and "shown" in outcome else "-"
            setting = change.setting.rpartition("/")[2]
            row = (
                f"| {name.replace('_', ' ')} | {setting} {before} → {change.value} | [{result['verdict']}]({file.name}) "
                f"| {shift} | {result['seconds']:.0f} s (foretold {result['design']['seconds_predicted'] or 0:.0f} s) "
                f"| {'as it has to be' if is_right else 'WRONG'} |"
            )
            print(row, file=sys.stderr, flush=True)
            yield row, is_right


def _anywhere(report: str, bpftrace: str) -> str:
    """Return a report without the names that only this machine, and this run, has."""
    report = report.replace(sys.executable, "python3").replace(bpftrace, "bpftrace")
    return _MADE.sub("SCENE", report)


def main() -> int:
    """Write the reports; return 1 where one is not as it has to be."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder.mkdir(exist_ok=True)
    rows = list(_rows(folder))
    machine = f"Linux {os.uname().release}, {os.cpu_count()} processors, bpftrace {release_of(paths()[-1])}"
    lines = [
        "# Experiments whose outcome is known",
        "",
        f"Made by `make experiments` on {machine}.",
        "The loads are those of `tests/laboratory/experiments.py`. Each ends with the settings as they were.",
        "",
        "| load | change | verdict | shift | it took | |",
        "|---|---|---|---|---|---|",
        *(row for row, _ in rows),
    ]
    (folder / "README.md").write_text("\n".join(lines) + "\n")
    return int(not all(is_right for _, is_right in rows))


if __name__ == "__main__":
    sys.exit(main())

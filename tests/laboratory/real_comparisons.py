"""`make truth-compare`: what comparisons say of real runs of runqlat, under one load and under a heavier one.

usage: python -m tests.laboratory.real_comparisons FILE

Runs of one load are recorded, and runs of the same load with one more thread per processor that computes all
the time, in turns with them. Comparisons are drawn from these runs.
"""

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.capture.document import Capture
from runner.capture.read import read_captures
from runner.compare.comparing import Wanted, compare
from runner.compare.document import Comparison
from runner.compare.loading import Read
from tests.laboratory.comparisons import LARGEST_SHARE

SAME = 32
"""Runs of one load."""

HEAVIER = 10
COMPARISONS = 150
WITH_HEAVIER = 50
RUNS_A_SIDE = (5, 8, 12)
SECONDS = 3
THRESHOLD = "1ms"
SEED = 1

_SOURCE = Path(__file__).parent / "contend.c"
_TITLE = "## Real runs"
_PROGRAM = Path(sys.executable).parent / "ebpf-recipe"


def built(folder: Path) -> Path:
    """Compile the load into a folder."""
    path = folder / "contend"
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", path, _SOURCE], check=True)
    return path


def record(
    load: Path, spinners: int, path: Path, *, bpftrace: str = "bpftrace", seconds: int = SECONDS
) -> None:
    """Record one run: its own start of bpftrace, and of the load."""
    command: list[str | Path] = [
        _PROGRAM,
        "run",
        "runqlat",
        "--comm",
        load.name,
        "--above",
        THRESHOLD,
        "--bpftrace",
        bpftrace,
    ]
    command += ["-o", path, "--", load, str(seconds), str(spinners)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


@dataclass(frozen=True)
class Recorded:
    """One run of a side, as a comparison reads it."""

    name: str
    captures: Sequence[Capture]


def compared(before: Sequence[Recorded], after: Sequence[Recorded]) -> Comparison:
    """Compare some runs with others."""
    sides = [
        Read([(run.name, capture) for run in side for capture in run.captures]) for side in (before, after)
    ]
    return compare(sides[0], sides[1], Wanted())


def drawn(
    chance: random.Random, count: int, draw: Callable[[int], tuple[Sequence[Recorded], Sequence[Recorded]]]
) -> dict[int, Counter[str]]:
    """Return how often each verdict came, by the number of runs a side.

    :param draw: Returns two sides of so many runs.
    """
    said: dict[int, Counter[str]] = {}
    for runs in RUNS_A_SIDE:
        said[runs] = Counter(compared(*draw(runs))["verdict"] for _ in range(count // len(RUNS_A_SIDE)))
    return said


def section(same: dict[int, Counter[str]], heavier: Counter[str], runs: Sequence[Capture]) -> list[str]:
    """Return the part of docs/compare.md."""
    host = runs[0]["host"]
    lines = [
        _TITLE,
        "",
        f"{SAME} runs of `runqlat --above {THRESHOLD}` under one load, and {HEAVIER} in turns with them under the",
        f"same load with one more thread per processor that computes all the time ({SECONDS} s each, {host['cpus']} processors,",
        f"Linux {host['kernel']}, bpftrace {host['bpftrace']}; `tests/laboratory/contend.c`). Comparisons are drawn from these",
        f"runs: {COMPARISONS} of the same load with itself, and {WITH_HEAVIER} with the heavier one, of 5 runs a side.",
        "",
        "| compared | runs a side | better | worse | same | inconclusive |",
        "|---|---|---|---|---|---|",
    ]
    for number, said in same.items():
        lines.append(_row("the load with itself", number, said))
    lines.append(_row("with one more thread per processor", RUNS_A_SIDE[0], heavier))
    return lines


def _row(name: str, number: int, said: Counter[str]) -> str:
    words = " | ".join(str(said[word]) for word in ("better", "worse", "same", "inconclusive"))
    return f"| {name} | {number} | {words} |"


def main() -> None:
    """Record, compare, and write the section; fail where a verdict is wrong too often."""
    path = Path(sys.argv[1])
    chance = random.Random(SEED)  # noqa: S311
    sides: dict[int, list[Recorded]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        load = built(Path(folder))
        every = SAME // HEAVIER
        turns = []
        for number in range(SAME):
            turns.append(1)
            if number % every == every - 1 and turns.count(2) < HEAVIER:
                turns.append(2)
        for number, spinners in enumerate(turns):
            file = Path(folder) / f"{number}.json"
            record(load, spinners, file, bpftrace=os.environ.get("BPFTRACE", "bpftrace"))
            sides[spinners].append(Recorded(file.name, read_captures(file)))
            print(f"run {number + 1} of {len(turns)}", file=sys.stderr)

    def of_same(runs: int) -> tuple[Sequence[Recorded], Sequence[Recorded]]:
        found = chance.sample(sides[1], 2 * runs)
        return found[:runs], found[runs:]

    same = drawn(chance, COMPARISONS, of_same)
    heavier: Counter[str] = Counter(
        compared(chance.sample(sides[1], RUNS_A_SIDE[0]), chance.sample(sides[2], RUNS_A_SIDE[0]))["verdict"]
        for _ in range(WITH_HEAVIER)
    )
    text = path.read_text().split(_TITLE)[0].rstrip()
    path.write_text("\n".join([text, "", *section(same, heavier, sides[1][0].captures)]) + "\n")
    wrong = sum(said["better"] + said["worse"] for said in same.values())
    print(f"the same load: {wrong} of {COMPARISONS} better or worse; a heavier one: {dict(heavier)}")
    if wrong > LARGEST_SHARE * COMPARISONS or heavier["worse"] < WITH_HEAVIER:
        sys.exit(f"wrong too often: see {path}")


if __name__ == "__main__":
    main()

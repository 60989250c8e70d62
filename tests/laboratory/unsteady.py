"""Loads that no change can be tried under. Run as a program, once for each run of an experiment.

usage: python -m tests.laboratory.unsteady steady|grows|varies|fails|ends STATE

In half a second it reads a byte of /dev/zero so many times, at an even pace, and says how many. STATE is a file that
keeps how many runs there were: it is made by the first. `grows`: 8 % more reads in each run than in the one before.
`varies`: 60 and 140 in turns, so that each side has one of both in each block of ABBA. `fails`: exit 1 in the fourth
run and later, after half of its reads. `ends`: at once, and nothing is read.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.laboratory import work
from tests.laboratory.load import rename

NAME = "unsteady"
KINDS = ("steady", "grows", "varies", "fails", "ends")
READS = 100
GROWTH = 1.08
FIRST_TO_FAIL = 4

_SECONDS = 0.5


def reads_of(kind: str, run: int) -> int:
    """Return how many reads a run makes.

    :param run: 1 is the first.
    :raises ValueError: There is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind} is none of {', '.join(KINDS)}")
    if kind == "grows":
        return round(READS * GROWTH ** (run - 1))
    if kind == "varies":
        return READS * 3 // 5 if run % 2 else READS * 7 // 5
    if kind == "fails" and run >= FIRST_TO_FAIL:
        return READS // 2
    return 0 if kind == "ends" else READS


def main() -> None:
    """Read as often as it is this run's turn to, and say how often that was."""
    rename(NAME)
    kind, state = sys.argv[1], Path(sys.argv[2])
    run = 1 + (int(state.read_text()) if state.exists() else 0)
    state.write_text(str(run))
    reads = reads_of(kind, run)
    begun = time.monotonic()
    with Path("/dev/zero").open("rb", buffering=0) as source:
        for number in range(reads):
            source.read(1)
            time.sleep(max(0.0, begun + (number + 1) * _SECONDS / reads - time.monotonic()))
    if kind == "fails" and run >= FIRST_TO_FAIL:
        sys.exit(1)
    if reads:
        work.say(reads, "reads")


if __name__ == "__main__":
    main()

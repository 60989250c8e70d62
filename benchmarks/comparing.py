"""`make bench`: how long it takes to compare two sides of many captures, from their files to the document."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.capture.buckets import LogBuckets
from runner.capture.condition import parse_subject
from runner.capture.encode import encode_capture
from runner.capture.make import new_capture
from runner.capture.rows import histogram_row
from runner.compare.comparing import Wanted, compare
from runner.compare.loading import read_side

if TYPE_CHECKING:
    from runner.capture.document import Capture

RUNS = 50
KEYS = 200
_SECONDS = 10


def _capture(chance: random.Random, minute: int) -> Capture:
    layout = LogBuckets(2)
    rows: list[Any] = []
    for number in range(KEYS):
        first = 20 + number % 10
        counts = {
            layout.bounds(index, is_unsigned=False): chance.randrange(400, 600)
            for index in range(first, first + 20)
        }
        rows.append(histogram_row({"comm": f"service-{number}"}, counts))
    began, ended = (f"2026-11-24T{minute // 60:02}:{minute % 60:02}:{second:02}Z" for second in (0, _SECONDS))
    return new_capture(
        tables=[
            {
                "name": "latency",
                "map": "@latency",
                "kind": "histogram",
                "unit": "us",
                "keys": [{"name": "comm", "type": "comm"}],
                "rows": rows,
            }
        ],
        problems=[],
        messages=[],
        window={
            "started_at": began,
            "attached_at": began,
            "ended_at": ended,
            "duration_seconds": _SECONDS,
            "ended_by": "duration",
        },
    )


def main() -> None:
    """Print the times of reading and of comparing."""
    chance = random.Random(1)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        for side in range(2):
            path = Path(folder) / str(side)
            path.mkdir()
            for run in range(RUNS):
                made = _capture(chance, 2 * run + side)
                (path / f"{run:02}.json").write_bytes(encode_capture(made))
        start = time.perf_counter()
        sides = [read_side([f"{folder}/0"], "before"), read_side([f"{folder}/1"], "after")]
        read = time.perf_counter()
        wanted = Wanted(primaries=[parse_subject("latency.mean-log2", what="--primary")])
        comparison = compare(sides[0], sides[1], wanted)
        taken = time.perf_counter()
    assert comparison["verdict"] == "same", comparison["reason"]
    assert len(comparison["tables"]) > KEYS
    print(
        f"comparing 2 x {RUNS} captures of {KEYS} histograms: {taken - start:.2f} s, "
        f"{read - start:.2f} s of it reading them"
    )


if __name__ == "__main__":
    main()

"""Running a recipe as its users do, and reading what its capture says."""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.command import LIMIT_SECONDS, Started
from tests.laboratory.hidden import Process1, most_hidden
from tests.laboratory.missed import MISSING, missed


class Run:
    """A finished run.

    :ivar missed: Events that the capture says are missing: the kernel left them out because another BPF program ran
        there or for reasons of its own, or bpftrace lost the first of a row.
    :ivar hidden: Events more that the kernel of this machine may have left out and told nobody.
    :ivar hidden_ns: How long what came before the hidden events may have had a processor: as long as process 1 has
        it at a time on average, for each.
    """

    def __init__(self, capture: dict[str, Any], said: str = "", process_1: Process1 | None = None) -> None:
        self.capture = capture
        process_1 = process_1 or Process1()
        self.hidden = most_hidden(capture["program"]["text"], process_1.slices)
        self.hidden_ns = self.hidden * process_1.nanoseconds // max(process_1.slices, 1)
        self._said = said
        self.tables = {table["name"]: table["rows"] for table in capture["tables"]}
        self.missed = missed(capture)
        self.problems = {problem["code"] for problem in capture["quality"]["problems"]}

    def __repr__(self) -> str:
        """Show what the capture says against itself: a failed comparison prints it."""
        return f"Run({self.capture['recipe']['id']}, {self.capture['quality']}, {self.hidden} may be hidden)"

    def rows(self, table: str, **wanted: Any) -> list[dict[str, Any]]:
        """Return the rows of a table that have these keys."""
        return [
            row
            for row in self.tables[table]
            if all(row["key"][name] == value for name, value in wanted.items())
        ]

    def answers(self) -> list[Any]:
        """Return what the loads that the command asked say of their work (`load.py`)."""
        (line,) = (line for line in self._said.splitlines() if line.startswith("["))
        answers: list[Any] = json.loads(line)
        return answers

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name."""
        return [event for event in self.capture["events"] if event["name"] == name]

    def agrees(self, ours: int, independent: int) -> bool:
        """Whether two counts of events are equal, but for those that the capture says it missed, or may have."""
        return 0 <= independent - ours <= self.missed + self.hidden

    def total(self, table: str, field: str = "value", **wanted: Any) -> int:
        """Return the sum of a field of these rows."""
        return sum(row[field] for row in self.rows(table, **wanted))


Buckets = list[tuple[int, int, int]]
"""Lower and upper bound, inclusive, and count."""


def buckets_of(row: dict[str, Any]) -> Buckets:
    """Return the buckets of a histogram's row."""
    return [(bucket["lower"], bucket["upper"], bucket["count"]) for bucket in row["buckets"]]


def printed_buckets(text: str) -> Buckets:
    """Return the buckets that a tool of libbpf-tools prints."""
    found = re.findall(r"(\d+) -> (\d+)\s+: (\d+)", text)
    return [(int(low), int(high), int(count)) for low, high, count in found]


def bucket_at(quantile: float, buckets: Buckets) -> tuple[int, int]:
    """Return the bounds of the bucket that holds a quantile."""
    left = quantile * sum(count for _, _, count in buckets)
    for low, high, count in buckets:
        left -= count
        if left <= 0:
            return low, high
    raise AssertionError("an empty histogram")


ALLOWED = (*MISSING, "repaired")
"""Problems that a capture may have where a test does not say otherwise."""


def run_recipe(
    recipe: str,
    *arguments: str,
    bpftrace: str,
    command: Sequence[str] | None = None,
    allowed: Iterable[str] = ALLOWED,
) -> Run:
    """Run a recipe, for as long as a command takes where one is given.

    :param allowed: Problems that the capture may have.
    """
    before = Process1.now()
    done = _start(recipe, arguments, bpftrace, command).wait()
    return _run_of(done, before, allowed)


def run_beside(
    recipe: str, *each: Sequence[str], bpftrace: str, command: Sequence[str], allowed: Iterable[str] = ALLOWED
) -> list[Run]:
    """Run a recipe with each of these arguments, all at the same time, around one load; return the runs.

    All are attached before the command starts and trace until it has ended, so each sees what it would see alone.
    Programs at one tracepoint run one after the other there: none takes an event from another.

    :param command: The load; what it says is nobody's (`Run.answers`).
    """
    before = Process1.now()
    with tempfile.TemporaryDirectory() as name:
        over = Path(name) / "over"
        os.mkfifo(over)
        # For both, so that nobody waits for somebody to open the other end.
        line = os.open(over, os.O_RDWR)
        attached = [Path(name) / f"attached-{place}" for place in range(len(each))]
        started = [
            _start(recipe, arguments, bpftrace, ["sh", "-c", f": > {path}; read _ < {over}"])
            for path, arguments in zip(attached, each, strict=True)
        ]
        try:
            while not all(path.exists() for path in attached) and not any(one.has_ended() for one in started):
                time.sleep(0.05)
            subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_SECONDS)
        finally:
            # Each reads one.
            os.write(line, b"\n" * len(each))
            done = [one.wait() for one in started]
            os.close(line)
    return [_run_of(one, before, allowed) for one in done]


def _start(recipe: str, arguments: Sequence[str], bpftrace: str, command: Sequence[str] | None) -> Started:
    behind = ["--", *command] if command is not None else []
    return Started("run", recipe, "--bpftrace", bpftrace, "-f", "json", *arguments, *behind)


def _run_of(done: subprocess.CompletedProcess[str], before: Process1, allowed: Iterable[str]) -> Run:
    assert done.returncode == 0, done.stderr
    run = Run(json.loads(done.stdout), done.stderr, Process1.now().since(before))
    assert run.problems <= set(allowed), run.capture["quality"]
    return run

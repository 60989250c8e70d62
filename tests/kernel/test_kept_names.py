"""Recipes that keep the names of processes: whose name changes is counted by the name that it had."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.kernel.recipes import run_recipe

pytestmark = pytest.mark.kernel

LOAD = Path(__file__).parents[1] / "laboratory" / "renamed.py"


@pytest.mark.parametrize(("recipe", "table"), [("syscount", "calls"), ("syscall-latency", "latency")])
def test_calls_are_those_of_the_name_at_the_time(bpftrace, recipe, table, tmp_path):
    told_file = tmp_path / "told"
    # -S and -E: it begins with few calls of its own.
    command = ["sh", "-c", f"exec {sys.executable} -S -E {LOAD} > {told_file}"]
    run = run_recipe(recipe, "--syscall", "getppid", bpftrace=bpftrace, command=command)
    told = Counter()
    for line in told_file.read_text().splitlines():
        name, count = line.split()
        told[name] += int(count)
    assert len(told) == 8
    seen = Counter()
    for row in run.rows(table):
        if row["key"]["comm"].startswith("nm-"):
            counts = [bucket["count"] for bucket in row["buckets"]] if "buckets" in row else [row["value"]]
            seen[row["key"]["comm"]] += sum(counts)
    assert set(seen) == set(told)
    assert all(run.agrees(seen[name], count) for name, count in told.items()), (seen, told)

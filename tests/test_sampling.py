"""Samples that came by the clock: held against the time that tasks ran, and their tables against each other."""

from types import SimpleNamespace

import pytest

from runner.outcome import _dropped_samples
from runner.recipe.catalogue import find_recipe
from runner.recipe.given import parse_given

BUSY_SECONDS = 10.0


def problems(tasks, samples, kernel_threads, **filters):
    """Return the problems of a run at 99 Hz: a table without a line is an empty one."""
    loaded = find_recipe("cpu-profile")
    values = parse_given(loaded.recipe, {"hertz": ("99",), **filters})
    outcome = SimpleNamespace(plan=SimpleNamespace(loaded=loaded, values=values), busy_seconds=BUSY_SECONDS)
    counts = {"samples_of_tasks": tasks, "samples": samples, "samples_of_kernel_threads": kernel_threads}
    tables = [
        {"name": name, "rows": [{"key": {}, "value": count}] if count else []}
        for name, count in counts.items()
    ]
    return [(each["code"], each["count"]) for each in _dropped_samples(outcome, tables)]


@pytest.mark.parametrize(
    ("counts", "filters", "expected"),
    [
        ((990, 950, 40), {}, []),
        # As bpftrace 0.17 was seen to leave out a line.
        ((0, 976, 15), {}, [("map-unprinted", 991)]),
        ((1017, 989, 0), {}, [("map-unprinted", 28)]),
        ((0, 0, 0), {}, [("samples-dropped", 990)]),
        ((500, 480, 20), {}, [("samples-dropped", 490)]),
        # Of a filter the tables have less.
        ((990, 12, 0), {"comm": ("nginx",)}, []),
        ((0, 12, 0), {"comm": ("nginx",)}, [("map-unprinted", 12), ("samples-dropped", 978)]),
    ],
)
def test_tables_that_contradict_each_other_are_told(counts, filters, expected):
    assert problems(*counts, **filters) == expected

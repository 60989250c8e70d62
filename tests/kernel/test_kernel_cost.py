"""What `make bench-kernel` measures: run times of a recipe under a load whose events are known."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.kernel_cost.loads import LOADS, built
from benchmarks.kernel_cost.measuring import measure, shortest_free_ns
from benchmarks.kernel_cost.stored import figure
from benchmarks.kernel_cost.subjects import SUBJECTS
from benchmarks.kernel_cost.tools import Tool, tools_for
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.kernel


def test_a_recipe_costs_what_its_programs_ran(bpftrace: str, tmp_path: Path) -> None:
    subject = next(each for each in SUBJECTS if each.recipe == "runqlat")
    load = replace(LOADS[subject.load], times=50_000)
    ours, plain, script, *_ = tools_for(subject, [(bpftrace, release_of(bpftrace))], {})
    assert [each.kind for each in (ours, plain, script)] == ["recipe", "plain", "script"]
    absent = Tool("libbpf", "absent", "", ("sh", "-c", "echo it cannot >&2; exit 1"))
    costs = measure([ours, plain, script, absent], load, built(tmp_path), tmp_path, 1)
    *measured, failed = (figure(cost, shortest_free_ns(costs)) for cost in costs)
    assert failed.ns is None
    assert failed.why_not == "it cannot"
    for one in measured:
        assert one.ns is not None, one
        assert one.slowdown is not None
        # What else runs on the machine meanwhile is switched to, too.
        runs = {probe.rpartition(":")[2]: count for probe, count, _ in one.programs}
        assert 1 <= runs["sched_switch"] < 1.5
        assert 1 <= runs["sched_wakeup"] < 1.5
        # A few map operations: neither nothing nor a millisecond.
        assert 50 < one.ns < 50_000
        assert one.slowdown > 0.05

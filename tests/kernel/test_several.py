"""Several BPF programs at once: what the kernel leaves out is known, graded and, where it can be, avoided."""

import os

import pytest

from runner.bpftrace.version import find_bpftrace
from runner.errors import HostRefused
from runner.plan import plan_run
from runner.quiet import check_quiet
from runner.recipe.catalogue import find_recipe
from runner.recipe.model import Sampling
from runner.run import execute
from tests.kernel.conftest import SPIN
from tests.laboratory.children import child
from tests.laboratory.exact import bare_plan

pytestmark = pytest.mark.kernel

HERTZ = 199
SAMPLES = f"profile:hz:{HERTZ} /pid != 0/ {{ @n = count(); }}"


@pytest.fixture
def plan_of(bpftrace):
    """What makes a plan of a program that counts in @n, on this bpftrace."""
    plan = plan_run(find_recipe("tcp-retrans"), {}, find_bpftrace(bpftrace))

    def make(program, sampling=None, bookkeeping=()):
        return bare_plan(plan, program, sampling=sampling, bookkeeping=bookkeeping)

    return make


def test_samples_are_compared_with_the_clock(plan_of, figure):
    plan = plan_of(SAMPLES, Sampling(table="n", hertz=HERTZ))
    check_quiet(plan.loaded.recipe)
    with child(SPIN):
        capture = execute(plan, duration_seconds=3).capture()
    figure(f"alone: {capture['tables'][0]['rows'][0]['value']} samples, {capture['quality']['problems']}")
    assert capture["quality"]["grade"] == "usable"


def test_dropped_samples_are_counted_and_a_busy_host_is_refused(plan_of, busy, figure):
    plan = plan_of(SAMPLES, Sampling(table="n", hertz=HERTZ))
    with pytest.raises(HostRefused, match="would be dropped") as refused:
        check_quiet(plan.loaded.recipe)
    capture = execute(plan, duration_seconds=3).capture()
    (problem,) = capture["quality"]["problems"]
    seen = capture["tables"][0]["rows"][0]["value"]
    figure(f"beside a busy program: {refused.value.message}; then {seen} samples, {problem['detail']}")
    assert problem["code"] == "samples-dropped"
    everything = HERTZ * os.sysconf("SC_NPROCESSORS_ONLN") * capture["window"]["duration_seconds"]
    assert 0.9 * everything < problem["count"] + seen < 1.01 * everything
    assert capture["quality"]["grade"] == "degraded"


def test_events_that_fall_into_another_program_are_counted(plan_of, busy, figure):
    # Timers expire in interrupts: they find the other program running.
    program = "tracepoint:timer:hrtimer_expire_entry { @n = count(); }"
    capture = execute(plan_of(program), duration_seconds=3).capture()
    (problem,) = capture["quality"]["problems"]
    figure(f"counted {capture['tables'][0]['rows'][0]['value']}, {problem['detail']}")
    assert problem["code"] == "missed-events"
    assert problem["count"] > 0
    assert "hrtimer_expire_entry" in problem["detail"]
    kept = plan_of(program, bookkeeping=("tracepoint:timer:hrtimer_expire_entry",))
    assert execute(kept, duration_seconds=1).capture()["quality"]["grade"] == "usable"

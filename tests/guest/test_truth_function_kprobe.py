"""function-latency and function-calls for functions of the kernel, which only kprobes see."""

import pytest

from tests.kernel.recipes import bucket_at, buckets_of, run_recipe
from tests.laboratory.called import build, called, command
from tests.laboratory.kernel_functions import system_call
from tests.laboratory.releases import release_of

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("called"))


def test_times_of_a_kernel_function_have_its_sleep_in_them(program, tmp_path, truth):
    sleeping, asking = system_call("clock_nanosleep"), system_call("getppid")
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-latency", "--function", sleeping, "--function", asking, "--pid", str(one.pid),
            bpftrace="bpftrace", command=command(one.asking(*["recurse 1"] * 20, "parent 500")),
        )  # fmt: skip
    release = release_of("bpftrace")
    (slept,) = run.rows("latency", function=sleeping)
    (asked,) = run.rows("latency", function=asking)
    for row, name, told in ((slept, "clock_nanosleep", 20), (asked, "getppid", 500)):
        truth(
            "function-latency", "calls (kprobe; guest, Linux 6.1)", f"{told} calls of the kernel's {name}",
            release, row["count"], told, "the program itself",
        )  # fmt: skip
        assert run.agrees(row["count"], told)
    assert all(low >= 1_700_000 for low, _, _ in buckets_of(slept))
    assert bucket_at(0.5, buckets_of(asked))[1] < 1_700_000
    assert run.total("unfollowed") == 0


def test_calls_of_a_kernel_function_are_those_that_the_program_makes(program, tmp_path, truth):
    name = system_call("getppid")
    with called(program, tmp_path) as one:
        run = run_recipe(
            "function-calls", "--function", name, "--pid", str(one.pid), bpftrace="bpftrace",
            command=command(one.asking("parent 5000")),
        )  # fmt: skip
    ours = run.total("calls", function=name)
    truth(
        "function-calls", "calls (kprobe; guest, Linux 6.1)", "5,000 calls of the kernel's getppid",
        release_of("bpftrace"), ours, 5000, "the program itself",
    )  # fmt: skip
    assert run.agrees(ours, 5000)

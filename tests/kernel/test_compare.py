"""A change that is real, found by real runs in turns; and the same runs against themselves, which it is not."""

import json

import pytest

from tests.command import ebpf_recipe
from tests.laboratory.real_comparisons import built, record
from tests.laboratory.releases import paths

pytestmark = pytest.mark.kernel

ABBA = ("before", "after", "after", "before")
ROUNDS = 3


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Runs of one load before, and after with one more thread per processor that computes all the time.

    What is compared are captures, which every release of bpftrace fills alike: the newest one records.
    """
    folder = tmp_path_factory.mktemp("compare")
    load = built(folder)
    found = {side: folder / side for side in set(ABBA)}
    for path in found.values():
        path.mkdir()
    for number, side in enumerate(ABBA * ROUNDS):
        spinners = 1 if side == "before" else 2
        record(load, spinners, found[side] / f"{number:02}.json", bpftrace=paths()[-1], seconds=1)
    return found


def test_one_more_thread_per_processor_is_found(sides, figure):
    done = ebpf_recipe(
        "compare", str(sides["before"]), "--with", str(sides["after"]), "-f", "json",
        "--gate", "latency.above(1ms) not worse by 10%", "--gate", "latency.count >= 1000",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    comparison = json.loads(done.stdout)
    (primary,) = [row for row in comparison["tables"] if row["primary"]]
    assert comparison["verdict"] == primary["verdict"] == "worse", comparison["reason"]
    assert (comparison["design"]["kind"], comparison["design"]["blocks"]) == ("abba", ROUNDS)
    assert (primary["statistic"], primary["threshold"]) == ("above", "1ms")
    assert primary["after"] > primary["before"]
    load = comparison["load"]
    assert load["unit"] == "turns"
    assert not load["differs"], load
    assert [gate["verdict"] for gate in comparison["gates"]] == ["fail", "pass"]
    figure(
        f"one more thread per processor: {100 * primary['before']:.2f} % → {100 * primary['after']:.2f} % of "
        f"waits above 1 ms, p {primary['p_value']:.4f}; {load['before']:.0f} and {load['after']:.0f} turns/s"
    )


def test_few_runs_of_a_large_change_are_no_verdict(sides):
    names = [[str(path) for path in sorted(sides[side].iterdir())[:4]] for side in ("before", "after")]
    done = ebpf_recipe("compare", *names[0], "--with", *names[1], "-f", "json")
    assert done.returncode == 0, done.stderr
    comparison = json.loads(done.stdout)
    assert comparison["verdict"] == "inconclusive"
    assert "cannot carry a decision" in comparison["reason"]
    assert "new runs of each side" in comparison["anew"]


def test_a_run_on_both_sides_is_no_comparison(sides):
    one = str(min(sides["before"].iterdir()))
    done = ebpf_recipe("compare", str(sides["before"]), "--with", str(sides["after"]), one, "-f", "json")
    assert done.returncode == 3
    comparison = json.loads(done.stdout)
    assert {problem["code"] for problem in comparison["problems"] if problem["left_out"]} == {"duplicate"}
    assert [len(comparison["sides"][side]["runs"]) for side in ("before", "after")] == [5, 6]

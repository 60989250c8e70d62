"""What is planned: objectives, costs and the budget, commands that are filled in, times of threads."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.errors import HostRefused, ValueRefused
from runner.recipe.finding import RecipeRefused
from runner.recipe.hypotheses import hypotheses
from runner.recipe.lint.evidence import check_evidence
from runner.recipe.load import LoadedRecipe, read_recipe
from runner.recipe.model_hypothesis import fill_in
from runner.recipe.objective import DEFAULT_OBJECTIVE, parse_objective
from runner.workflow import planning
from runner.workflow.account import account_of, least_share
from runner.workflow.costs import LEAST_SECONDS, predicted, shared
from runner.workflow.planning import Asked
from tests.captures import capture, table
from tests.test_investigate_judging import step


@pytest.mark.parametrize(
    ("text", "time", "tail", "enough"),
    [
        ("p99 <= 10ms", "10ms", "1%", 300),
        ("p99.9<2s", "2s", "0.1%", 3000),
        ("p999 <= 1500us", "1500us", "0.1%", 3000),
        ("p50 < 1ms", "1ms", "50%", 6),
        (" p95  <=  250ms ", "250ms", "5%", 60),
    ],
)
def test_an_objective_says_what_is_in_time_and_how_much_may_be_late(text, time, tail, enough):
    found = parse_objective("--slo", text)
    assert (found.time, found.tail, found.enough) == (time, tail, enough)
    filled = found.filled_in("latency.above($slo) >= $tail")
    assert filled == f"latency.above({time}) >= {tail}"
    assert parse_objective("--slo", found.text) == found


@pytest.mark.parametrize(
    "text", ["", "p99", "p99 >= 10ms", "p49 <= 1ms", "p99 <= 0ms", "p99 <= 9999s", "p99 <= 10"]
)
def test_other_words_are_no_objective(text):
    with pytest.raises(ValueRefused, match="not an objective of latency"):
        parse_objective("--slo", text)


def test_a_tenth_is_filled_in_and_other_words_are_refused():
    assert DEFAULT_OBJECTIVE.filled_in("x.above($tenth) < $tail") == "x.above(1ms) < 1%"
    with pytest.raises(ValueError, match=r"\$slo"):
        DEFAULT_OBJECTIVE.filled_in("x.above($all)")


def test_what_is_known_is_filled_in_and_what_is_not_stands_in_capitals():
    assert fill_in("run $target -d 1s", {}) == "run -d 1s"
    assert (
        fill_in("cat /sys/block/$device/queue/scheduler", {"device": "sda"})
        == "cat /sys/block/sda/queue/scheduler"
    )
    assert fill_in("setra /dev/$device $$OLD", {}) == "setra /dev/DEVICE $OLD"
    with pytest.raises(ValueError, match="filled in"):
        fill_in("$nothing", {})


def test_the_cost_grows_with_the_rate_of_events_and_is_not_known_without():
    rates = {"tracepoint:sched:sched_switch": 100_000.0, "tracepoint:syscalls:sys_enter_read": 10_000.0}
    one = predicted(["tracepoint:sched:sched_switch"], rates, 2)
    assert one == pytest.approx(100_000 * 800e-9 / 2)
    assert predicted(["tracepoint:sched:sched_switch"], rates, 4) == pytest.approx(one / 2)
    assert predicted(["tracepoint:syscalls:sys_enter_read"], rates, 2) > 10_000 * 800e-9 / 2
    assert predicted(["kprobe:vfs_read"], rates, 2) is None
    assert predicted([], rates, 2, hertz=100) == pytest.approx(100 * 5500e-9)


def test_who_fits_the_budget_runs_whole_and_who_does_not_is_cut_or_left_out():
    shares = shared([0.01, 0.2, None, 5.0], 10.0, 0.05)
    assert [each.seconds for each in shares] == [10.0, pytest.approx(2.0), 10.0, None]
    assert "keep it within the 4%" in shares[1].why
    assert "500% of all processors" in shares[3].why
    assert shares[1].seconds >= LEAST_SECONDS


def test_a_cut_window_costs_no_more_than_what_is_left():
    (share,) = shared([0.1], 10.0, 0.05)
    assert share.seconds * 0.1 / 10.0 <= 0.05
    assert shared([0.1], 10.0, 0.01)[0].seconds is None


def spent(**nanoseconds):
    rows = [
        {"key": {"pid": 1, "comm": "nginx", "state": state}, "count": 10, "total": ns, "average": ns // 10}
        for state, ns in nanoseconds.items()
    ]
    keys = (("pid", "integer"), ("comm", "comm"), ("state", "string"))
    return capture(table("time", "stats", rows, "ns", keys))


def test_idleness_has_no_part_in_the_account_and_doubtful_waits_are_bounds():
    account = account_of(
        step(), spent(running=1_000, queued=2_000, disk=1_000, lock=4_000, event=90_000, other=500)
    )
    assert account["busy_seconds"] == [4_000 / 1e9, 8_000 / 1e9]
    parts = {each["part"]: each["share"] for each in account["parts"]}
    assert parts == {
        "queued": [0.25, 0.5],
        "running": [0.125, 0.25],
        "disk": [0.125, 0.25],
        "lock": [0.0, 0.5],
    }
    assert account["idle_seconds"] == 90_000 / 1e9
    assert account["unexplained_seconds"] == 500 / 1e9
    assert least_share(account, ["queued"]) == 0.25
    assert least_share(None, ["queued"]) == 0.0


def test_what_a_limit_held_back_is_a_bound_of_the_waits_for_a_processor():
    made = spent(running=1_000_000, queued=2_000_000_000)
    made["companions"] = [
        {
            "name": "cpu_throttled_time",
            "source": "/sys",
            "unit": "us",
            "before": 0,
            "after": 500_000,
            "cgroup": "/w",
        }
    ]
    assert account_of(step(), made)["throttled"] == [0.0, 0.5]


def test_there_is_no_account_of_what_proves_nothing_or_of_nothing():
    cut = spent(running=1)
    cut["window"]["ended_by"] = "interrupt"
    assert account_of(step(), cut) is None
    assert account_of(step(), spent()) is None


ASKED = Asked(
    symptom="tail-latency",
    target={"comm": ("nginx",)},
    objective=parse_objective("--slo", "p99.9 <= 20ms"),
    budget="5%",
    budget_share=0.05,
    seconds=10.0,
    depth=2,
)
RELEASE = SimpleNamespace(path=Path("/usr/bin/bpftrace"))


@pytest.fixture
def host(monkeypatch):
    """A host on which every recipe is one tracepoint, and which has said no to those in the list."""
    refused = set()

    def plan_run(loaded, values, release):
        del release
        if loaded.recipe.id in refused or "all" in refused:
            raise HostRefused("this kernel has no BTF")
        facts = SimpleNamespace(cpus=2, as_host=lambda: {"hostname": "alpha"})
        text = f"tracepoint:{loaded.recipe.layer}:one {{ @a = count(); }}"
        return SimpleNamespace(program=SimpleNamespace(text=text), facts=facts, values=values)

    monkeypatch.setattr(planning, "plan_run", plan_run)
    return refused


def make_plan(rate=10.0, **more):
    return planning.make_plan(replace(ASKED, **more), RELEASE, lambda probes, _: dict.fromkeys(probes, rate))


def test_a_recipe_that_cannot_honour_the_target_measures_the_host(host):
    steps = {step["recipe"]: step for step in make_plan()["scan"]}
    assert (steps["runqlat"]["scope"], steps["biolatency"]["scope"]) == ("target", "host")
    assert steps["runqlat"]["arguments"] == ["--comm", "nginx", "--above", "20ms"]
    assert steps["biolatency"]["arguments"] == ["--above", "20ms"]
    assert {step["scope"] for step in make_plan(target={})["scan"]} == {"host"}


def test_conditions_have_the_objectives_numbers(host):
    (step,) = [step for step in make_plan()["scan"] if step["recipe"] == "runqlat"]
    assert ["slow.total >= 10", "latency.above(20ms) >= 0.1%"] in [rule["when"] for rule in step["rules"]]


def test_only_what_the_symptom_asks_for_is_scanned(host):
    assert "tcp-retrans" in {step["recipe"] for step in make_plan()["scan"]}
    found = make_plan(symptom="slow-disk")
    assert "tcp-retrans" not in {step["recipe"] for step in found["scan"]}
    assert {each["id"] for each in found["hypotheses"]} == {
        each.id for each in hypotheses().values() if "slow-disk" in each.symptoms
    }


def test_what_cannot_run_here_is_left_out_with_the_reason(host):
    host.add("runqlat")
    (left,) = make_plan()["left_out"]
    assert left == {"recipe": "runqlat", "why": "this kernel has no BTF", "hypotheses": ["run-queue"]}


def test_a_symptom_without_usable_recipes_is_refused(host):
    host.add("all")
    with pytest.raises(
        HostRefused, match=r"no recipe for tail-latency can run here: .*runqlat: this kernel has no"
    ):
        make_plan()


def test_a_budget_that_nothing_fits_is_refused(host):
    with pytest.raises(HostRefused, match="has room for no recipe"):
        make_plan(rate=1e9)


def test_what_would_exceed_the_budget_is_shorter_and_says_so(host):
    steps = make_plan(rate=35_000.0)["scan"]
    short = [step for step in steps if step["seconds"] < 10.0]
    assert short
    assert all("of the budget" in step["shortened"] for step in short)
    assert sum(step["predicted_ratio"] * step["seconds"] / 10.0 for step in steps) <= 0.05 + 1e-6


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("seeks.total = 0", "seeks.total = $sloo", "it knows $slo, $tail, $tenth and $enough"),
        ("seeks.total = 0", "seek.total = 0", "seek"),
        ("hypothesis: many-seeks", "hypothesis: few-seeks", "there is no hypothesis 'few-seeks'"),
    ],
)
def test_evidence_with_mistakes_is_refused_with_its_place_before_anything_is_measured(
    tmp_path, old, new, text
):
    valid = Path(__file__).parent / "lint" / "valid"
    path = tmp_path / "seeks.yaml"
    path.write_text((valid / "recipes/app/seeks.yaml").read_text().replace(old, new))
    recipe = read_recipe(path).recipe
    assert recipe is not None
    loaded = LoadedRecipe(recipe, path, valid / "templates/app/seeks.bt.j2")
    with pytest.raises(RecipeRefused) as refused:
        check_evidence(loaded, {"many-seeks": None})
    assert text in refused.value.message
    first = refused.value.findings[0]
    assert new.split()[-1] in path.read_text().splitlines()[first.line - 1]
    assert first.column > 1

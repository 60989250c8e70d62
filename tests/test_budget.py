"""What a run may cost: how it is said, what ends a run for it, and what becomes of the command it ran for."""

import dataclasses
import os
import signal
import threading
from pathlib import Path

import pytest

from runner import budget as budgets
from runner.budget import OFTEN, RECENT, BudgetWatch, Sample, mean, verdict
from runner.capture.percent import in_percent
from runner.errors import ValueRefused
from runner.host import bpf
from runner.overhead import Slice
from runner.probe_costs import MEASURED, PROBE_COSTS, STATISTICS_NS
from runner.recipe.catalogue import find_recipe
from runner.recipe.parameters import TARGET_FILTERS, parse_values
from runner.recipe.shares import parse_share
from runner.replay import replay
from runner.run import execute
from runner.workload import Workload
from tests.command import FAKE_BPFTRACE, RECORDINGS, ebpf_recipe

BUDGET = 0.01


def samples(*shares):
    """Return samples of these shares, each of a second; a percent stands for itself."""
    return [Sample(1.0, share / 100, 0.0, 0.0, 0.0, 0.0) for share in shares]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.9], None),
        ([1.0], None),
        ([1.1], "refused"),
        ([0.5, 40], None),
        ([0.5, 40, 0.1], None),
        ([0.5, 1.1, 1.1], "stopped"),
        ([0.5, 0.5, 2, 0.5, 2], None),
        # Bursts that come again, within the budget in the mean and not.
        ([0.1, *[2, 0.1, 0.1] * 3], None),
        ([0.1, *[9, 0.1, 0.1] * 3], "stopped"),
        ([0.1, *[9, 0.1, 0.1] * 2], None),
        # One long ago is forgotten, and two of ten are not often.
        ([0.1, 90, *[0.1] * 9], None),
        ([0.1, 90, 0.1, 90, *[0.1] * 7], None),
    ],
)
def test_what_ends_a_run(shares, expected):
    assert verdict(samples(*shares), BUDGET) == expected


def test_what_only_we_take_in_the_first_moment_is_looked_at_again():
    dear, cheap = (Sample(0.5, 0.0, 0.0, 0.0, share, 0.0) for share in (0.02, 0.002))
    assert verdict([dear], BUDGET) is None
    assert verdict([dear, cheap], BUDGET) is None
    assert verdict([dear, dear], BUDGET) == "refused"
    assert verdict([cheap, dear, dear], BUDGET) == "stopped"


def test_bursts_end_a_run_no_sooner_than_they_are_many():
    for count in range(2, RECENT):
        shares = [0.1] + [50 if number % 2 else 0.1 for number in range(1, count)]
        assert verdict(samples(*shares), BUDGET) is None
    assert OFTEN < RECENT


def test_the_mean_is_by_time():
    one = mean([Sample(1.0, 0.3, 0.1, 0.0, 0.2, 10.0), Sample(3.0, 0.1, 0.1, 0.0, 0.0, 30.0)])
    assert one.seconds == 4.0
    assert (one.inside, one.around, one.runner, one.runs_per_second) == pytest.approx((0.15, 0.1, 0.05, 25.0))
    assert one.share == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "share"),
    [("1%", 0.01), ("0.5%", 0.005), ("100%", 1.0), ("0.01%", 0.0001), ("020%", 0.2), ("33.333%", 0.33333)],
)
def test_shares(text, share):
    assert parse_share("--budget", text) == pytest.approx(share)


WRONG = (
    "0",
    "0%",
    "300%",
    "-1%",
    "1",
    "nan%",
    "1e9%",
    "%",
    ".5%",
    "1 %",
    "1%%",
    "0.001%",
    "100.1%",
    "",
    "inf%",
    "\u0661%",
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueRefused) as refused:
        parse_share("--budget", text)
    assert "0.01% to 100%" in refused.value.hint or f"{text}%" in refused.value.hint


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.01, "1%"), (0.0345, "3.45%"), (0.5, "50%"), (1.0, "100%"), (0.0, "0%"), (0.000123, "0.0123%"),
     (0.00000012, "0%"), (0.1234567, "12.3%"), (2.5, "250%")],
)  # fmt: skip
def test_shares_are_shown(share, text):
    assert in_percent(share) == text


def test_the_documentation_has_what_probes_cost():
    page = (Path(__file__).parents[1] / "docs" / "budget.md").read_text()
    for kind, cost in PROBE_COSTS.items():
        source = f"`{cost.source}`" if cost.source == MEASURED else f"{cost.source} (not measured here)"
        assert f"| {kind} | {cost.ns} | {cost.first_ns} | {source} |\n" in page


@pytest.fixture
def watch(monkeypatch):
    """A watch of a tracepoint and a timer on four processors, whose clocks a test sets."""
    monkeypatch.setattr(budgets, "probe_kinds", lambda _pid, _programs: ["tracepoint", "timer"])
    monkeypatch.setattr(budgets.kernel, "cpus_online", lambda: 4)
    ends = []
    one = BudgetWatch(BUDGET, 1, lambda: ends.append(True))
    one.clocks = [0.0, 5.0, 7.0, 20.0, 50.0]
    one.ends = ends
    monkeypatch.setattr(one, "_clocks", lambda: tuple(one.clocks))
    one.begin(["3", "4"])
    return one


def tick(watch, seconds, tracer=0.0, runner=0.0, busy=(0.0, 0.0)):
    more = (seconds, tracer, runner, *busy)
    watch.clocks = [old + new for old, new in zip(watch.clocks, more, strict=True)]


def test_what_is_counted(watch):
    tick(watch, 0.5, tracer=0.002, runner=0.004)
    assert (
        watch.take(Slice(0.5, [1_000_000, 2_000_000], [1000, 100], is_last=False)) == budgets.PERIOD_SECONDS
    )
    use = watch.use()
    around = (
        1000 * PROBE_COSTS["tracepoint"].mean_ns(1 / 4) + 100 * PROBE_COSTS["timer"].ns + 1100 * STATISTICS_NS
    )
    assert use["inside_ratio"] == pytest.approx(0.003 / 0.5 / 4)
    assert use["around_ratio"] == pytest.approx(around / 1e9 / 0.5 / 4)
    assert use["tracer_ratio"] == pytest.approx(0.001)
    assert use["runner_ratio"] == pytest.approx(0.002)
    assert (
        use["measured_ratio"]
        == use["first_moment_ratio"]
        == pytest.approx(sum(use[f"{part}_ratio"] for part in ("inside", "around", "tracer", "runner")))
    )
    assert (use["outcome"], watch.ends, watch.problems()) == ("kept", [], [])


def test_a_run_on_the_first_processor_costs_more(watch):
    ratios = []
    for busy in ((0.0, 0.9), (0.3, 0.9), (0.9, 0.9), (0.0, 0.001)):
        tick(watch, 1.0, busy=busy)
        watch.take(Slice(1.0, [0, 0], [1000, 0], is_last=True))
        ratios.append(watch._samples[-1].around * 4 * 1e6 - STATISTICS_NS)
    cost = PROBE_COSTS["tracepoint"]
    between = [cost.ns + (cost.first_ns - cost.ns) * share for share in (1 / 3, 1 / 4)]
    assert ratios == pytest.approx([cost.ns, between[0], cost.first_ns, between[1]])


def test_what_refuses_is_said_in_figures(watch):
    tick(watch, 0.5)
    watch.take(Slice(0.5, [100_000_000, 0], [250_000, 0], is_last=False))
    assert watch.ends == [True]
    (problem,) = watch.problems()
    assert problem["code"] == "over-budget"
    for words in (
        "the first 0.5 s",
        "the budget is 1%",
        "500,000 probe runs per second",
        "each 400 ns inside",
    ):
        assert words in problem["detail"]
    use = watch.use()
    assert use["outcome"] == "refused"
    assert use["deciding_ratio"] == use["first_moment_ratio"] > 0.05


def test_a_refusal_at_the_second_look_has_both(watch):
    for share, again in ((0.03, budgets.PERIOD_SECONDS), (0.02, budgets.DOUBT_SECONDS)):
        tick(watch, 0.5, runner=share * 0.5 * 4)
        assert watch.take(Slice(0.5, [0, 0], [0, 0], is_last=False)) == again
    assert "the first 1.0 s took 2.5%" in watch.problems()[0]["detail"]
    assert "no probe ran" in watch.problems()[0]["detail"]
    assert (watch.use()["outcome"], watch.use()["deciding_ratio"]) == ("refused", 0.025)


def test_a_later_slice_is_looked_at_again_sooner(watch):
    tick(watch, 0.5)
    watch.take(Slice(0.5, [0, 0], [0, 0], is_last=False))
    for expected in ([], [True]):
        tick(watch, 1.0)
        again = watch.take(Slice(0.2, [100_000_000, 0], [250_000, 0], is_last=False))
        assert again == budgets.DOUBT_SECONDS
        assert watch.ends == expected
    assert "the last 2.0 s after 2.5 s" in watch.problems()[0]["detail"]
    assert watch.use()["outcome"] == "stopped"
    assert watch.use()["deciding_ratio"] > watch.use()["measured_ratio"]


def test_a_window_that_is_over_is_not_ended_again(watch):
    tick(watch, 0.1)
    watch.take(Slice(0.1, [100_000_000, 0], [250_000, 0], is_last=True))
    assert (watch.ends, watch.use()["outcome"]) == ([], "exceeded")
    assert "which ended before it was stopped" in watch.problems()[0]["detail"]


@pytest.fixture
def plan():
    values = {"comm": parse_values("comm", TARGET_FILTERS["comm"], ["nginx"])}
    recorded = replay(find_recipe("tcp-retrans"), values, RECORDINGS[1]).plan
    return dataclasses.replace(
        recorded, bpftrace=dataclasses.replace(recorded.bpftrace, path=Path(FAKE_BPFTRACE))
    )


def refuse():
    raise PermissionError(1, "Operation not permitted")


def test_what_cannot_be_measured_ends_the_run_and_not_its_command(plan, monkeypatch):
    monkeypatch.setattr(bpf, "run_time_statistics", refuse)
    workload = Workload(["sh", "-c", "sleep 1; exit 3"])
    capture = execute(plan, duration_seconds=None, workload=workload, budget=BUDGET).capture()
    assert workload.exit_code == 3
    window, use = capture["window"], capture["overhead"]["budget"]
    assert window["ended_by"] == "budget"
    assert window["workload"]["exit_code"] == 3
    assert window["duration_seconds"] < 0.9
    assert (use["outcome"], use["measured_ratio"]) == ("unmeasured", None)
    details = {problem["code"]: problem["detail"] for problem in capture["quality"]["problems"]}
    assert "Operation not permitted" in details["over-budget"]
    assert "exit 3" in details["workload-failed"]


def test_a_signal_ends_the_command_that_goes_on(plan, monkeypatch):
    monkeypatch.setattr(bpf, "run_time_statistics", refuse)
    workload = Workload(["sleep", "600"])
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    outcome = execute(plan, duration_seconds=None, workload=workload, budget=BUDGET)
    assert outcome.ended_by == "budget"
    assert workload.exit_code == -signal.SIGTERM


@pytest.mark.parametrize("what", [("tcp-retrans",), ("./x.bt",)])
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--budget", "1"), 3, "0.01% to 100%"),
        (("--budget", "nan%"), 3, "0.01% to 100%"),
        (("--budget=-1%",), 3, "0.01% to 100%"),
        (("--budget", "1%", "--overhead", "off"), 2, "do not go together"),
        (("--budget", "1%", "--dry-run"), 2, "do not go together"),
    ],
)
def test_bad_input(what, arguments, code, words, tmp_path, monkeypatch):
    (tmp_path / "x.bt").write_text("interval:s:1 { exit(); }")
    monkeypatch.chdir(tmp_path)
    done = ebpf_recipe("run", *what, *arguments, "--bpftrace", FAKE_BPFTRACE)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.replace("│", "").split())


def test_a_replay_has_no_budget():
    done = ebpf_recipe("run", "tcp-retrans", "--budget", "1%", "--replay", str(RECORDINGS[0]))
    assert done.returncode == 2
    assert "--budget" in ebpf_recipe("run", "tcp-retrans", "--help").stdout

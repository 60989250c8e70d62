"""Loads over the rounds of ABBA: one that drifts or varies is no load, and noise, or the change itself, no drift."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.capture.condition import parse_condition, parse_subject
from runner.compare.limits import ALPHA
from runner.compare.load import Loads
from runner.compare.load_drift import LoadDrift, load_drift
from runner.compare.margin import Margin
from runner.compare.permutation import Block
from runner.compare.verdict import Question, judge
from runner.report.junit import junit_of_comparison
from runner.report.markdown import markdown_of_comparison
from tests.captures import LOG2, drops, in_blocks, in_turns, latency, run
from tests.compared import compared

ABBA, BAAB = (False, True, True, False), (True, False, False, True)
ORDERS = {"ABBA": (ABBA,), "ABBA BAAB": (ABBA, BAAB)}
SIMULATED = 2000

blocks = st.sampled_from([3, 6])
orders = st.sampled_from(sorted(ORDERS))
seeds = st.integers(0, 2**32)


def sides_in_order(number, order="ABBA"):
    """Whether each run of so many blocks is of the side after."""
    return list(itertools.chain(*itertools.islice(itertools.cycle(ORDERS[order]), number)))


def loads(number, *, drift=0.0, noise=0.0, after=1.0, order="ABBA", seed=0):
    """Runs in their order: a load that drifts on a line, with noise, and another one of the side after."""
    chance = random.Random(seed)  # noqa: S311
    order = sides_in_order(number, order)
    last = len(order) - 1
    return [
        (side, 1000 * (1 + drift * place / last) * (after if side else 1) * math.exp(chance.gauss(0, noise)))
        for place, side in enumerate(order)
    ]  # fmt: skip


def judged(runs, before=100.0, after=200.0):
    """The verdict on an outcome that is twice as large after, whatever the load was."""
    drift = load_drift(runs)
    of_sides = [[load for is_after, load in runs if is_after == side] for side in (False, True)]
    made = [Block((before, before + 1), (after, after + 1)) for _ in range(len(runs) // 4)]
    return judge(made, Question("lower", Margin.ratio()), Loads(*of_sides, "requests", drift))


# --- What drifts ---------------------------------------------------------------------------------------------


@given(blocks, orders, st.sampled_from([0.3, -0.3]), seeds)
def test_a_load_that_drifts_is_no_load(number, order, drift, seed):
    runs = loads(number, drift=drift, noise=0.03, order=order, seed=seed)
    found = load_drift(runs)
    assert found.drifts
    assert found.drift == pytest.approx(drift, abs=0.2)
    verdict = judged(runs)
    assert (verdict.word, verdict.anew) == ("inconclusive", "record again under a steady load")
    assert verdict.effect == pytest.approx(200.5 / 100.5)


def test_what_keeps_it_from_being_a_load_is_said():
    assert judged(loads(3, drift=0.3)).reason == (
        "the load drifted by +29.9% from the first run to the last: the order of ABBA takes that out of the "
        "change, but what was measured was not measured under one load"
    )
    assert judged(loads(3, drift=-0.2)).reason.startswith("the load drifted by -20% ")


def test_a_load_of_another_side_comes_first():
    verdict = judged(loads(3, drift=0.3, after=1.2))
    assert verdict.reason.startswith("the load differs: ")
    assert verdict.anew == "record both sides again under one load"


@pytest.mark.parametrize(("factor", "drifts"), [(1.099, False), (1.101, True), (0.91, False), (0.908, True)])
def test_a_tenth_is_no_drift(factor, drifts):
    order = sides_in_order(3)
    runs = [(side, 50 * factor ** (place / 11)) for place, side in enumerate(order)]
    found = load_drift(runs)
    assert found.drift == pytest.approx(factor - 1)
    assert found.drifts == drifts
    assert judged(runs).word == ("inconclusive" if drifts else "worse")


# --- What does not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [3, 6])
def test_noise_is_a_drift_no_more_often_than_alpha(number):
    found = [load_drift(loads(number, noise=0.03, seed=seed)) for seed in range(SIMULATED)]
    assert sum(each.drifts or each.varies for each in found) <= ALPHA * SIMULATED


@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("noise", [0.03, 0.09])
def test_the_test_of_the_slope_has_its_level(number, noise):
    """Of 2000 loads that do not drift 20 have a p of 0.01, with a standard deviation of 4.4.

    Where noise alone makes a line of more than 10 %, as that of 9 % may, nothing else keeps it from being a drift.
    """
    found = [load_drift(loads(number, noise=noise, seed=seed)) for seed in range(SIMULATED)]
    assert 6 <= sum(each.p <= ALPHA for each in found) <= 34
    assert sum(each.drifts for each in found) <= 34


def test_a_load_that_is_steady_but_for_noise_has_its_verdicts():
    said = [judged(loads(3, noise=0.03, seed=seed)).word for seed in range(300)]
    assert said.count("worse") >= (1 - ALPHA) * len(said)


@pytest.mark.parametrize(
    ("noise", "drift", "share"), [(0.05, 0.3, 0.99), (0.05, 0.2, 0.79), (0.05, 0, 0.01), (0.07, 0, 0.14)]
)
def test_noise_hides_a_drift_as_often_as_the_page_says(noise, drift, share):
    found = [load_drift(loads(3, drift=drift, noise=noise, seed=seed)) for seed in range(SIMULATED)]
    assert sum(each.drifts or each.varies for each in found) / SIMULATED == pytest.approx(share, abs=0.03)


@given(blocks, orders, st.floats(0.5, 2), seeds)
def test_what_the_change_makes_of_the_load_is_no_drift(number, order, after, seed):
    """With the side beside it the line is the same, whatever the side after does more."""
    one, other = (
        load_drift(loads(number, drift=0.05, noise=0.03, after=factor, order=order, seed=seed))
        for factor in (1.0, after)
    )
    assert other.drift == pytest.approx(one.drift, abs=1e-9)
    assert other.p == pytest.approx(one.p, abs=1e-6)
    assert other.variation == pytest.approx(one.variation)


@given(blocks, orders, seeds)
def test_a_side_that_does_a_little_more_has_its_verdict(number, order, seed):
    """8 % more would be the whole spread of the runs, were the side not beside the line."""
    assert not load_drift(loads(number, noise=0.02, after=1.08, order=order, seed=seed)).drifts
    exact = load_drift(loads(number, after=1.08, order=order))
    assert exact.drift == pytest.approx(0, abs=1e-12)
    assert judged(loads(number, after=1.08, order=order)).word == "worse"


def test_a_drift_is_seen_although_the_side_after_does_more():
    """Without the side beside it 8 % would be noise: t would be 3.0, and p 0.013."""
    runs = loads(3, drift=0.13, noise=0.01, after=1.08)
    place = np.arange(12)
    alone = stats.linregress(place, np.log([load for _, load in runs]))
    assert alone.pvalue > ALPHA
    assert load_drift(runs).drifts


# --- The arithmetic ------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.floats(1, 1e6)), min_size=6, max_size=24))
def test_the_line_is_that_of_least_squares(runs):
    of_after = [side for side, _ in runs]
    if min(of_after.count(True), of_after.count(False)) < 2:
        return
    place = np.arange(len(runs))
    design = np.column_stack([np.ones(len(runs)), place, of_after])
    logs = np.log([load for _, load in runs])
    fitted, *_ = np.linalg.lstsq(design, logs, rcond=None)
    left = logs - design @ fitted
    freedom = len(runs) - 3
    variance = left @ left / freedom * np.linalg.inv(design.T @ design)[1, 1]
    found = load_drift(runs)
    assert math.log1p(found.drift) == pytest.approx(fitted[1] * (len(runs) - 1), abs=1e-6)
    if variance > 1e-12:
        assert found.p == pytest.approx(
            2 * stats.t.sf(abs(fitted[1]) / math.sqrt(variance), freedom), abs=1e-4
        )


@given(blocks, seeds, st.sampled_from([1e-6, 60.0, 1e9]))
def test_neither_the_unit_nor_the_direction_means_anything(number, seed, unit):
    runs = loads(number, drift=0.1, noise=0.05, seed=seed)
    one = load_drift(runs)
    other = load_drift([(side, load * unit) for side, load in runs])
    assert (other.drift, other.p) == (pytest.approx(one.drift), pytest.approx(one.p))
    backwards = load_drift(runs[::-1])
    assert (1 + backwards.drift) * (1 + one.drift) == pytest.approx(1)
    assert backwards.p == pytest.approx(one.p)
    assert backwards.variation == pytest.approx(one.variation)


def test_a_load_that_is_one_number_has_no_drift():
    assert load_drift(loads(3)) == LoadDrift(0.0, 1.0, 0.0)


def test_a_line_that_is_met_exactly_is_no_chance():
    found = load_drift([(side, math.e**place) for place, side in enumerate(ABBA)])
    assert (found.drift, found.p) == (pytest.approx(math.e**3 - 1), 0.0)


def test_a_run_without_a_load_has_no_logarithm():
    nothing = [(side, 0.0) for side in sides_in_order(3)]
    assert load_drift(nothing) == LoadDrift(None, None, 0.0)
    found = load_drift([(False, 0.0), *loads(3)[1:]])
    assert (found.drift, found.p, found.drifts) == (None, None, False)
    assert found.varies


# --- What varies ---------------------------------------------------------------------------------------------


def by_rounds(*levels):
    return [(side, 1000 * level) for level in levels for side in ABBA]


def test_a_load_that_comes_and_goes_varies():
    """It goes back to where it was: there is no trend."""
    runs = by_rounds(1, 1.3, 1)
    assert not load_drift(runs).drifts
    verdict = judged(runs)
    assert (verdict.word, verdict.anew) == ("inconclusive", "record again under a steady load")
    assert verdict.reason == (
        "the load varied too much between the runs of one side: by 14.1% (standard deviation over mean), and two "
        "sides may differ by 10%"
    )


@pytest.mark.parametrize(("middle", "varies"), [(1.2, False), (1.21, True)])
def test_the_edge_of_what_varies(middle, varies):
    """Of 6 runs, 2 of which do 20 % more, the standard deviation is 9.7 % of the mean."""
    assert load_drift(by_rounds(1, middle, 1)).varies == varies


def test_one_side_that_varies_is_enough():
    runs = loads(3)
    runs[1] = (True, 1400.0)
    assert load_drift(runs).variation == pytest.approx(0.4 / math.sqrt(6) / (1 + 0.4 / 6))
    assert load_drift(runs).varies


# --- Comparisons ---------------------------------------------------------------------------------------------


def under(drift):
    """Makes runs whose commands do more from run to run, and whose drops per request are what is asked for."""

    def make(per_request, at):
        work = round(1000 * (1 + drift * at / 20 / 11))
        return run(drops(round(per_request * work / 100)), at=at, work=(work, "requests"))

    return make


def test_the_same_change_has_a_verdict_under_a_steady_load_alone():
    steady = compared(*in_blocks([100] * 6, [150] * 6, under(0.0)))
    assert steady["verdict"] == "worse"
    assert steady["load"] | {"before": 0, "after": 0} == {
        "unit": "requests", "before": 0, "after": 0, "differs": False,
        "drift": pytest.approx(0), "drifts": False, "variation": pytest.approx(0), "varies": False,
    }  # fmt: skip
    grown = compared(*in_blocks([100] * 6, [150] * 6, under(0.3)))
    assert grown["design"]["kind"] == "abba"
    assert grown["verdict"] == grown["tables"][0]["verdict"] == "inconclusive"
    assert grown["tables"][0]["shift"] == pytest.approx(1.5, rel=0.01)
    assert grown["reason"].startswith("the load drifted by +29.")
    assert grown["anew"] == "record again under a steady load"
    assert (grown["load"]["drift"], grown["load"]["drifts"]) == (pytest.approx(0.31, abs=0.02), True)
    assert grown["load"]["differs"] is False


def test_events_are_a_load_that_may_drift():
    def make(number, at):
        return run(latency([number] * (1000 + at)), at=at, primary=LOG2)

    grown = compared(*in_blocks([1000] * 6, [2000] * 6, make))
    assert grown["load"]["unit"] == "events"
    assert grown["reason"].startswith("the load drifted by +2")


def test_an_outcome_that_drifts_under_a_steady_load_has_its_verdict():
    """30 % from the first run to the last: what the order of ABBA is for."""

    def make(number, at):
        return run(drops(round(number * (1 + 0.3 * at / 220))), at=at, work=(1000, "requests"))

    document = compared(*in_blocks([1000] * 6, [1500] * 6, make))
    assert (document["verdict"], document["load"]["drifts"]) == ("worse", False)


def test_unpaired_runs_are_held_against_their_means_alone():
    document = compared(*in_turns([100] * 6, [150] * 6, under(0.6)))
    assert document["design"]["kind"] == "unpaired"
    assert document["verdict"] == "worse"
    assert (document["load"]["drift"], document["load"]["drifts"]) == (None, False)
    assert (document["load"]["variation"], document["load"]["varies"]) == (None, False)


@pytest.mark.parametrize(("work", "seconds", "is_known"), [(10**300, 10.0, True), (10**306, 1e-3, False)])
def test_loads_that_nobody_had_end_no_comparison(work, seconds, is_known):
    def make(number, at):
        return run(drops(number), at=at, seconds=seconds, work=(work if at > 100 else 1, "requests"))

    document = compared(*in_blocks([100] * 6, [150] * 6, make))
    assert (document["load"] is not None) == is_known
    assert document["verdict"] == "inconclusive"


def test_no_gate_that_compares_is_decided_by_them():
    gates = [parse_condition("drops.rate not worse by 10%"), parse_condition("drops.total >= 1")]
    document = compared(*in_blocks([100] * 6, [150] * 6, under(0.3)), gates=gates)
    not_worse, amount = document["gates"]
    assert (not_worse["verdict"], not_worse["counts_as"]) == ("inconclusive", "fail")
    assert not_worse["reason"].startswith("the load drifted by +29.")
    assert amount["verdict"] == "pass"


def test_every_primary_outcome_is_without_a_verdict():
    def make(number, at):
        grown = 1000 + at
        tables = [latency([number] * grown), drops(number * grown)]
        return run(*tables, at=at, primary=LOG2, work=(grown, "requests"))

    primaries = [parse_subject(each, what="--primary") for each in ("drops.rate", "latency.mean-log2")]
    document = compared(*in_blocks([1000] * 6, [2000] * 6, make), primaries=primaries)
    rows = [row for row in document["tables"] if row["primary"]]
    assert [row["verdict"] for row in rows] == ["inconclusive"] * 2
    assert all(row["reason"].startswith("the load drifted by ") for row in rows)


def test_markdown_and_junit_say_it():
    document = compared(*in_blocks([100] * 6, [150] * 6, under(0.3)))
    said = f"it drifted by +{100 * document['load']['drift']:.1f}% from the first run to the last"
    assert said in markdown_of_comparison(document)
    assert said.encode() in junit_of_comparison(document)

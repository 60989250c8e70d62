"""Verdicts: each decision, its edge, and what must not change one."""

import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.compare.equivalence import p_beyond, p_same
from runner.compare.load import Loads
from runner.compare.margin import Margin
from runner.compare.one_run import judge_windows
from runner.compare.permutation import Block, permutation_test
from runner.compare.planning import can_decide, least_runs, runs_to_decide
from runner.compare.primaries import Asked, judge_primaries, together
from runner.compare.verdict import Question, judge, judge_bounds

STEADY = (100.0, 100.5, 99.5, 100.2, 99.8)
LOWER = Question("lower", Margin.ratio())
HIGHER = Question("higher", Margin.ratio())
NEUTRAL = Question("neutral", Margin.ratio())
SIDE = st.lists(st.integers(900, 1400).map(float), min_size=5, max_size=6).map(tuple)


def times(factor, runs=STEADY):
    return tuple(value * factor for value in runs)


def verdict(before, after, question=LOWER, loads=None):
    return judge([Block(before, after)], question, loads)


@pytest.mark.parametrize(
    ("question", "more", "less"),
    [(LOWER, "worse", "better"), (HIGHER, "better", "worse"), (NEUTRAL, "changed", "changed")],
)
def test_beyond_the_margin_the_direction_decides(question, more, less):
    assert verdict(STEADY, times(1.25), question).word == more
    assert verdict(STEADY, times(0.75), question).word == less


def test_inside_the_margin_it_is_the_same_however_clear_the_difference():
    found = verdict(STEADY, times(1.05))
    assert found.word == "same"
    assert found.p == 2 / 252
    assert "inside the margin of ±10%" in found.reason


def test_a_clear_difference_that_may_lie_inside_the_margin_is_inconclusive():
    found = verdict(STEADY, times(1.1))
    assert (found.word, found.p) == ("inconclusive", 2 / 252)
    assert "perhaps by no more than the margin" in found.reason


def test_noise_is_inconclusive_and_says_how_many_runs_it_takes():
    noisy = (80.0, 95.0, 100.0, 105.0, 120.0)
    found = verdict(noisy, times(1.02, noisy))
    assert found.word == "inconclusive"
    assert "neither a difference nor its absence" in found.reason
    assert found.runs is None
    assert "more runs are no help" in found.anew
    found = verdict(times(0.5, STEADY), (40.0, 52.0, 55.0, 47.0, 58.0))
    assert (found.word, found.runs) == ("inconclusive", 30)
    assert "record 30 new runs of each side and judge those alone" in found.anew


def test_the_edge_of_the_margin_is_where_the_interval_ends():
    """With 5 runs a side all of them have to lie beyond: the least ratio is min(after) / max(before)."""
    least = min(STEADY) / max(STEADY)
    for factor, word in ((1.1 / least * 1.0001, "worse"), (1.1 / least * 0.9999, "inconclusive")):
        assert verdict(STEADY, times(factor)).word == word


def test_the_edge_of_the_same_is_where_both_tests_end():
    """With 5 runs a side one more arrangement than the observed one may be as extreme (2 of 252)."""
    low, high = 0.9, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if verdict(STEADY, times(middle)).word == "same" else (middle, high)
    test = permutation_test([Block(STEADY, times(high))], "ratio")
    assert test.p_greater(0.9) == 2 / 252
    assert sorted(test.greater)[1] == pytest.approx(0.9)


def test_alpha_has_its_edge():
    block = [Block(STEADY, times(1.5))]
    exact = Question("lower", Margin.ratio(), alpha=2 / 252)
    assert judge(block, exact).word == "worse"
    assert judge(block, Question("lower", Margin.ratio(), alpha=2 / 252 - 1e-9)).word == "inconclusive"


@pytest.mark.parametrize("counts", [(4, 4), (1, 5), (4, 20), (3, 5)])
def test_too_few_runs_are_the_answer(counts):
    before, after = (tuple(100.0 + place / 10 for place in range(count)) for count in counts)
    found = verdict(before, times(5, after))
    assert found.word == "inconclusive"
    assert f"{counts[0]} runs before and {counts[1]} after cannot carry a decision" in found.reason
    assert found.runs == 5
    assert "5 new runs of each side" in found.anew


def test_one_run_against_one_is_inconclusive():
    found = verdict((100.0,), (500.0,))
    assert found.word == "inconclusive"
    assert "one run against one" in found.reason


def test_blocks_of_abba_decide_from_three_on():
    blocks = [Block((100.0 + drift, 101.0 + drift), (150.0 + drift, 151.0 + drift)) for drift in (0, 40, 80)]
    question = Question("lower", Margin.amount(10))
    found = judge(blocks, question)
    assert (found.word, found.p) == ("worse", 2 / 216)
    few = judge(blocks[:2], question)
    assert few.word == "inconclusive"
    assert "in 2 blocks cannot carry a decision" in few.reason
    assert few.runs == 6
    unpaired = judge(
        [Block(*(sum(sides, ()) for sides in ([b.before for b in blocks], [b.after for b in blocks])))],
        question,
    )
    assert unpaired.word == "inconclusive"


def test_pairs_need_eight():
    pairs = [Block((100.0 + 30 * place,), (200.0 + 30 * place,)) for place in range(8)]
    question = Question("lower", Margin.amount(10))
    assert judge(pairs, question).word == "worse"
    assert "p is 0.016 or more" in judge(pairs[:7], question).reason


@pytest.mark.parametrize(
    ("sizes", "can"),
    [
        ([(5, 5)], True), ([(4, 4)], False), ([(4, 30)], False), ([(5, 30)], True), ([(2, 2)] * 3, True),
        ([(2, 2)] * 2, False), ([(3, 3)] * 2, False), ([(1, 1)] * 7, False), ([(1, 1)] * 8, True),
        ([(1, 2)] * 5, False), ([(2, 1)] * 6, True),
    ],
)  # fmt: skip
def test_which_numbers_of_runs_can_decide(sizes, can):
    assert can_decide(sizes, 0.01) == can


@pytest.mark.parametrize(
    ("alpha", "unpaired", "in_blocks"), [(0.01, 5, 6), (0.005, 6, 8), (0.05, 5, 6), (0.001, 7, 10)]
)
def test_the_least_number_of_runs(alpha, unpaired, in_blocks):
    assert least_runs(alpha, in_blocks=False) == unpaired
    assert least_runs(alpha, in_blocks=True) == in_blocks


def test_the_plan_has_its_power():
    """Of new runs as many as planned, about 80 % say what the plan supposed."""
    chance = random.Random(5)  # noqa: S311
    before = (97.0, 100.0, 103.0, 98.0, 102.0)
    blocks = [Block(before, times(1.16, before))]
    runs = runs_to_decide(blocks, Margin.ratio(), 0.01)
    assert runs == 7
    deviation = math.sqrt(sum((value - 100) ** 2 for value in before) * (1 + 1.16**2) / 8)
    said = 0
    for _ in range(200):
        new = [tuple(chance.gauss(mean, deviation) for _ in range(runs)) for mean in (100, 116)]
        said += verdict(*new).word == "worse"
    assert 0.65 <= said / 200 <= 0.95


def test_the_load_comes_first():
    loads = Loads((1000.0, 1010.0), (1115.0, 1120.0), "requests")
    found = verdict(STEADY, times(2), loads=loads)
    assert found.word == "inconclusive"
    assert found.reason == ("the load differs: 1,005 requests per second before, 1,118 after (+11.2%)")
    assert found.effect == pytest.approx(2)


@pytest.mark.parametrize(("after", "differ"), [(110.0, False), (110.1, True), (91.0, False), (90.0, True)])
def test_the_load_may_differ_by_a_tenth(after, differ):
    assert Loads((100.0,), (after,)).differ == differ
    assert Loads((after,), (100.0,)).differ == differ


def test_a_load_of_nothing():
    assert Loads((0.0,), (5.0,)).differ
    assert "0 events per second before" in Loads((0.0,), (5.0,)).in_words()
    assert not Loads((0.0,), (0.0,)).differ


def test_nothing_on_either_side_is_no_answer():
    found = verdict((0.0,) * 5, (0.0,) * 5)
    assert found.word == "inconclusive"
    assert "a part of nothing is no margin" in found.reason
    absolute = judge([Block((0.0,) * 5, (0.0,) * 5)], Question("lower", Margin.share()))
    assert (absolute.word, absolute.p_same) == ("same", 1 / 252)


def test_from_nothing_to_something_is_worse():
    found = verdict((0.0,) * 5, STEADY)
    assert (found.word, found.effect) == ("worse", math.inf)
    assert "from nothing to something" in found.reason
    assert verdict(STEADY, (0.0,) * 5).word == "better"


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE, st.sampled_from([5.0, 50.0, 150.0]))
def test_swapping_the_sides_swaps_better_and_worse(before, after, amount):
    question = Question("lower", Margin.amount(amount))
    one, other = (judge([Block(*sides)], question) for sides in ((before, after), (after, before)))
    swapped = {"better": "worse", "worse": "better"}
    assert other.word == swapped.get(one.word, one.word)
    assert (other.p, other.p_beyond, other.p_same) == (one.p, one.p_beyond, one.p_same)


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE)
def test_a_relative_margin_never_says_better_both_ways(before, after):
    words = {verdict(before, after).word, verdict(after, before).word}
    assert words not in ({"better"}, {"worse"})
    assert not {"better", "same"} <= words or not {"worse"} & words


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE, st.sampled_from([0.001, 7.0, 1e6]))
def test_the_unit_means_nothing_to_a_relative_margin(before, after, factor):
    one, other = verdict(before, after), verdict(times(factor, before), times(factor, after))
    assert (one.word, one.p, one.p_beyond, one.p_same) == (other.word, other.p, other.p_beyond, other.p_same)


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE, st.randoms(use_true_random=False))
def test_the_order_of_runs_means_nothing(before, after, chance):
    mixed = [tuple(chance.sample(side, len(side))) for side in (before, after)]
    one, other = verdict(before, after), verdict(*mixed)
    assert (one.word, one.p, one.runs) == (other.word, other.p, other.runs)


@settings(max_examples=50, deadline=None)
@given(SIDE, SIDE, st.floats(0.02, 0.4))
def test_words_agree_with_the_interval(before, after, relative):
    margin = Margin.ratio(relative)
    found = judge([Block(before, after)], Question("lower", margin))
    lower, upper = found.interval
    assume(abs(lower - margin.upper) > 1e-9)
    assume(abs(upper - margin.lower) > 1e-9)
    assert (found.word == "worse") == (lower > margin.upper)
    assert (found.word == "better") == (upper < margin.lower)
    if margin.lower < lower <= upper < margin.upper:
        assert found.word == "same"


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, st.sampled_from([50.0, 200.0]))
def test_the_two_one_sided_tests_are_those_of_scipy(before, after, amount):
    margin = Margin.amount(amount)

    def p(supposed, alternative):
        shifted = [value - supposed for value in after]
        found = stats.permutation_test(
            (before, shifted), lambda one, other, axis: np.mean(other, axis=axis) - np.mean(one, axis=axis),
            vectorized=True, n_resamples=math.inf, alternative=alternative,
        )  # fmt: skip
        return found.pvalue

    test = permutation_test([Block(before, after)], "difference")
    below, above = p(margin.upper, "less"), p(margin.lower, "greater")
    assert p_same(test, margin) == pytest.approx(max(below, above))
    assert p_beyond(test, margin)[1] == pytest.approx(min(1, 2 * p(margin.upper, "greater")))


def test_normal_runs_decide_much_as_welch_does():
    """p is near that of Welch's t, which is right for normal runs."""
    chance = random.Random(3)  # noqa: S311
    apart = []
    for _ in range(100):
        before, after = (tuple(chance.gauss(mean, 5) for _ in range(7)) for mean in (100, 104))
        found = permutation_test([Block(before, after)], "difference").p(0)
        apart.append(abs(found - stats.ttest_ind(after, before, equal_var=False).pvalue))
    assert max(apart) < 0.08
    assert sum(apart) / len(apart) < 0.015


def asked(blocks, question):
    return Asked(blocks, blocks, question)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["same", "worse"], "worse"),
        (["inconclusive", "worse"], "worse"),
        (["better", "worse"], "changed"),
        (["better", "same"], "better"),
        (["changed", "better"], "changed"),
        (["same", "same"], "same"),
        (["same", "inconclusive"], "inconclusive"),
    ],
)
def test_several_primaries_give_one_verdict(words, word):
    assert together(words) == word


def test_holm_asks_more_of_several_primaries():
    clear = asked([Block(STEADY, times(1.5))], LOWER)
    assert clear.verdict(None, LOWER.alpha).word == "worse"
    two = judge_primaries([clear, clear])
    assert [each.word for each in two] == ["inconclusive"] * 2
    assert "p is 0.0079 or more, and 0.005 is asked for" in two[0].reason
    assert "6 new runs of each side" in two[0].anew
    six = (*STEADY, 100.1)
    clear = asked([Block(six, times(1.5, six))], LOWER)
    unclear = asked([Block(six, (90.0, 105.0, 120.0, 100.0, 101.0, 99.0))], LOWER)
    assert [each.word for each in judge_primaries([unclear, clear])] == ["inconclusive", "worse"]
    assert [each.word for each in judge_primaries([clear])] == ["worse"]
    assert judge_primaries([]) == []


def test_the_second_of_two_primaries_is_judged_at_the_whole_level():
    six, seven = tuple(map(float, range(100, 106))), tuple(map(float, range(200, 207)))
    # Of 924 arrangements 4 are as extreme: 8/924 lies between alpha/2 and alpha.
    partly = (106.0, 107.0, 108.0, 109.0, 104.5, 104.2)
    question = Question("lower", Margin.amount(0))
    alone = judge([Block(six, partly)], question)
    assert 0.005 < alone.p_beyond <= 0.01
    near = asked([Block(six, partly)], question)
    clear = asked([Block(seven, times(2, seven))], question)
    assert [each.word for each in judge_primaries([near, clear])] == ["worse", "worse"]
    twice = judge_primaries([near] * 2)
    assert [each.word for each in twice] == ["inconclusive"] * 2


def blocks_of(least, most):
    return [Block(*least)], [Block(*most)]


def test_a_threshold_inside_a_bucket_needs_both_ends_to_agree():
    question = Question("lower", Margin.share())
    low, high = (0.010, 0.011, 0.012, 0.010, 0.011), (0.030, 0.031, 0.032, 0.030, 0.031)
    both = judge_bounds(*blocks_of((low, high), (high, times(3, high))), question)
    assert both.word == "worse"
    assert re.search(
        "by the (lower|upper) bounds of the runs; by the (upper|lower) ones it is so too$", both.reason
    )
    assert both.effect in (pytest.approx(0.02, abs=1e-3), pytest.approx(0.0616, abs=1e-3))
    one = judge_bounds(*blocks_of((low, low), (low, high)), question)
    assert one.word == "inconclusive"
    assert "by the lower ones it is same, by the upper worse" in one.reason
    none = judge_bounds(*blocks_of((low, low[:1]), (low, high[:1])), question)
    assert none.word == "inconclusive"
    assert "cannot carry" in none.reason


def test_fractions_are_numbers_too():
    before = tuple(Fraction(each, 1000) for each in (10, 11, 12, 13, 14))
    after = tuple(Fraction(each, 1000) for each in (30, 31, 32, 33, 34))
    assert judge([Block(before, after)], Question("higher", Margin.share())).word == "better"


def windows(count, mean, seed):
    chance = random.Random(seed)  # noqa: S311
    return [chance.gauss(mean, 3) for _ in range(count)]


def test_windows_of_one_run_decide_nothing_however_clear():
    found = judge_windows(windows(60, 100, 1), windows(60, 200, 2), LOWER)
    assert found.word == "inconclusive"
    assert "one run against one" in found.reason
    assert "windows are worth" in found.reason
    assert "Within these two runs alone: +9" in found.reason
    assert "5 new runs of each side" in found.anew
    assert found.effect == pytest.approx(2, abs=0.05)


def test_windows_that_are_worth_too_few_say_nothing():
    rising = [100.0 + place for place in range(60)]
    found = judge_windows(rising, windows(60, 100, 1), LOWER)
    assert "too few to say anything" in found.reason
    found = judge_windows(windows(5, 100, 1), windows(60, 100, 2), LOWER)
    assert "its windows are too few to say anything" in found.reason
    found = judge_windows(windows(60, 100, 1), windows(60, 200, 2), LOWER, Loads((1.0,), (2.0,)))
    assert found.reason.startswith("the load differs")


@pytest.mark.parametrize(
    ("margin", "effect", "words"),
    [
        (Margin.ratio(), 1.248, "+24.8%"),
        (Margin.ratio(), 0.5, "-50%"),
        (Margin.share(), -0.0031, "-0.31 percentage points"),
        (Margin.octaves(), 1.0, "times 2"),
        (Margin.amount(3), -2.5, "-2.5"),
        (Margin.ratio(), 1.0, "+0%"),
    ],
)
def test_effects_in_words(margin, effect, words):
    assert margin.effect_in_words(effect) == words


@pytest.mark.parametrize(
    ("margin", "interval", "words"),
    [
        (Margin.share(), (0.001, 0.02), "+0.1 to +2 percentage points"),
        (Margin.octaves(), (-1.0, 1.0), "times 0.5 to 2"),
        (Margin.ratio(), (-math.inf, math.inf), "anything"),
        (Margin.ratio(), (1.2, math.inf), "+20% or more"),
        (Margin.amount(1), (-math.inf, 2.0), "+2 or less"),
        (Margin.ratio(), (math.inf, math.inf), "above any multiple"),
    ],
)
def test_intervals_in_words(margin, interval, words):
    assert margin.interval_in_words(interval) == words


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (Margin.ratio(), "±10%"),
        (Margin.share(), "±0.5 percentage points"),
        (Margin.octaves(), "a factor of 1.1"),
        (Margin.amount(3), "±3"),
    ],
)
def test_margins_in_words(margin, words):
    assert margin.in_words() == words

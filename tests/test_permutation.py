"""Permutation tests: scipy is the oracle, and what must not depend on names, order or unit."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from runner.compare import exchange
from runner.compare.exchange import SAMPLED, arrangements, exchanges, is_sampled, least_p
from runner.compare.permutation import Block, observed_effect, permutation_test
from runner.errors import ValueRefused

WHOLE = st.integers(0, 6).map(float)
SIDE = st.lists(WHOLE, min_size=2, max_size=5).map(tuple)
POSITIVE = st.lists(st.integers(1, 50).map(float), min_size=2, max_size=5).map(tuple)


def difference(one, other, axis=-1):
    return np.mean(other, axis=axis) - np.mean(one, axis=axis)


def scipy_p(before, after, alternative):
    found = stats.permutation_test(
        (before, after), difference, vectorized=True, n_resamples=math.inf, alternative=alternative
    )
    return found.pvalue


@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE)
def test_unpaired_p_values_are_those_of_scipy_ties_included(before, after):
    found = permutation_test([Block(before, after)], "difference")
    assert found.p(0) == pytest.approx(scipy_p(before, after, "two-sided"))
    assert found.p_greater(0) == pytest.approx(scipy_p(before, after, "greater"))
    assert found.p_less(0) == pytest.approx(scipy_p(before, after, "less"))


@settings(max_examples=60, deadline=None)
@given(SIDE, SIDE, st.integers(-4, 4))
def test_a_supposed_effect_is_the_test_of_shifted_runs(before, after, effect):
    shifted = tuple(value - effect for value in after)
    found = permutation_test([Block(before, after)], "difference")
    assert found.p_greater(effect) == pytest.approx(scipy_p(before, shifted, "greater"))
    assert found.p_less(effect) == pytest.approx(scipy_p(before, shifted, "less"))


@settings(max_examples=60, deadline=None)
@given(POSITIVE, POSITIVE, st.sampled_from([0.5, 0.75, 1.0, 1.25, 2.0]))
def test_a_supposed_ratio_is_the_test_of_scaled_runs(before, after, ratio):
    scaled = tuple(value * ratio for value in before)
    found = permutation_test([Block(before, after)], "ratio")
    assert found.p_greater(ratio) == pytest.approx(scipy_p(scaled, after, "greater"))
    assert found.p_less(ratio) == pytest.approx(scipy_p(scaled, after, "less"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SIDE, SIDE), min_size=2, max_size=2))
def test_within_blocks_every_arrangement_counts_once(pairs):
    """By hand: every way to call as many runs of each block `after` as there were, ties counted."""
    import itertools

    sums = [Fraction(0)]
    for before, after in pairs:
        values = [Fraction(value) for value in (*before, *after)]
        chosen = [sum(each) for each in itertools.combinations(values, len(after))]
        sums = [one + other for one in sums for other in chosen]
    observed = sum(Fraction(value) for _, after in pairs for value in after)
    found = permutation_test([Block(*pair) for pair in pairs], "difference")
    assert len(found.greater) + 1 == len(sums)
    assert found.p_greater(0) == pytest.approx(sum(each >= observed for each in sums) / len(sums))
    assert found.p_less(0) == pytest.approx(sum(each <= observed for each in sums) / len(sums))


@settings(deadline=None)
@given(SIDE, SIDE)
def test_swapping_the_sides_leaves_p_and_turns_the_effect(before, after):
    one = permutation_test([Block(before, after)], "difference")
    other = permutation_test([Block(after, before)], "difference")
    assert one.p(0) == other.p(0)
    assert one.p_greater(2) == other.p_less(-2)
    assert one.effect == pytest.approx(-other.effect)
    assert one.interval(0.2) == pytest.approx([-bound for bound in reversed(other.interval(0.2))])


@settings(deadline=None)
@given(SIDE, SIDE, st.randoms(use_true_random=False))
def test_the_order_of_runs_means_nothing(before, after, chance):
    one = permutation_test([Block(before, after)], "difference")
    mixed = Block(tuple(chance.sample(before, len(before))), tuple(chance.sample(after, len(after))))
    other = permutation_test([mixed], "difference")
    assert (one.p(0), one.p(1), one.interval(0.1)) == (other.p(0), other.p(1), other.interval(0.1))


@settings(deadline=None)
@given(POSITIVE, POSITIVE, st.sampled_from([0.125, 3.0, 1e-9, 1e12]))
def test_the_unit_means_nothing(before, after, factor):
    scaled = Block(*(tuple(value * factor for value in side) for side in (before, after)))
    one, other = (permutation_test([each], "difference") for each in (Block(before, after), scaled))
    assert one.p(0) == other.p(0)
    assert other.effect == pytest.approx(one.effect * factor, abs=1e-12 * factor)
    one, other = (permutation_test([each], "ratio") for each in (Block(before, after), scaled))
    assert (one.p(1), one.p(1.1)) == (other.p(1), other.p(1.1))
    assert other.effect == pytest.approx(one.effect)


def test_p_is_never_less_than_one_arrangement():
    for scale in ("difference", "ratio"):
        found = permutation_test([Block((1.0,) * 5, (100.0,) * 5)], scale)
        assert found.p(found.effect * 0 + (1 if scale == "ratio" else 0)) == 2 / 252
        assert found.p_greater(-1e9) == 1 / 252


def test_sums_that_only_rounding_tells_apart_are_ties():
    before, after = (0.1, 0.3, 0.2), (0.2, 0.1, 0.3)
    assert permutation_test([Block(before, after)], "difference").p(0) == 1


def test_the_interval_is_what_is_not_refuted():
    chance = random.Random(4)  # noqa: S311
    for count in (5, 6, 7):
        block = Block(
            tuple(chance.gauss(10, 1) for _ in range(count)), tuple(chance.gauss(11, 1) for _ in range(count))
        )
        for scale in ("difference", "ratio"):
            found = permutation_test([block], scale)
            lower, upper = found.interval(0.01)
            assert lower < found.effect < upper
            assert found.p(lower - 1e-6) <= 0.01 < found.p(lower + 1e-6)
            assert found.p(upper + 1e-6) <= 0.01 < found.p(upper - 1e-6)


def test_the_interval_holds_the_true_effect_as_often_as_it_says():
    chance = random.Random(7)  # noqa: S311
    missed = 0
    for _ in range(2000):
        before = tuple(chance.expovariate(1) for _ in range(5))
        after = tuple(chance.expovariate(1) + 3 for _ in range(5))
        lower, upper = permutation_test([Block(before, after)], "difference").interval(0.05)
        missed += not lower <= 3 <= upper
    # 12 of 252 arrangements are within alpha: 4.76 %; five standard deviations of 2000 trials above.
    assert missed <= 2000 * (0.0476 + 5 * 0.0048)


def test_with_too_few_runs_the_interval_is_everything():
    found = permutation_test([Block((1.0, 2.0, 3.0, 4.0), (11.0, 12.0, 13.0, 14.0))], "difference")
    assert found.interval(0.01) == (-math.inf, math.inf)
    assert found.least == pytest.approx(2 / 70)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [([(5, 5)], 252), ([(4, 4)], 70), ([(2, 2)] * 3, 216), ([(1, 1)] * 8, 256), ([(5, 6)], 462)],
)
def test_how_many_arrangements_and_what_p_they_reach(sizes, count):
    assert arrangements(sizes) == count
    assert least_p(sizes) == 2 / count
    before = [list(map(float, range(one))) for one, _ in sizes]
    after = [list(map(float, range(other))) for _, other in sizes]
    assert len(list(exchanges(before, after))) == count - 1


def test_two_hundred_thousand_arrangements_are_the_edge():
    assert not is_sampled([(10, 10)])
    assert is_sampled([(11, 11)])
    assert not is_sampled([(2, 2)] * 6)
    assert is_sampled([(2, 2)] * 7)


def test_a_sample_says_what_all_arrangements_say(monkeypatch):
    chance = random.Random(3)  # noqa: S311
    for sizes in ([(9, 9)], [(2, 2)] * 6):
        blocks = [
            Block(
                tuple(chance.gauss(10, 1) for _ in range(before)),
                tuple(chance.gauss(10.4, 1) for _ in range(after)),
            )
            for before, after in sizes
        ]
        whole = permutation_test(blocks, "difference")
        with monkeypatch.context() as patch:
            patch.setattr(exchange, "MOST_ENUMERATED", 10)
            drawn = permutation_test(blocks, "difference")
        assert len(drawn.greater) == SAMPLED
        for effect in (-0.3, 0.0, 0.5):
            error = math.sqrt(whole.p_greater(effect) / SAMPLED)
            assert abs(drawn.p_greater(effect) - whole.p_greater(effect)) <= 4 * error + 1 / SAMPLED
            error = math.sqrt(whole.p_less(effect) / SAMPLED)
            assert abs(drawn.p_less(effect) - whole.p_less(effect)) <= 4 * error + 1 / SAMPLED


def test_a_sample_is_the_same_each_time_and_p_is_not_zero():
    block = Block(tuple(map(float, range(12))), tuple(float(100 + each) for each in range(12)))
    one, other = (permutation_test([block], "difference") for _ in range(2))
    assert one.greater == other.greater
    assert one.p(0) == 2 / (SAMPLED + 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=3))
def test_the_effect_in_blocks_is_that_of_least_squares(pairs):
    rows, values = [], []
    for place, (before, after) in enumerate(pairs):
        for side, runs in enumerate((before, after)):
            for value in runs:
                rows.append([float(side), *(float(place == each) for each in range(len(pairs)))])
                values.append(value)
    fitted = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0][0]
    blocks = [Block(*pair) for pair in pairs]
    assert observed_effect(blocks, "difference") == pytest.approx(fitted, abs=1e-9)


def test_nothing_and_something_have_no_finite_ratio():
    nothing = (0.0,) * 5
    assert permutation_test([Block(nothing, nothing)], "ratio").p(1) == 1
    something = permutation_test([Block(nothing, (3.0, 4.0, 5.0, 6.0, 7.0))], "ratio")
    assert something.effect == math.inf
    assert something.p(1) == 2 / 252
    gone = permutation_test([Block((3.0, 4.0, 5.0, 6.0, 7.0), nothing)], "ratio")
    assert (gone.effect, gone.p(1), gone.interval(0.01)) == (0, 2 / 252, (0, 0))


def test_a_comparison_needs_runs_of_both_sides_and_a_ratio_none_below_zero():
    for blocks in ([], [Block((1.0,), ())], [Block((1.0,), (1.0,)), Block((), (1.0,))]):
        with pytest.raises(ValueRefused, match="runs of both sides"):
            permutation_test(blocks, "difference")
    with pytest.raises(ValueRefused, match="-2 is below zero"):
        permutation_test([Block((1.0,), (-2.0,))], "ratio")

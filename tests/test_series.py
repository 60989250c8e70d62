"""The windows of one run: drift and autocorrelation are found where they are, and only there."""

import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.compare.series import LEAST_WINDOWS, block_means, series


def autoregression(chance, count, correlation, drift=0.0):
    value = chance.gauss(0, 1)
    found = []
    for place in range(count):
        value = correlation * value + math.sqrt(1 - correlation**2) * chance.gauss(0, 1)
        found.append(100 + value + drift * place / (count - 1))
    return found


def many(correlation, count, drift=0.0):
    chance = random.Random(11)  # noqa: S311
    return [series(autoregression(chance, count, correlation, drift)) for _ in range(200)]


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("count", [60, 200])
def test_windows_are_worth_what_theory_says_of_them(correlation, count):
    found = many(correlation, count)
    true = count * (1 - correlation) / (1 + correlation)
    assert 0.75 * true <= fmean(each.effective for each in found) <= 1.1 * true
    assert fmean(each.autocorrelation for each in found) == pytest.approx(correlation, abs=0.05)
    assert all(each.block_length >= each.correlation_length for each in found)


def test_autocorrelation_is_found_where_it_is():
    assert sum(each.has_autocorrelation for each in many(0.5, 60)) >= 150
    assert sum(each.has_autocorrelation for each in many(0.0, 60)) <= 8


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_drift_is_found_where_it_is(correlation):
    drifting = many(correlation, 60, drift=20.0)
    assert all(each.has_drift for each in drifting)
    assert fmean(each.drift for each in drifting) == pytest.approx(20, abs=1)
    assert sum(each.has_drift for each in many(correlation, 60)) <= 10


def test_windows_that_drift_are_worth_few():
    assert max(each.effective for each in many(0.0, 60, drift=20.0)) < 5


def test_fewer_than_eight_windows_say_nothing_of_themselves():
    found = series([1.0, 2.0] * (LEAST_WINDOWS // 2 - 1))
    assert (found.mean, found.windows) == (1.5, LEAST_WINDOWS - 2)
    assert found.drift is found.autocorrelation is found.effective is found.block_length is None
    assert not found.has_drift
    assert not found.has_autocorrelation


def test_windows_that_are_all_equal_and_those_on_a_line():
    flat = series([3.0] * 20)
    assert (flat.drift, flat.effective, flat.block_length) == (0, 20, 1)
    line = series([float(place) for place in range(20)])
    assert line.drift == pytest.approx(19)
    assert line.has_drift


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.5, 100), st.floats(-1e3, 1e3))
def test_unit_and_origin_mean_nothing(values, factor, origin):
    one, other = series(values), series([value * factor + origin for value in values])
    assert other.mean == pytest.approx(one.mean * factor + origin, rel=1e-6, abs=1e-6)
    if one.effective is not None and max(values) - min(values) > 1:
        assert 1 <= one.effective <= len(values)
        assert other.effective == pytest.approx(one.effective, rel=1e-3)


def test_blocks_leave_out_the_beginning():
    assert block_means([9.0, 1.0, 3.0, 5.0, 7.0], 2) == [2, 6]
    assert block_means([1.0, 3.0], 1) == [1, 3]
    assert block_means([1.0, 3.0], 3) == []

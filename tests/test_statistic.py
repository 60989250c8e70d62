"""Numbers of histograms that are compared: means, and quantiles inside their buckets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.buckets import LogBuckets
from runner.capture.rows import histogram_row
from runner.compare.statistic import mean, mean_log2, quantile_inside
from runner.errors import ValueRefused


def row(*buckets):
    return histogram_row({}, {(lower, upper): count for lower, upper, count in buckets})


def of_values(values, bits=2):
    layout = LogBuckets(bits)
    counts = {}
    for value in values:
        bounds = layout.bounds(layout.index(value), is_unsigned=False)
        counts[bounds] = counts.get(bounds, 0) + 1
    return histogram_row({}, counts)


def test_without_events_there_is_no_number():
    assert mean_log2([row()]) is None
    assert mean([]) is None
    assert quantile_inside([], 990) is None


@given(st.lists(st.integers(8, 2**40), min_size=1, max_size=40))
def test_the_mean_is_within_half_a_bucket_of_that_of_the_events(values):
    found = mean(of_values(values)["buckets"])
    assert abs(found / (sum(values) / len(values) + 0.5) - 1) <= 1 / 8


@given(st.lists(st.integers(8, 2**40), min_size=20, max_size=60))
def test_a_quantile_lies_in_the_bucket_of_its_event(values):
    buckets = of_values(values)["buckets"]
    found = quantile_inside(buckets, 500)
    middle = sorted(values)[math.ceil(len(values) / 2) - 1]
    (bucket,) = [each for each in buckets if each["lower"] <= middle <= each["upper"]]
    assert bucket["lower"] <= found <= bucket["upper"] + 1


def test_a_quantile_moves_with_the_events_of_its_bucket():
    less, more = (row((8, 15, 990 - many), (16, 31, many))["buckets"] for many in (20, 400))
    assert 8 <= quantile_inside(less, 500) < quantile_inside(more, 500) <= 16
    assert quantile_inside(row((-10, -1, 100), (0, 9, 100))["buckets"], 500) == 0


def test_few_events_and_open_buckets_have_no_quantile():
    assert quantile_inside(row((8, 15, 900))["buckets"], 990) is None
    assert quantile_inside(row((8, 15, 1000))["buckets"], 990) is not None
    assert quantile_inside(row((8, 15, 900), (16, None, 100))["buckets"], 950) is None
    assert mean(row((8, 15, 900), (16, None, 100))["buckets"]) is None


@given(st.lists(st.integers(8, 2**40), min_size=1, max_size=40), st.integers(0, 5))
def test_the_mean_log2_is_within_half_a_bucket_of_that_of_the_events(values, bits):
    true = sum(math.log2(value + 0.5) for value in values) / len(values)
    found = mean_log2([of_values(values, bits)])
    # The narrowest bucket of a value from 8 on is that of 8 alone.
    assert abs(found - true) <= math.log2(1 + max(2**-bits, 1 / 8)) / 2 + 1e-9


@given(st.lists(st.integers(8, 2**30), min_size=1, max_size=40), st.integers(1, 10))
def test_all_values_twice_as_long_are_one_octave_more(values, octaves):
    one, other = (mean_log2([of_values(each)]) for each in (values, [value << octaves for value in values]))
    assert other - one == pytest.approx(octaves)


def test_a_bucket_that_begins_at_zero_has_its_arithmetic_middle():
    assert mean_log2([row((0, 0, 5))]) == -1
    assert mean_log2([row((0, 15, 5))]) == 3
    assert mean_log2([row((0, 0, 1), (1, 1, 1))]) == pytest.approx((-1 + 0.5) / 2)


@pytest.mark.parametrize("bucket", [(None, -1), (64, None), (-10, -1)])
def test_what_has_no_logarithm_is_refused(bucket):
    with pytest.raises(ValueRefused, match="has no logarithm") as refused:
        mean_log2([row((*bucket, 3))])
    assert "share above a threshold" in refused.value.hint

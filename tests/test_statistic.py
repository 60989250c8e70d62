"""From tables to the number of a run: shares, mean log2 and rates, exact where the capture is."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.buckets import LogBuckets
from runner.capture.rows import histogram_row, stats_row
from runner.compare.statistic import amount, mean_log2, per_work, rate, seconds, share_above
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


def table(kind, rows, **more):
    return {"name": "waits", "map": "@waits", "kind": kind, "unit": "us", "keys": [], "rows": rows, **more}


def capture(duration):
    return {"window": {"duration_seconds": duration}}


def test_a_share_above_a_bucket_edge_is_exact():
    rows = [row((0, 7, 60), (8, 15, 30), (16, 31, 9), (32, None, 1))]
    assert share_above(rows, 16) == (Fraction(1, 10), Fraction(1, 10))
    assert share_above(rows, 0) == (1, 1)
    assert share_above(rows, 32) == (Fraction(1, 100), Fraction(1, 100))


def test_a_threshold_inside_a_bucket_gives_bounds():
    rows = [row((0, 7, 60), (8, 15, 30), (16, 31, 9), (32, None, 1))]
    assert share_above(rows, 15) == (Fraction(10, 100), Fraction(40, 100))
    assert share_above(rows, 17) == (Fraction(1, 100), Fraction(10, 100))
    assert share_above(rows, 33) == (0, Fraction(1, 100))
    assert share_above([row((None, -1, 1), (0, 0, 1))], -5) == (Fraction(1, 2), 1)


def test_what_the_program_counted_above_the_threshold_is_exact():
    rows = [row((0, 7, 60), (8, 15, 40)), row((8, 15, 100))]
    assert share_above(rows, 10, slow=33) == (Fraction(33, 200), Fraction(33, 200))
    assert share_above(rows, 10, slow=0) == (0, 0)
    with pytest.raises(ValueRefused, match="201 of 200 events cannot lie above 10"):
        share_above(rows, 10, slow=201)


def test_without_events_there_is_no_share_and_no_mean():
    assert share_above([], 10) is None
    assert share_above([row()], 10, slow=0) is None
    assert mean_log2([row()]) is None


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=40), st.integers(0, 2**40))
def test_bounds_hold_the_share_of_the_events_themselves(values, threshold):
    least, most = share_above([of_values(values)], threshold)
    assert least <= Fraction(sum(value >= threshold for value in values), len(values)) <= most


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


def test_a_rate_is_per_second_of_the_tables_own_window():
    counted = table("count", [{"key": {}, "value": 30}, {"key": {}, "value": 12}])
    assert rate(capture(10.5), counted, counted["rows"]) == 4
    assert rate(capture(10.5), counted, counted["rows"][1:]) == Fraction(12, 1) / Fraction(10.5)
    own = {**counted, "since": "2026-01-01T00:00:59.500000Z", "until": "2026-01-01T00:01:03.500000Z"}
    assert seconds(capture(10.5), own) == 4
    assert rate(capture(10.5), own, own["rows"]) == Fraction(21, 2)


@pytest.mark.parametrize("duration", [None, 0.0])
def test_without_a_duration_there_is_no_rate(duration):
    counted = table("count", [{"key": {}, "value": 30}])
    assert rate(capture(duration), counted, counted["rows"]) is None


def test_statistics_and_histograms_count_their_events():
    assert amount(table("stats", []), [stats_row({}, 7, 900)]) == 7
    assert amount(table("histogram", []), [row((0, 7, 60), (8, 15, 40))]) == 100
    assert per_work(table("sum", []), [{"key": {}, "value": 900}], 12) == 75
    assert per_work(table("sum", []), [], 0) is None


@pytest.mark.parametrize("kind", ["min", "max", "avg", "value", "time-series"])
def test_what_does_not_add_up_has_no_rate(kind):
    with pytest.raises(ValueRefused, match=f"waits is of kind {kind}"):
        amount(table(kind, []), [])

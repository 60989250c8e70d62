"""Bounds of quantiles: against exact binomials, and against many drawn samples."""

import itertools
import random
from fractions import Fraction
from math import comb

import pytest

from runner.capture.buckets import LogBuckets
from runner.capture.quantiles import mean_bounds, quantiles, ranks, sum_bounds
from runner.capture.rows import histogram_row

NOTHING = {"p50": None, "p95": None, "p99": None, "p999": None}


LAYOUT = LogBuckets(2)


def histogram(values):
    counts = {}
    for value in values:
        bounds = LAYOUT.bounds(LAYOUT.index(value), is_unsigned=False)
        counts[bounds] = counts.get(bounds, 0) + 1
    return histogram_row({}, counts)


@pytest.mark.parametrize(
    ("count", "permille"), [*itertools.product([20, 21, 100, 1000, 1500], [500, 950, 990])]
)
def test_ranks_are_those_of_the_exact_binomial(count, permille):
    left = 1000 - permille
    weights = [comb(count, k) * permille**k * left ** (count - k) for k in range(count + 1)]
    low, high = ranks(count, permille)
    tail = 1000**count // 40
    assert sum(weights[:low]) <= tail < sum(weights[: low + 1])
    assert sum(weights[high:]) <= tail < sum(weights[high - 1 :])


@pytest.mark.parametrize("permille", [500, 950, 990, 999])
def test_great_numbers_give_away_a_rank_or_two_and_no_more(permille, monkeypatch):
    count = 900_000
    exact = ranks.__wrapped__(count, permille)
    monkeypatch.setattr("runner.capture.quantiles._MOST_TERMS_VARIANCE", 0)
    low, high = ranks.__wrapped__(count, permille)
    assert exact[0] - 3 <= low <= exact[0]
    assert exact[1] <= high <= exact[1] + 3


def test_the_true_quantile_lies_between_the_bounds_95_times_in_100():
    draw = random.Random(7)  # noqa: S311
    hits = 0
    for _ in range(400):
        row = histogram([int(draw.expovariate(1 / 1000)) for _ in range(300)])
        lower, upper = row["quantiles"]["p95"]
        hits += lower <= 2995.7 <= upper + 1
    assert hits >= 0.95 * 400 - 9


def test_what_lies_beyond_too_few_events_is_not_known():
    assert quantiles([]) == NOTHING
    assert histogram(range(19))["quantiles"] == NOTHING
    assert histogram(range(20))["quantiles"]["p50"] is not None
    assert histogram(range(200))["quantiles"]["p95"] is not None
    assert histogram(range(999))["quantiles"]["p99"] is None


def test_open_ends_stay_open():
    buckets = [{"lower": None, "upper": -1, "count": 50}, {"lower": 100, "upper": None, "count": 50}]
    assert quantiles(buckets)["p50"] == [None, None]
    assert sum_bounds(buckets) == [None, None]


def test_sums_and_means_are_bounds():
    row = histogram([1, 2, 1000])
    assert sum_bounds(row["buckets"]) == [1 + 2 + 896, 1 + 2 + 1023]
    assert mean_bounds(row["buckets"]) == (Fraction(899, 3), Fraction(1026, 3))
    assert mean_bounds([]) is None

"""Exploratory rows: all of them at once say what each alone would."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.compare.exploratory import explore
from runner.compare.permutation import Block, permutation_test

RUN = st.lists(st.integers(0, 9).map(float), min_size=3, max_size=3)
BLOCK = st.lists(RUN, min_size=2, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(BLOCK, BLOCK), min_size=1, max_size=2))
def test_each_row_has_the_p_that_it_has_alone(pairs):
    rows = explore([before for before, _ in pairs], [after for _, after in pairs])
    for place, row in enumerate(rows):
        blocks = [Block(*(tuple(run[place] for run in side) for side in pair)) for pair in pairs]
        assert row.p == pytest.approx(permutation_test(blocks, "difference").p(0))


def test_one_row_among_two_hundred_is_found_and_the_others_are_not():
    chance = random.Random(2)  # noqa: S311
    before, after = ([[chance.gauss(50, 5) for _ in range(200)] for _ in range(12)] for _ in range(2))
    for run in after:
        run[17] += 40
    found = explore([before], [after])
    assert [place for place, row in enumerate(found) if row.is_found] == [17]
    assert found[17].after - found[17].before == pytest.approx(40, abs=10)


def test_five_runs_a_side_cannot_point_at_one_row_of_two_hundred():
    before = [[float(run)] * 200 for run in range(5)]
    after = [[1000.0 if place == 3 else float(run) for place in range(200)] for run in range(5)]
    assert not any(row.is_found for row in explore([before], [after]))


def test_a_row_that_never_changes_and_one_of_great_numbers():
    before = [[0.0, 1e15 + run, 1e-9 * run] for run in range(5)]
    after = [[0.0, 1e15 + 10 + run, 1e-9 * (run + 10)] for run in range(5)]
    assert [row.p for row in explore([before], [after])] == [1, 2 / 252, 2 / 252]


def test_fifty_runs_a_side_of_two_hundred_rows_take_less_than_a_second():
    chance = random.Random(1)  # noqa: S311
    before, after = ([[chance.gauss(50, 5) for _ in range(200)] for _ in range(50)] for _ in range(2))
    start = time.process_time()
    explore([before], [after])
    # The goal of the whole comparison; benchmarks/comparing.py prints what it takes.
    assert time.process_time() - start < 2

"""Several p-values at once: scipy and the definition are the oracles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.compare.multiplicity import benjamini_hochberg, holm

VALUES = st.lists(st.floats(0.0001, 1), min_size=1, max_size=12)


@given(VALUES)
def test_false_discovery_rates_are_those_of_scipy(values):
    assert benjamini_hochberg(values) == pytest.approx(list(stats.false_discovery_control(values)))


@given(VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_step_by_step(values, alpha):
    rejected = set()
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (len(values) - rank) > alpha:
            break
        rejected.add(place)
    assert {place for place, each in enumerate(holm(values)) if each <= alpha} == rejected


def test_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == benjamini_hochberg([]) == []

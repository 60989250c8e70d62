"""Several p-values at once: scipy and the definition are the oracles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.compare.multiplicity import benjamini_hochberg

VALUES = st.lists(st.floats(0.0001, 1), min_size=1, max_size=12)


@given(VALUES)
def test_false_discovery_rates_are_those_of_scipy(values):
    assert benjamini_hochberg(values) == pytest.approx(list(stats.false_discovery_control(values)))


def test_by_hand():
    assert benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert benjamini_hochberg([]) == []

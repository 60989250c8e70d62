"""Student's t: scipy is the oracle."""

import pytest
from scipy import stats

from runner.compare.student import t_cdf, t_quantile


@pytest.mark.parametrize("freedom", [0.5, 1, 2, 3.7, 8, 22, 98, 1e4])
@pytest.mark.parametrize("value", [-50, -4.3, -1, -1e-3, 0, 0.2, 1.7, 6, 40])
def test_probabilities_are_those_of_scipy(value, freedom):
    assert t_cdf(value, freedom) == pytest.approx(stats.t.cdf(value, freedom), rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2.5, 8, 30, 500])
@pytest.mark.parametrize("probability", [0.005, 0.2, 0.5, 0.8, 0.99, 0.995])
def test_quantiles_are_those_of_scipy(probability, freedom):
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), abs=1e-8)

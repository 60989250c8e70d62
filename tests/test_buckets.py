import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.buckets import LinearBuckets, LogBuckets

words = st.integers(0, 2**64 - 1) | st.integers(0, 64).map(lambda bit: (1 << bit) - 1)


@given(words, st.integers(0, 5))
def test_a_value_lies_in_its_bucket(value, bits):
    layout = LogBuckets(bits)
    lower, upper = layout.bounds(layout.index(value), is_unsigned=True)
    assert lower <= value <= upper
    assert upper - lower <= lower / 2**bits


@given(st.integers(0, 2**64 - 2), st.integers(0, 5))
def test_neighbours_leave_no_gap(value, bits):
    layout = LogBuckets(bits)
    index = layout.index(value)
    _, upper = layout.bounds(index, is_unsigned=True)
    if upper < 2**64 - 1:
        assert layout.index(upper + 1) == index + 1
        assert layout.bounds(index + 1, is_unsigned=True)[0] == upper + 1


@given(st.integers(-(2**63), -1), st.integers(0, 5))
def test_negative_values_are_one_bucket(value, bits):
    layout = LogBuckets(bits)
    assert layout.bounds(layout.index(value), is_unsigned=False) == (None, -1)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_value_lies_in_its_linear_bucket(value):
    layout = LinearBuckets(-10, 20, 5)
    lower, upper = layout.bounds(layout.index(value), is_unsigned=False)
    assert lower is None or lower <= value
    assert upper is None or value <= upper


@pytest.mark.parametrize("index", [-1, 252, 10**9])
def test_there_is_no_such_bucket(index):
    with pytest.raises(ValueError, match=f"no bucket {index}"):
        LogBuckets(2).bounds(index, is_unsigned=True)
    with pytest.raises(ValueError, match=f"no bucket {index}"):
        LinearBuckets(0, 10, 5).bounds(index, is_unsigned=False)

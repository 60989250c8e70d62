"""Merging and subtracting tables: exact, whatever the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.capture.arithmetic import merge, subtract
from runner.capture.buckets import LogBuckets
from runner.capture.rows import histogram_row, sorted_rows, stats_row
from runner.errors import ValueRefused

KINDS = ["count", "sum", "min", "max", "stats", "histogram"]
LAYOUT = LogBuckets(2)
numbers = st.integers(-(2**63), 2**64 - 1)
counts = st.integers(1, 2**64)
names = st.sampled_from(["a", "b", None])


def table(kind, rows, **other):
    columns = [{"name": "comm", "type": "comm"}]
    return {"name": "t", "map": "@t", "kind": kind, "unit": "us", "keys": columns, "rows": rows} | other


@st.composite
def tables(draw, kind):
    rows = []
    for name in draw(st.sets(names)):
        key = {"comm": name}
        if kind == "stats":
            row = stats_row(key, draw(counts), draw(numbers))
        elif kind == "histogram":
            places = draw(st.dictionaries(st.integers(0, 250), counts, min_size=1))
            row = histogram_row(key, {LAYOUT.bounds(i, is_unsigned=False): n for i, n in places.items()})
        else:
            row = {"key": key, "value": draw(counts if kind == "count" else numbers)}
        rows.append(row | ({"unattributed": True} if name is None else {}))
    return table(kind, sorted_rows(rows))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_merge_is_associative_and_commutative(kind, data):
    one, two, three = (data.draw(tables(kind)) for _ in range(3))
    assert merge([one, two]) == merge([two, one])
    assert merge([merge([one, two]), three]) == merge([one, merge([two, three])]) == merge([one, two, three])
    assert merge([one]) == one


@pytest.mark.parametrize("kind", ["count", "sum", "stats", "histogram"])
@given(data=st.data())
def test_what_was_added_is_what_is_left_by_subtraction(kind, data):
    before, added = data.draw(tables(kind)), data.draw(tables(kind))
    rows = [row for row in added["rows"] if row.get("value", 1)]
    assert subtract(merge([before, added]), before) == added | {"rows": rows}


def test_averages_are_those_of_all_events_rounded_as_bpftrace_does():
    merged = merge(
        [table("stats", [stats_row({"comm": "a"}, 1, -5)]), table("stats", [stats_row({"comm": "a"}, 1, -6)])]
    )
    assert merged["rows"] == [{"key": {"comm": "a"}, "count": 2, "average": -5, "total": -11}]


@pytest.mark.parametrize("kind", ["avg", "value", "time-series"])
def test_what_cannot_be_merged_is_refused_with_the_reason(kind):
    with pytest.raises(ValueRefused, match="t cannot be merged: "):
        merge([table(kind, []), table(kind, [])])


@pytest.mark.parametrize("kind", ["min", "max", "avg", "value", "time-series"])
def test_what_cannot_be_subtracted_is_refused_with_the_reason(kind):
    with pytest.raises(ValueRefused, match="t cannot be subtracted: "):
        subtract(table(kind, []), table(kind, []))


ONE, TWO = ([{"key": {"comm": "a"}, "value": value}] for value in (1, 2))


@pytest.mark.parametrize(
    ("later", "earlier", "message"),
    [
        (table("count", ONE), table("count", TWO), "went down"),
        (table("count", []), table("count", ONE), "is in the earlier snapshot and not in the later"),
        (table("count", ONE), table("count", ONE, unit="ms"), "not the same table: unit"),
        (table("count", ONE), table("sum", ONE), "not the same table: kind"),
    ],
)
def test_what_no_two_snapshots_of_one_run_can_be(later, earlier, message):
    with pytest.raises(ValueRefused, match=message):
        subtract(later, earlier)


def test_buckets_that_were_cut_in_different_ways_are_not_merged():
    one = table("histogram", [histogram_row({"comm": "a"}, {(8, 15): 1})])
    two = table("histogram", [histogram_row({"comm": "a"}, {(8, 9): 1})])
    with pytest.raises(ValueRefused, match="different buckets"):
        merge([one, two])


def test_rows_whose_owner_is_not_known_are_nobody_elses():
    unknown = {"key": {"comm": None}, "value": 1, "unattributed": True}
    merged = merge([table("count", [unknown]), table("count", [{"key": {"comm": None}, "value": 2}])])
    assert len(merged["rows"]) == 2


def test_an_event_between_the_reading_of_a_count_and_its_total_is_not_lost():
    first, then, last = (
        table("stats", [stats_row({"comm": "a"}, count, total)]) for count, total in ((1, 5), (2, 5), (2, 12))
    )
    windows = [subtract(then, first), subtract(last, then)]
    assert windows[1]["rows"] == [{"key": {"comm": "a"}, "count": 0, "average": 0, "total": 7}]
    assert merge(windows)["rows"] == subtract(last, first)["rows"]

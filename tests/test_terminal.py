"""A capture as a table: of every kind, at every width, without breaking its titles."""

import pytest

from runner.capture.amounts import amount
from runner.capture.buckets import LogBuckets
from runner.capture.quality import problem
from runner.capture.rows import histogram_row, stats_row
from runner.report.terminal import format_capture

KEYS = [{"name": "comm", "type": "comm"}]
LAYOUT = LogBuckets(2)
STACK = [{"symbol": "f(int)", "offset": 3}, {"address": "0x7f00"}]


def table(name, kind, rows, keys=KEYS, **other):
    return {
        "name": name,
        "map": f"@{name}",
        "kind": kind,
        "unit": "bytes",
        "keys": keys,
        "rows": rows,
    } | other


def shown(*tables, problems=()):
    capture = {
        "recipe": {"id": "r"},
        "target": {},
        "parameters": {},
        "host": {"hostname": "h", "kernel": "6", "bpftrace": "0.17.0"},
        "window": {"attached_at": None, "duration_seconds": 1.0},
        "quality": {"grade": "usable", "problems": list(problems)},
        "overhead": None,
        "messages": [],
        "companions": [],
        "tables": list(tables),
    }
    return format_capture(capture, in_color=False).splitlines()


def test_a_histogram_beside_a_count_that_is_called_its_total():
    bounds = {LAYOUT.bounds(LAYOUT.index(value), is_unsigned=False): 20 for value in (5, 9000)}
    lines = shown(
        table("writes", "count", [{"key": {"comm": "a"}, "value": 3}]),
        table("writes_total", "histogram", [histogram_row({}, bounds)], keys=[]),
    )
    assert "writes: 3 bytes" in lines
    assert "writes total: 40 events, bytes; p50 [5, 10K)" in lines
    assert any(line.strip().startswith("[8K, 10K)         20 |@@@") for line in lines)


def test_a_total_is_shown_once_whatever_it_is_called():
    lines = shown(
        table("writes", "count", [{"key": {"comm": "a"}, "value": 3}]),
        table("everything", "count", [{"key": {}, "value": 5}], keys=[], total_of="writes"),
    )
    assert "writes: 5 bytes" in lines
    assert not any("everything" in line for line in lines)


@pytest.mark.parametrize("width", ["40", "200"])
def test_titles_stand_on_one_line(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    lines = shown(
        table("all_calls_of_it", "count", [{"key": {}, "value": 5}], keys=[]),
        table("smallest", "min", [{"key": {"comm": "a"}, "value": -5}]),
        table("sizes", "stats", [stats_row({"comm": "a"}, 2, 7)]),
        table("series", "time-series", [{"key": {"comm": "a"}, "points": [{"time": "T", "value": 1}]}]),
        table(
            "stacks", "count", [{"key": {"s": STACK}, "value": 9}], keys=[{"name": "s", "type": "user-stack"}]
        ),
    )
    titles = {
        "all calls of it: 5 bytes",
        "smallest: min, bytes",
        "sizes: stats, bytes",
        "series: time-series, bytes",
    }
    assert titles <= set(lines)
    assert "f(int)" in "".join(lines)
    assert any(line.split() == ["a", "2", "3", "7"] for line in lines)


def test_a_problem_names_its_cure():
    lines = shown(problems=[problem("map-full", 3, "no room")])
    assert any("--max-map-keys" in line for line in lines)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7, "bytes", "7"), (999, "ns", "999 ns"), (1298375555, "ns", "1.298 s"), (504_500, "us", "504.5 ms"),
        (3_600_000, "ms", "3600 s"), (-5_000, "ns", "-5 us"), (0, "us", "0 ns"), (5, None, "5"),
    ],
)  # fmt: skip
def test_a_number_is_shown_in_the_unit_that_suits_it(value, unit, text):
    assert amount(value, unit) == text


def test_stacks_through_the_same_functions_are_one_row():
    keys = [{"name": "kernel", "type": "kernel-stack"}]

    def stack(offset):
        return {"key": {"kernel": [{"symbol": "f", "offset": offset}, {"symbol": "g", "offset": 1}]}}

    rows = [
        stack(1) | {"value": 2},
        stack(2) | {"value": 3},
        {"key": {"kernel": [{"address": "0x1"}]}, "value": 9},
    ]
    lines = shown(table("off_cpu", "sum", rows, keys=keys, unit="us"))
    assert "off cpu: 14 us" in lines
    assert [line.split() for line in lines if line.split()[-1:] == ["us"]][1:] == [
        ["0x1", "9", "us"],
        ["f", "5", "us"],
    ]
    assert not any("+1" in line for line in lines)


def test_each_pod_has_its_sum_before_the_rows():
    keys = [{"name": "pod", "type": "cgroup"}, *KEYS]
    rows = [
        {"key": {"pod": "shop/cart-0", "comm": "a"}, "value": 2000},
        {"key": {"pod": None, "comm": "a"}, "value": 900},
        {"key": {"pod": "shop/cart-0", "comm": "b"}, "value": 500},
        {"key": {"pod": None, "comm": "c"}, "value": 7, "unattributed": True},
    ]
    lines = shown(table("sent", "sum", rows, keys))
    (line,) = (line for line in lines if line.startswith("by pod:"))
    assert (
        line
        == f"by pod: shop/cart-0 {amount(2500, 'bytes')}, no pod {amount(900, 'bytes')}, ? {amount(7, 'bytes')}"
    )

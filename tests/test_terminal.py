"""A capture as a table: of every kind, at every width, without breaking its titles."""

import pytest

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
    assert "f(int)+3" in "".join(lines)
    assert any(line.split() == ["a", "2", "3", "7"] for line in lines)


def test_a_problem_names_its_cure():
    lines = shown(problems=[problem("map-full", 3, "no room")])
    assert any("--max-map-keys" in line for line in lines)

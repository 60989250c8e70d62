"""Captures of the right types that cannot be: each is refused when it is read, and the place is named."""

import copy
import json

import pytest

from runner.capture.read import read_capture, read_captures
from runner.compare.loading import read_side
from runner.errors import NotUnderstood
from tests.captures import drops, latency, run, table

WAITS = table(
    "waits", "stats", [{"key": {"pid": 5}, "count": 3, "average": 2, "total": 7}], "ns", (("pid", "integer"),)
)
LEAST = table("least", "min", [{"key": {}, "value": 5}], "us", ())
SOUND = run(drops(5), latency([1, 2, 300] * 20), WAITS, work=(3, "requests"))
HISTOGRAM = ("tables", 1, "rows", 0)
BUCKET = (*HISTOGRAM, "buckets", 0)


def changed(place, value):
    made = copy.deepcopy(SOUND)
    inside = made
    for part in place[:-1]:
        inside = inside[part]
    inside[place[-1]] = value
    return made


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("window", "duration_seconds"), -5, "duration_seconds: no window lasts -5 s"),
        (("window", "duration_seconds"), 1e-300, "no window lasts 1e-300 s"),
        (("window", "duration_seconds"), 1e300, "no window lasts 1e+300 s"),
        (("window", "workload", "work", "count"), -3, "window.workload.work: -3 is below zero"),
        (("tables", 0, "since"), "yesterday", "table drops: 'yesterday' is no time with its zone"),
        (("tables", 0, "until"), "2026-11-24T10:00:00", "is no time with its zone"),
        (("tables", 0, "rows", 0, "value"), 2**70, "is not a whole number"),
        (("tables", 0, "rows", 0, "key"), {"comm": "x"}, "its keys are not []"),
        (("tables", 2, "rows", 0, "key", "pid"), 2**70, "pid"),
        (("tables",), [WAITS | {"total_of": "least"}, LEAST], "table waits is no total of least"),
        (("tables",), [LEAST | {"total_of": "waits"}, WAITS], "table least is no total of waits"),
        (("tables", 2, "name"), "drops", "two tables are called drops"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, place, value, why):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(SOUND))
    assert read_capture(file) == SOUND
    file.write_text(json.dumps(changed(place, value)))
    with pytest.raises(NotUnderstood) as refused:
        read_capture(file)
    assert str(file) in refused.value.message
    assert why in refused.value.message


@pytest.mark.parametrize("seconds", [None, 0, 1e-6, 86400.5])
def test_durations_that_can_be(tmp_path, seconds):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(changed(("window", "duration_seconds"), seconds)))
    assert read_capture(file)["window"]["duration_seconds"] == seconds


IMPOSSIBLE = [
    (("tables", 0, "rows", 0, "value"), -4, "table drops, row 0: a count of -4 is below zero"),
    ((*BUCKET, "count"), -1, "table latency, row 0: a bucket has fewer than no events"),
    ((*BUCKET, "lower"), 9, "table latency, row 0: a bucket ends before it begins"),
    ((*HISTOGRAM, "count"), 61, "table latency, row 0: its count is not that of its buckets"),
    (("tables", 2, "rows", 0, "count"), -3, "table waits, row 0: a count of -3 is below zero"),
]


@pytest.mark.parametrize(("place", "value", "why"), IMPOSSIBLE)
def test_numbers_that_cannot_be_are_read_and_compared_with_none(tmp_path, place, value, why):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([changed(place, value), SOUND]))
    assert len(read_captures(file)) == 2
    read = read_side([str(file)], "before")
    assert [capture for _, capture in read.captures] == [SOUND]
    assert [(each["code"], each["detail"]) for each in read.problems] == [("not-a-capture", why)]

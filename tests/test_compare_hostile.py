"""Captures that nobody recorded: whatever stands in them, there is a document or a message, never a traceback."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.capture.condition import parse_condition, parse_subject
from runner.cli.comparison_end import exit_code
from runner.compare.comparing import Wanted, compare
from runner.compare.encode import encode_comparison
from runner.compare.loading import read_side
from runner.errors import NotUnderstood, ValueRefused
from runner.report.comparison import format_comparison
from runner.report.github import github_of_comparison
from runner.report.junit import junit_of_comparison
from runner.report.markdown import markdown_of_comparison
from tests.captures import ABOVE, LOG2, RATE, drops, histogram, in_turns, latency, run, table, windowed
from tests.compared import checked, run_compare, write

STACK = [{"symbol": "f", "offset": 3}, {"address": "0x7f"}]
TEXT = {"text": "n\ufffd|`<\x1b[2J", "base64": "bv8="}
KEYS = (("pid", "integer"), ("comm", "comm"), ("stack", "user-stack"), ("port", "port"))


def row(number, **key):
    return {"key": {"pid": number, "comm": TEXT, "stack": STACK, "port": None} | key}


def hostile(primary):
    """Makes runs that have a table of each kind, and keys of each type."""

    def make(number, at):
        pair = {"table": "latency", "parameter": "above"}
        return run(
            drops(number),
            latency([number] * 200 + [20_000] * 20),
            table("slow", "count", [{"key": {}, "value": 20}], "events", (), above_of=pair),
            table(
                "calls",
                "count",
                [row(number) | {"value": 9}, row(1, stack=None) | {"value": 70}],
                "calls",
                KEYS,
            ),
            table(
                "io", "stats", [row(2, comm="a") | {"count": 20, "average": 5, "total": 100}], "bytes", KEYS
            ),
            table("waits", "histogram", [histogram([5] * 20, row(3)["key"])], "us", KEYS),
            table("least", "min", [row(4) | {"value": -3}], "us", KEYS),
            table("mean", "avg", [row(4) | {"value": 3}], None, KEYS),
            table("series", "time-series", [row(4) | {"points": []}], None, KEYS),
            table("any", "value", [row(4) | {"value": [1, "x", None]}], None, KEYS),
            at=at,
            primary=primary,
            parameters={"above": "10ms"},
            work=(1000 + number, "requests"),
        )

    return make


def places(value, path=()):
    """All places inside JSON."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from places(each, (*path, place))


def put(value, path, new):
    made = copy.deepcopy(value)
    inside = made
    for part in path[:-1]:
        inside = inside[part]
    if new is REMOVE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = copy.deepcopy(new)
    return made


REMOVE = object()
VALUES = st.sampled_from(
    [
        REMOVE, None, 0, 1, -1, 7, 2**63, 2**64 - 1, 2**64, 10**400, 0.5, 1e-320, 1e308, -1e308, "", "0", "count",
        "histogram", "latency", "above", "mean-log2", "rate", "p99", "ns", "us", "2026-11-24", "2026-11-24T10:00:00Z",
        "10000-01-01T00:00:00Z", "2026-11-24T10:00:00+23:59", "0001-01-01T00:00:00+14:00", "NaN", True, [], {}, [{}],
        [None], TEXT, STACK, {"count": 3, "unit": None}, {"argv": [], "exit_code": None}, "\u0000", "x" * 3000,
        "crash", "interrupt", "void", "degraded", "higher",
    ]
)  # fmt: skip
SIDES = {
    name: in_turns([100, 101, 99, 100, 102], [200, 201, 199, 200, 202], hostile(primary))
    for name, primary in (("rate", RATE), ("log2", LOG2), ("above", ABOVE), ("none", None))
}
PLACES = list(places(SIDES["rate"][0][0]))[1:]
GATES = [
    parse_condition(text)
    for text in (
        "latency.p99 <= 10ms", "latency.above(10ms) <= 1%", "drops.rate not worse by 10%", "calls{pid=1}.total < 5",
        "latency.p99 not worse by 10%", "io.mean not worse by 300%", "least.min > 3us",
    )
]  # fmt: skip
WANTED = [
    Wanted(),
    Wanted(gates=GATES),
    Wanted(
        primaries=[
            parse_subject(text, what="--primary")
            for text in (
                "drops.rate",
                "latency.mean-log2",
                "latency.above(15ms)",
                "io.mean",
                "waits{pid=3}.mean-log2",
            )
        ],
        gates=GATES,
        inconclusive="pass",
    ),
]


def survives(folder, before, after, wanted):
    """Compare files, and show the comparison in every form."""
    reads = [
        read_side([str(write(folder / side, captures))], side)
        for side, captures in (("before", before), ("after", after))
    ]
    try:
        comparison = compare(*reads, wanted)
    except (ValueRefused, NotUnderstood):
        return
    checked(json.loads(encode_comparison(comparison)))
    format_comparison(comparison, in_color=False, width=100)
    for form in (github_of_comparison, junit_of_comparison, markdown_of_comparison):
        assert form(comparison)
    assert exit_code(comparison) in (0, 1, 3, 6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(SIDES)),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.sampled_from(PLACES), VALUES), max_size=3),
    st.sampled_from(WANTED),
)
def test_changed_captures(tmp_path, name, changes, wanted):
    sides = [list(side) for side in SIDES[name]]
    for side, place, path, new in changes:
        try:
            sides[side][place] = put(sides[side][place], path, new)
        except (KeyError, IndexError, TypeError):
            # What was there is gone by another change.
            continue
    survives(tmp_path, *sides, wanted)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(SIDES)), st.sampled_from(PLACES), VALUES, st.sampled_from(WANTED))
def test_all_captures_of_a_side_changed_alike(tmp_path, name, path, new, wanted):
    before, after = SIDES[name]
    if name == "none" and path[:2] == ("recipe", "primary") and len(path) > 2:
        return
    survives(tmp_path, before, [put(each, path, new) for each in after], wanted)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(PLACES),
    VALUES,
    st.integers(0, 12),
    st.sampled_from([drops(5), latency([7] * 40), None]),
    st.sampled_from(WANTED[:2]),
)
def test_windows_that_were_changed(tmp_path, path, new, place, whole, wanted):
    sides = [windowed([drops(each) for each in range(12)], at=at, whole=whole) for at in (0, 1000)]
    try:
        sides[1][place % len(sides[1])] = put(sides[1][place % len(sides[1])], path, new)
    except (KeyError, IndexError, TypeError):
        return
    survives(tmp_path, *sides, wanted)


def test_a_table_without_a_name_is_no_total_of_others(tmp_path):
    before, after = SIDES["rate"]
    after = [put(each, ("tables", 9, "name"), "") for each in after]
    lost = {"grade": "degraded", "problems": [{"code": "map-full", "count": 1, "detail": "…"}]}
    survives(tmp_path, before, [each | {"quality": lost} for each in after], WANTED[1])


@pytest.mark.parametrize("name", sorted(SIDES))
def test_sound_captures_of_all_that_there_is(tmp_path, name):
    for wanted in WANTED:
        survives(tmp_path, *SIDES[name], wanted)
    code = {"none": 3, "above": 0}.get(name, 1)
    document, _ = run_compare(tmp_path / "before", "--with", tmp_path / "after", code=code)
    assert (document is None) == (name == "none")

"""Windows out of snapshots: what came between each and the one before, table by table."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from runner.bpftrace.frame import SNAPSHOT, TAKEN, Snapshot, frame_program
from runner.bpftrace.messages import read_messages
from runner.bpftrace.recording import Moment
from runner.bpftrace.version import Bpftrace
from runner.capture.cutting import left_out, why_not_cut
from runner.errors import ValueRefused
from runner.host.sockets import Holder
from runner.plan import Plan
from runner.recipe.catalogue import find_recipe
from runner.recipe.durations import parse_interval
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts
from runner.recipe.render import render_program
from runner.windows import WindowReader
from tests.command import ebpf_recipe

SECOND = 1_000_000_000


def printf(text):
    return json.dumps({"type": "printf", "data": f"{text}\n"}).encode()


def map_line(name, value):
    return json.dumps({"type": "map", "data": {name: value}}).encode()


@pytest.fixture
def reader():
    loaded = find_recipe("sched-switches")
    facts = dataclasses.replace(next(distinguishable_hosts(loaded.recipe)), bpftrace="0.17.0")
    values = parse_given(loaded.recipe, {})
    plan = Plan(
        loaded, values, facts, Bpftrace("bpftrace", (0, 17, 0)), render_program(loaded, values, facts)
    )
    windows = []

    def make(most=None, **more):
        reader = WindowReader(plan, 4096, on_window=windows.append, holders=lambda _: {}, most=most, **more)
        assert reader.take(printf("ebpf-recipe-ready-1"), 0) == "kept"
        return reader, windows

    return make


def snapshot(reader, at, rows, total):
    """Feed a snapshot; return what became of its lines."""
    lines = [printf(SNAPSHOT), map_line("@switches", rows), map_line("@switches_total", total), printf(TAKEN)]
    return [reader.take(line, at + place) for place, line in enumerate(lines)]


def test_a_window_is_what_came_between_two_snapshots(reader):
    taker, windows = reader()
    assert snapshot(taker, SECOND, {"7,111,0,1": 5, "8,112,0,0": 1}, 6) == ["taken"] * 4
    assert snapshot(taker, 2 * SECOND, {"7,111,0,1": 9, "8,112,0,0": 1, "9,113,0,0": 2}, 12) == ["taken"] * 4
    first, second = (
        {row["key"]["pid"]: row["value"] for row in window["tables"][0]["rows"]} for window in windows
    )
    assert first == {7: 5, 8: 1}
    # What did not change is not in it.
    assert second == {7: 4, 9: 2}
    assert [window["tables"][1]["rows"][0]["value"] for window in windows] == [6, 6]
    assert [window["window"]["index"] for window in windows] == [0, 1]
    assert [window["window"]["duration_seconds"] for window in windows] == pytest.approx([1.0, 1.0], abs=1e-6)
    assert len({window["run_id"] for window in windows}) == 1
    for name in (0, 1):
        # Each table's windows follow each other without a gap.
        assert windows[0]["tables"][name]["until"] == windows[1]["tables"][name]["since"]


def clock_of(monkeypatch, walls):
    """Have the host's two clocks read as given: seconds of the wall clock, a second after the other."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [
        Moment(place * SECOND, start + timedelta(seconds=wall)) for place, wall in enumerate(walls, start=1)
    ]
    monkeypatch.setattr(Moment, "now", lambda: moments.pop(0))


def borders(windows):
    return [[window["tables"][0][name][14:-1] for name in ("since", "until")] for window in windows]


def test_a_border_has_one_time_however_the_clocks_are_read(reader, monkeypatch):
    # Between its readings of the two clocks there is some time, each time more or less of it.
    clock_of(monkeypatch, [1.0009, 2.0, 3.005])
    taker, windows = reader()
    for place in (1, 2, 3):
        snapshot(taker, place * SECOND, {"7,111,0,1": place}, place)
    assert borders(windows) == [
        ["00:00.000", "00:01.000"],
        ["00:01.000", "00:02.000"],
        ["00:02.000", "00:03.000"],
    ]
    stamps = [(window["window"]["attached_at"], window["window"]["ended_at"]) for window in windows]
    assert [each[0] for each in stamps[1:]] == [each[1] for each in stamps[:-1]]


@pytest.mark.parametrize("later", [0.25, 1, 3600])
def test_times_follow_a_clock_that_is_set(reader, monkeypatch, later):
    clock_of(monkeypatch, [1.0, 2.0 + later, 3.0 + later])
    taker, windows = reader()
    for place in (1, 2, 3):
        snapshot(taker, place * SECOND, {"7,111,0,1": place}, place)
    found = [
        [datetime.fromisoformat(window["tables"][0][name]) for name in ("since", "until")]
        for window in windows
    ]
    # Each is as long as it was, the one in which it was set too.
    assert [until - since for since, until in found] == [timedelta(seconds=1)] * 3
    assert [since - found[0][1] for since, _ in found[1:]] == [
        timedelta(seconds=each + later) for each in (0, 1)
    ]


def test_other_lines_stay_where_they_are(reader):
    taker, windows = reader()
    assert taker.take(b"somebody else", 1) == "kept"
    assert taker.take(map_line("@switches", {"7,1,0,1": 1}), 2) == "kept"  # bpftrace's own, at the end
    taker.take(printf(SNAPSHOT), 3)
    assert taker.take(b"a child of the workload", 4) == "kept"
    assert taker.take(printf(TAKEN), 5) == "taken"
    assert windows[0]["tables"][0]["rows"] == []


def final(reader, at, rows, total):
    """Feed what bpftrace prints at its end."""
    lines = [map_line("@switches", rows), map_line("@switches_total", total)]
    output = b"".join(line + b"\n" for line in lines)
    assert [reader.take(line, at) for line in lines] == ["kept", "kept"]
    reader.last(output, read_messages(output, Bpftrace("bpftrace", (0, 17, 0)).evidence), at)


def totals(windows):
    return [window["tables"][1]["rows"][0]["value"] for window in windows]


def test_the_last_window_ends_the_run_and_with_it(reader):
    taker, windows = reader(2)
    assert snapshot(taker, SECOND, {}, 3)[-1] == "taken"
    assert snapshot(taker, 2 * SECOND, {"7,1,0,1": 9}, 9)[-1] == "last"
    assert len(windows) == 1
    final(taker, 2 * SECOND + 7, {"7,1,0,1": 11}, 11)
    assert totals(windows) == [3, 8]
    assert windows[0]["tables"][1]["until"] == windows[1]["tables"][1]["since"]
    assert [window["window"]["index"] for window in windows] == [0, 1]


def test_what_comes_behind_the_last_border_is_in_the_last_window(reader):
    taker, windows = reader()
    snapshot(taker, SECOND, {}, 5)
    taker.end_with_the_run()
    # It was on its way when the run ended.
    assert snapshot(taker, 2 * SECOND, {}, 8) == ["taken", "kept", "kept", "taken"]
    final(taker, 2 * SECOND + 9, {}, 9)
    assert totals(windows) == [5, 4]


def test_a_snapshot_that_the_end_cuts_short_takes_nothing_of_the_end(reader):
    taker, windows = reader()
    snapshot(taker, SECOND, {}, 5)
    for line in (printf(SNAPSHOT), map_line("@switches", {})):
        assert taker.take(line, 2 * SECOND) == "taken"
    taker.end_with_the_run()
    final(taker, 2 * SECOND + 9, {"7,1,0,1": 9}, 9)
    assert totals(windows) == [5, 4]


def test_no_window_is_what_is_left_of_one(reader):
    """Of a run of 3 s: the clocks of bpftrace and of the runner are not one, and a border may fall to its end."""
    taker, windows = reader(last_border_ns=2.5 * SECOND)
    for second in (1, 2, 2.99):
        snapshot(taker, int(second * SECOND), {}, int(second * 10))
    final(taker, 3 * SECOND, {}, 30)
    assert totals(windows) == [10, 10, 10]


def test_a_map_that_was_not_printed_is_left_out_and_not_lost(reader):
    taker, windows = reader()
    snapshot(taker, SECOND, {"7,111,0,1": 5}, 5)
    for line in (printf(SNAPSHOT), map_line("@switches_total", 7), printf(TAKEN)):
        taker.take(line, 2 * SECOND)
    snapshot(taker, 3 * SECOND, {"7,111,0,1": 9}, 9)
    assert [[table["name"] for table in window["tables"]] for window in windows] == [
        ["switches", "switches_total"], ["switches_total"], ["switches", "switches_total"],
    ]  # fmt: skip
    (left,) = windows[1]["window"]["left_out"]
    assert left["table"] == "switches"
    assert "left_out" not in windows[2]["window"]
    assert windows[2]["tables"][0]["rows"][0]["value"] == 4
    assert windows[2]["tables"][0]["since"] == windows[0]["tables"][0]["until"]


def test_what_has_no_windows_says_why():
    declarations = {
        output.name: output.declaration()
        for name in ("offcpu", "sched-switches")
        for output in find_recipe(name).recipe.outputs
    }
    assert [each["table"] for each in left_out(declarations.values())] == ["off_cpu"]
    switches = declarations["switches"]
    for kind in ("min", "max", "avg", "time-series"):
        assert why_not_cut(dataclasses.replace(switches, kind=kind))
    for kind in ("count", "sum", "stats", "histogram", "value"):
        assert why_not_cut(dataclasses.replace(switches, kind=kind)) is None


def test_a_recipe_whose_first_table_has_no_windows_is_not_cut():
    for option in (("--interval", "1s"), ("--windows", "2")):
        done = ebpf_recipe("run", "cpu-profile", *option)
        assert done.returncode == 3
        assert f"{option[0]}: cpu-profile is not cut into windows: of samples, its user stacks" in done.stderr


def test_a_program_prints_its_maps_again_and_again_and_clears_none():
    text = frame_program("p { @a = count(); }", snapshot=Snapshot(500, ("@a", "@b")), row_maps=["@b"]).text
    (probe,) = [line for line in text.splitlines() if line.startswith("interval:ms:500")]
    assert probe.index(SNAPSHOT) < probe.index("for ($row : @b)") < probe.index("print(@a); print(@b);")
    assert "clear" not in probe


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("1s", 1000), ("100ms", 100), ("0.25", 250), ("2m", 120000)]
)
def test_an_interval(text, milliseconds):
    assert parse_interval("--interval", text) == milliseconds


@pytest.mark.parametrize("text", ["99ms", "0", "-1s", "1e3", "x", "8d"])
def test_what_is_no_interval(text):
    with pytest.raises(ValueRefused, match="--interval"):
        parse_interval("--interval", text)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--count", "5"), 2, "--count counts windows"),
        (("--interval", "1s", "--dry-run"), 2, "do not go together"),
        (("--interval", "1s", "--replay", "x"), 2, "do not go together"),
        (("--interval", "1s", "--record", "x"), 2, "do not go together"),
        (("--interval", "1ms"), 3, "cannot be read that often"),
        (("--interval", "1s", "--count", "0"), 3, "--count"),
        (("--windows", "2", "--interval", "1s"), 2, "do not go together"),
        (("--windows", "2", "--count", "3"), 2, "do not go together"),
        (("--windows", "2", "--record", "x"), 2, "do not go together"),
        (("--windows", "2", "--replay", "x"), 2, "do not go together"),
        (("--windows", "2", "--dry-run"), 2, "do not go together"),
        (("--windows", "2", "--", "true"), 2, "--interval 1s"),
        (("--windows", "0"), 3, "--windows"),
        (("--windows", "-3"), 3, "--windows"),
        (("--windows", "2.5"), 3, "--windows"),
        (("--windows", "101"), 3, "--windows 100, or --duration 10100ms"),
        (("--windows", "3", "-d", "50ms"), 3, "a --duration 300ms"),
        (("--windows", "2", "-o", "x.json"), 3, "-o x"),
        (("--windows", "2", "-o", "/etc/passwd"), 3, "each a file in a directory"),
        (("--windows", "2", "-o", "x", "-f", "jsonl"), 2, "do not go together"),
    ],
)
def test_mistakes_are_named(arguments, code, said):
    done = ebpf_recipe("run", "runqlat", *arguments)
    assert done.returncode == code
    assert said in done.stderr


def test_naming_owners_in_a_window_leaves_the_snapshot_as_it_was():
    """Rows of sockets change where their owners are named; the next difference needs them as they were read."""
    loaded = find_recipe("tcp-retrans")
    facts = next(distinguishable_hosts(loaded.recipe))
    values = parse_given(loaded.recipe, {})
    plan = Plan(
        loaded, values, facts, Bpftrace("bpftrace", (0, 17, 0)), render_program(loaded, values, facts)
    )
    windows = []
    holders = {77: (Holder(5, b"nginx"),)}
    taker = WindowReader(plan, 4096, on_window=windows.append, holders=lambda _: holders)
    taker.take(printf("ebpf-recipe-ready-1"), 0)
    for place, count in enumerate((3, 8), start=1):
        taker.take(printf(SNAPSHOT), place * SECOND)
        taker.take(map_line("@retransmits", {"0,0,0,77,80,10.0.0.1,4000": count}), place * SECOND)
        # Read a moment later: more came meanwhile, and no map was full.
        taker.take(map_line("@retransmits_total", count + place), place * SECOND)
        taker.take(printf(TAKEN), place * SECOND)
    rows = [window["tables"][0]["rows"] for window in windows]
    assert [[row["value"] for row in each] for each in rows] == [[3], [5]]
    assert all(each[0]["key"]["comm"] == "nginx" for each in rows)
    assert [window["tables"][1]["rows"][0]["value"] for window in windows] == [4, 6]
    assert [window["quality"]["problems"] for window in windows] == [[], []]

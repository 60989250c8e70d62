"""Windows out of snapshots: what came between each and the one before, table by table."""

import dataclasses
import json

import pytest

from runner.bpftrace.frame import SNAPSHOT, TAKEN, Snapshot, frame_program
from runner.bpftrace.version import Bpftrace
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

    def make(most=None):
        reader = WindowReader(plan, 4096, on_window=windows.append, holders=lambda _: {}, most=most)
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


def test_other_lines_stay_where_they_are(reader):
    taker, windows = reader()
    assert taker.take(b"somebody else", 1) == "kept"
    assert taker.take(map_line("@switches", {"7,1,0,1": 1}), 2) == "kept"  # bpftrace's own, at the end
    taker.take(printf(SNAPSHOT), 3)
    assert taker.take(b"a child of the workload", 4) == "kept"
    assert taker.take(printf(TAKEN), 5) == "taken"
    assert windows[0]["tables"][0]["rows"] == []


def test_the_last_window_ends_the_run(reader):
    taker, windows = reader(2)
    assert snapshot(taker, SECOND, {}, 0)[-1] == "taken"
    assert snapshot(taker, 2 * SECOND, {}, 0)[-1] == "last"
    assert len(windows) == 2


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

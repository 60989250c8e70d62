"""Events: the statements that report them, and what is read from what they print."""

import dataclasses
import json

import pytest

from runner.bpftrace.events import EventDecoder
from runner.bpftrace.names import Names
from runner.bpftrace.version import Bpftrace
from runner.capture.declaration import EVENT_MARK, PIECE_MARK
from runner.errors import NotUnderstood
from runner.events import EventReader, event_problems, read_events
from runner.plan import Plan
from runner.recipe.catalogue import find_recipe
from runner.recipe.emitting import Emitter
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts
from runner.recipe.recording import MistakenRecord
from runner.recipe.render import render_program
from runner.report.events import EventColumns, event_line, format_events

SECOND = 1_000_000_000
SH = int.from_bytes(b"sh".ljust(8, b"\0"), "little")
AT, THREAD = 5 * SECOND, 77


def plan_of(recipe, release=(0, 17, 0)):
    loaded = find_recipe(recipe)
    version = ".".join(map(str, release))
    facts = dataclasses.replace(next(distinguishable_hosts(loaded.recipe)), bpftrace=version)
    values = parse_given(loaded.recipe, {})
    return Plan(loaded, values, facts, Bpftrace("bpftrace", release), render_program(loaded, values, facts))


def line(*data):
    return json.dumps({"type": "value", "data": list(data)}).encode()


@pytest.fixture
def reader():
    """A reader of what execsnoop prints, which began 4 s after the host; the events that it hands on."""
    events = []
    made = EventReader(plan_of("execsnoop"), events.append, is_kept=False)
    assert made.take(b'{"type": "printf", "data": "ebpf-recipe-ready-1\\n"}', 4 * SECOND) == "kept"
    return made, events


def words(raw):
    padded = raw.ljust(64, b"\0")
    return [int.from_bytes(padded[place : place + 8], "little") for place in range(0, 64, 8)]


def path_piece(name, place=4):
    return line(PIECE_MARK, 0, AT, THREAD, place, name)


def exec_line(pieces, length, head=EVENT_MARK):
    return line(head, 0, AT, THREAD, 10, 9, SH, 0, SH, 0, pieces, length)


def test_an_event_is_put_together_from_its_pieces(reader):
    taker, events = reader
    raw = "sh\0-c\0é x\0\0".encode()
    lines = [
        line(PIECE_MARK, 0, AT, THREAD, 5, *words(raw)),
        path_piece("dash"),
        path_piece("bin"),
        exec_line(2, len(raw)),
    ]
    assert [taker.take(each, AT) for each in lines] == ["taken"] * 4
    (event,) = events
    assert event["time_seconds"] == 1.0
    assert event["fields"] == {
        "pid": 10, "ppid": 9, "comm": "sh", "parent": "sh", "executable": "/bin/dash",
        "arguments": ["sh", "-c", "é x", ""],
    }  # fmt: skip
    assert "cut" not in event
    assert "damaged" not in event


def test_pieces_that_are_lost_leave_no_half_of_a_path(reader):
    taker, events = reader
    for each in (path_piece("dash"), exec_line(2, 3)):
        taker.take(each, AT)
    assert events[0]["fields"]["executable"] is None
    assert events[0]["damaged"] == ["executable", "arguments"]
    assert events[0]["fields"]["arguments"] is None
    assert taker.handed_on.damaged["exec"] == 1


def test_a_command_line_whose_middle_was_lost_is_not_joined(reader):
    taker, events = reader
    raw = b"a" * 150
    for start in (0, 128):
        taker.take(line(PIECE_MARK, 0, AT, THREAD, 5, *words(raw[start : start + 64])), AT)
    taker.take(exec_line(0, len(raw)), AT)
    assert events[0]["fields"]["arguments"] is None
    assert events[0]["damaged"] == ["arguments"]


def test_a_command_line_longer_than_what_is_kept_is_cut(reader):
    taker, events = reader
    for _ in range(8):
        taker.take(line(PIECE_MARK, 0, AT, THREAD, 5, *words(b"a" * 64)), AT)
    taker.take(exec_line(0, 600), AT)
    assert events[0]["fields"]["arguments"] == ["a" * 512]
    assert events[0]["cut"] == ["arguments"]


def test_pieces_of_others_are_no_part_of_it(reader):
    taker, events = reader
    taker.take(line(PIECE_MARK, 0, AT, THREAD + 1, 4, "other"), AT)
    taker.take(line(PIECE_MARK, 0, AT + 1, THREAD, 4, "later"), AT)
    for each in (path_piece("mine"), exec_line(1, 0)):
        taker.take(each, AT)
    assert events[0]["fields"]["executable"] == "/mine"


def test_a_path_that_ends_nowhere_is_marked(reader):
    taker, events = reader
    for each in (path_piece("b"), path_piece("a"), exec_line(-2, 0)):
        taker.take(each, AT)
    assert events[0]["fields"]["executable"] == "a/b"
    assert events[0]["cut"] == ["executable"]


def test_what_is_not_ours_is_left(reader):
    taker, events = reader
    for other in (line(1, 2), b"hello", b'{"type": "map", "data": {"@execs": 1}}', b""):
        assert taker.take(other, AT) == "kept"
    assert events == []


def test_a_line_that_was_cut_is_left_to_the_end(reader):
    taker, events = reader
    assert taker.take(exec_line(1, 0)[:-3], AT) == "kept"
    assert taker.take(exec_line(0, 0), AT) == "taken"
    assert len(events) == 1


@pytest.mark.parametrize(
    "wrong", [[EVENT_MARK, 0, AT, THREAD, 1], [EVENT_MARK, 9, AT, THREAD], [EVENT_MARK], [PIECE_MARK, "x"]]
)
def test_another_shape_is_refused(reader, wrong):
    assert reader[0].take(line(*wrong), AT) == "kept"
    with pytest.raises(NotUnderstood, match="shape that is not declared"):
        read_events([("value", wrong)], plan_of("execsnoop"), None, _moment())


@pytest.mark.parametrize(("release", "most"), [((0, 17, 0), 127), ((0, 23, 2), 1023)])
def test_a_text_that_fills_its_place_is_cut(release, most):
    events = []
    taker = EventReader(plan_of("file-opens", release), events.append, is_kept=True)
    for size in (most - 1, most):
        assert taker.take(line(EVENT_MARK, 0, AT, 1, 10, SH, 0, -1, 2, "x" * size), 0) == "kept"
    assert [event.get("cut") for event in events] == [None, ["filename"]]
    assert events[0]["fields"]["error"] == "ENOENT"
    assert events[0]["fields"]["fd"] == -1


def test_bytes_that_are_no_text_are_exact():
    events = []
    taker = EventReader(plan_of("file-opens"), events.append, is_kept=False)
    # As bpftrace prints the byte 255.
    raw = line(EVENT_MARK, 0, AT, 1, 10, SH, 0, 3, 0, "a?").replace(b"?", b"\\uffffffff")
    taker.take(raw, 0)
    assert events[0]["fields"]["filename"] == {"text": "a\ufffd", "base64": "Yf8="}
    assert events[0]["fields"]["error"] is None


def test_memory_does_not_grow_with_pieces_whose_event_was_lost():
    decoder = EventDecoder([], Names("little"), 128)
    for at in range(10_000):
        decoder.take([PIECE_MARK, 0, at, 1, 0, "x"])
    assert len(decoder._pieces) == 4096


def test_events_that_did_not_arrive_are_counted():
    plan = plan_of("file-opens")
    others = [("value", [EVENT_MARK, 0, AT + late, 1, 10, SH, 0, 3, 0, "x"]) for late in (3, 1)]
    events, left, tally = read_events([("printf", "x"), *others], plan, None, _moment())
    assert left == [("printf", "x")]
    assert [event["time_seconds"] for event in events] == [None, None]
    assert events[0]["time"] <= events[1]["time"]
    table = {"name": "reported", "events_of": "open", "rows": [{"key": {}, "value": 5}]}
    (problem,) = event_problems([table], tally)
    assert (problem["code"], problem["count"]) == ("events-missing", 3)
    table["rows"][0]["value"] = 2
    assert list(event_problems([table], tally)) == []


def _moment():
    from runner.bpftrace.recording import Moment

    return Moment.now()


@pytest.fixture
def emitter():
    recipe = find_recipe("file-opens").recipe
    return Emitter(
        [event.declaration() for event in recipe.events], [each.declaration() for each in recipe.outputs]
    )


FIELDS = {"pid": "pid", "comm": "$leader", "fd": "$fd", "error": "$error", "filename": "str($p)"}


def test_a_statement_counts_what_it_prints(emitter):
    text = emitter("open", at="$now", **FIELDS)
    assert text.startswith(f"print(((uint64){EVENT_MARK}, (uint64)0, (uint64)$now, (uint64)tid, ")
    assert text.endswith("@reported = count();")


@pytest.mark.parametrize(
    ("event", "given", "message"),
    [
        ("opens", FIELDS, "there are open"),
        ("open", {**FIELDS, "path": "1"}, "no field path"),
        ("open", {name: FIELDS[name] for name in ("pid", "comm")}, "it has no error, fd, filename"),
        ("open", {**FIELDS, "at": "nsecs"}, "at is a variable"),
        ("open", {**FIELDS, "at": None}, "at is a variable"),
        ("open", {**FIELDS, "fd": 3}, "only text of the template is code"),
        ("open", {**FIELDS, "comm": "comm"}, "comm is a text"),
    ],
)
def test_mistakes_in_a_template_are_named(emitter, event, given, message):
    with pytest.raises(MistakenRecord, match=message):
        emitter(event, **{"at": "$now", **given})


def test_only_what_has_no_size_goes_in_pieces(emitter):
    with pytest.raises(MistakenRecord, match="no field that goes in pieces"):
        emitter.piece("open", "filename", "str($p)", at="$now")


EVENT = {
    "name": "exec",
    "time": "2026-11-24T10:00:00.123Z",
    "time_seconds": 1.5,
    "fields": {
        "pid": 10, "ppid": 9, "comm": "sh", "parent": {"text": "a\ufffd", "base64": "Yf8="}, "executable": None,
        "arguments": ["sh", "it's \x1b[31m", "a b"],
    },
    "damaged": ["executable"],
}  # fmt: skip


def test_rows_stand_below_their_columns():
    columns = EventColumns(event.declaration() for event in find_recipe("execsnoop").recipe.events)
    head = columns.head().splitlines()
    row = columns.row(EVENT)
    assert len(head) == 2
    assert head[0].index("comm") == row.index("sh ")
    assert row.startswith("10:00:00.123 exec ")
    # What a program calls itself moves no cursor, and what is shown can be typed into a shell.
    assert "\x1b" not in row
    assert r"""- (cut)""" in row
    assert row.endswith("""'it'"'"'s \\x1b[31m' 'a b'\n""")


def test_a_line_says_what_it_is():
    document = json.loads(event_line(EVENT, "execsnoop"))
    assert document["schema"] == "ebpf-recipe/event/v1"
    assert document["fields"] == EVENT["fields"]
    assert "pid=10" in format_events([EVENT])


@pytest.mark.parametrize(
    "wrong",
    [5, None, True, 1.5, [], {}],
)
def test_a_text_that_is_none_is_refused(wrong):
    plan = plan_of("file-opens")
    with pytest.raises(NotUnderstood, match="shape that is not declared"):
        read_events([("value", [EVENT_MARK, 0, AT, 1, 10, SH, 0, 3, 0, wrong])], plan, None, _moment())


@pytest.mark.parametrize("wrong", [1 << 64, 10**29, True, "1_0", "\u0667", 1.5, float("inf"), None, [1]])
def test_a_number_that_is_none_is_refused(wrong):
    plan = plan_of("file-opens")
    for place in (1, 2, 3, 4, 7, 8):
        data = [EVENT_MARK, 0, AT, 1, 10, SH, 0, 3, 0, "x"]
        data[place] = wrong
        with pytest.raises(NotUnderstood, match="shape that is not declared"):
            read_events([("value", data)], plan, None, _moment())


def test_a_name_of_a_field_moves_no_cursor():
    shown = format_events([{**EVENT, "name": "a\x1b[2J", "fields": {"b\x1b[31m": 1}}])
    assert "\x1b" not in shown

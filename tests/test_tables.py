import json
import re

import pytest

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.output import ErrorMessage
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.buckets import LogBuckets
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.capture.words import name_to_words
from runner.errors import NotUnderstood

OWNER = KeyDeclaration("comm", "comm", owner=True)
TABLE = TableDeclaration(
    "t",
    "@t",
    "count",
    "packets",
    (KeyDeclaration("pid", "integer", owner=True), OWNER, KeyDeclaration("remote", "ip")),
)
PLAIN = Evidence.of((0, 21, 0))
TOTAL = TableDeclaration("t_total", "@t_total", "count", "packets", total_of="t")


def decode(*lines, declarations=(TABLE,), room=4096, evidence=PLAIN):
    messages = read_messages(("\n".join(lines) + "\n").encode(), evidence)
    tables, problems = decode_tables(declarations, messages, Context(evidence.dialect, Names("little"), room))
    return tables[0]["rows"], problems


def key(name, pid=7, remote="10.0.0.1"):
    first, second = name_to_words(name, "little")
    return f"{pid},{first},{second},{remote}"


def line(pairs, kind="map", name="@t"):
    body = ", ".join(f"{json.dumps(str(k))}: {v}" for k, v in pairs)
    return f'{{"type": "{kind}", "data": {{"{name}": {{{body}}}}}}}'


@pytest.mark.parametrize(
    "name",
    [
        b"a b",
        b"a,b",
        b"a, b",
        b"(x)",
        b'q"uote',
        b"back\\slash",
        b"tab\ttab",
        "ünï".encode(),
        b"@fake[1]: 5",
        b"new\nline",
        b"x" * 15,
    ],
)
def test_names_are_exact(name):
    rows, _ = decode(line([(key(name), 3)]))
    assert rows == [{"key": {"pid": 7, "comm": name.decode(), "remote": "10.0.0.1"}, "value": 3}]


def test_a_name_that_is_not_utf8_keeps_its_bytes():
    rows, _ = decode(line([(key(b"\xff\xfe"), 3)]))
    assert rows[0]["key"]["comm"] == {"text": "��", "base64": "//4="}


def test_calls_whose_return_was_not_seen_degrade_the_result():
    missed = TableDeclaration("u", "@u", "count", "calls", unreturned_of="t")
    line_of = '{{"type": "map", "data": {{"@u": {}}}}}'
    _, problems = decode(line_of.format(3), declarations=(TABLE, missed))
    assert [(each["code"], each["count"]) for each in problems] == [("returns-missed", 3)]
    assert problems[0]["detail"].startswith("t: 3 calls were not followed to their return")
    assert decode(line_of.format(0), declarations=(TABLE, missed))[1] == []


def test_ends_that_the_kernel_did_not_show_degrade_the_result():
    missed = TableDeclaration("u", "@u", "count", "calls", unseen_of="t")
    line_of = '{{"type": "map", "data": {{"@u": {}}}}}'
    _, problems = decode(line_of.format(2), declarations=(TABLE, missed))
    assert [(each["code"], each["count"]) for each in problems] == [("ends-missed", 2)]
    assert problems[0]["detail"].startswith("t: the kernel did not run the program at the end of 2")
    assert decode(line_of.format(0), declarations=(TABLE, missed))[1] == []


def test_nobody_is_unattributed_and_somebody_called_nothing_is_not():
    rows, _ = decode(line([(key(b"", pid=0), 3), (key(b"", pid=9), 2)]))
    assert rows[0] == {
        "key": {"pid": None, "comm": None, "remote": "10.0.0.1"},
        "value": 3,
        "unattributed": True,
    }
    assert rows[1] == {"key": {"pid": 9, "comm": "", "remote": "10.0.0.1"}, "value": 2}


def test_keys_that_decode_to_the_same_are_one_row():
    stale = f"7,{int.from_bytes(b'ls' + bytes(1) + b'stale', 'little')},5,10.0.0.1"
    rows, _ = decode(line([(key(b"ls"), 3), (stale, 4), (key(b"ls", remote="::ffff:10.0.0.1"), 5)]))
    assert rows == [{"key": {"pid": 7, "comm": "ls", "remote": "10.0.0.1"}, "value": 12}]


def test_a_key_that_stands_twice_counts_twice():
    rows, _ = decode(line([(key(b"a"), 3), (key(b"a"), 4)]))
    assert rows[0]["value"] == 7


def test_the_last_printing_of_a_map_counts():
    rows, _ = decode(line([(key(b"a"), 3)]), line([(key(b"a"), 5)]))
    assert rows[0]["value"] == 5


def test_integers_that_bpftrace_prints_as_strings():
    rows, _ = decode(line([(key(b"a"), '"18446744073709551615"')]))
    assert rows[0]["value"] == 2**64 - 1


def test_rows_that_found_no_room_are_counted():
    rows, problems = decode(
        line([(key(b"a"), 3)]),
        '{"type": "map", "data": {"@t_total": 10}}',
        declarations=(TABLE, TOTAL),
        room=1,
    )
    assert rows[0]["value"] == 3
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", 7)]


def test_first_counts_that_are_lost_are_not_taken_for_a_lack_of_room():
    raced = '{"type": "helper_error", "helper": "map_update_elem", "retcode": -17, "line": 1, "col": 9}'
    total = '{"type": "map", "data": {"@t_total": 5}}'
    _, problems = decode(raced, raced, line([(key(b"a"), 3)]), total, declarations=(TABLE, TOTAL))
    assert problems == []
    _, problems = decode(raced, line([(key(b"a"), 3)]), total, declarations=(TABLE, TOTAL))
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", 1)]


def test_a_full_map_without_a_total_is_suspected():
    _, problems = decode(line([(key(b"a"), 3)]), room=1)
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", None)]


def test_a_told_refusal_is_counted_and_a_map_that_is_just_full_is_not_a_problem():
    told = Evidence.of((0, 23, 2))
    refusal = '{"type": "helper_error", "msg": "Map full", "helper": "map_update_elem", "retcode": -7, "line": 1, "col": 9}'
    _, problems = decode(line([(key(b"a"), 3)]), room=1, evidence=told)
    assert problems == []
    _, problems = decode(refusal, refusal, line([(key(b"a"), 3)]), room=1, evidence=told)
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", 2)]
    assert "--max-map-keys" in problems[0]["cure"]


def test_a_full_map_of_the_programs_own_is_told():
    refusal = '{"type": "helper_error", "helper": "map_update_elem", "retcode": -7, "line": 1, "col": 9}'
    _, problems = decode(refusal, line([(key(b"a"), 3)]))
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", 1)]


def test_an_average_takes_two_cells_up_to_0_20():
    declaration = TableDeclaration("t", "@t", "stats", "us", (KeyDeclaration("a", "integer"),))
    printed = '{"type": "stats", "data": {"@t": {"1": {"count": 2, "average": 2, "total": 5}}}}'
    for version, codes in (((0, 17, 0), ["map-full"]), ((0, 23, 2), [])):
        _, problems = decode(printed, declarations=(declaration,), room=2, evidence=Evidence.of(version))
        assert [problem["code"] for problem in problems] == codes


@pytest.mark.parametrize(
    ("kind", "unsigned", "printed", "value"),
    [
        ("min", False, {0: 2**63 - 1 - 3}, 3),
        ("min", False, {0: 2**63 - 1 - 3, 1: 2**63 - 1}, -(2**63)),
        ("max", False, {0: 5, 1: 2**63 - 1}, 5),
        ("max", False, {1: 2**63 - 7}, -7),
        ("min", True, {0: 2**63 - 1 - 3, 1: 2**63 - 1}, 3),
        ("max", True, {0: 5, 1: 2**63 - 1}, 2**64 - 1),
    ],
)
def test_extremes_travel_in_two_halves(kind, unsigned, printed, value):
    declaration = TableDeclaration("t", "@t", kind, "us", unsigned=unsigned)
    rows, _ = decode(line(printed.items()), declarations=(declaration,))
    assert rows == [{"key": {}, "value": value}]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("count", [{"key": {}, "value": 0}]),
        ("sum", [{"key": {}, "value": 0}]),
        ("min", []),
        ("stats", []),
        ("value", []),
    ],
)
def test_what_was_never_written(kind, rows):
    declaration = TableDeclaration("t", "@t", kind, "us")
    assert decode(declarations=(declaration,))[0] == rows


def test_a_zeroed_histogram_has_no_events():
    declaration = TableDeclaration("t", "@t", "histogram", "us", buckets=LogBuckets())
    rows, _ = decode('{"type": "hist", "data": {"@t": []}}', declarations=(declaration,))
    assert [(row["count"], row["buckets"]) for row in rows] == [(0, [])]


STACKS = TableDeclaration(
    "t",
    "@t",
    "count",
    "samples",
    (
        KeyDeclaration("pid", "integer"),
        KeyDeclaration("kernel", "kernel-stack"),
        KeyDeclaration("user", "user-stack"),
    ),
)


def test_a_hostile_symbol_ends_neither_its_stack_nor_its_row():
    hostile = '\n\t7f00 evil\n,8,9 (/tmp/x "y")\n\t7f01 @fake[1]: 5+2 (/tmp/z)\n'
    printed = f"7,\n\tffff vfs_read+1\n,{hostile}"
    rows, _ = decode(line([(printed, 4)]), declarations=(STACKS,))
    assert rows[0]["key"]["pid"] == 7
    assert rows[0]["key"]["kernel"] == [{"address": "0xffff", "symbol": "vfs_read", "offset": 1}]
    assert rows[0]["key"]["user"][-1]["symbol"] == "@fake[1]: 5"


def rows_of_027(*looped):
    squeezed = "7,\n,\n\t7f00f(int,long)+3(/tmp/ax)\n"
    lines = [json.dumps({"type": "value", "data": ["@t", [7, "\n", stack], n]}) for stack, n in looped]
    lines.append(line([(squeezed, 4)]))
    return decode(*lines, declarations=(STACKS,), evidence=Evidence.of((0, 27, 1)))


def test_spaces_that_a_key_lost_come_back_from_the_row_itself():
    rows, problems = rows_of_027(("\n\t7f00 f(int, long)+3 (/tmp/a x)\n", 4))
    assert problems == []
    frame = {"address": "0x7f00", "symbol": "f(int, long)", "offset": 3, "module": "/tmp/a x"}
    assert rows == [{"key": {"pid": 7, "kernel": [], "user": [frame]}, "value": 4}]


def test_a_row_that_was_lost_leaves_a_marked_one():
    rows, problems = rows_of_027(("\n\t7f00 g()+3 (/tmp/ax)\n", 4))
    assert [problem["code"] for problem in problems] == ["rows-damaged"]
    assert rows[0]["damaged"] == ["user"]
    assert rows[0]["value"] == 4


def test_a_stack_as_deep_as_the_kernel_keeps_may_go_on():
    stack = "".join(f"\n\t{n:x} f (/x)" for n in range(127))
    _, problems = decode(line([(f"7,,{stack}\n", 4)]), declarations=(STACKS,))
    assert [problem["code"] for problem in problems] == ["stacks-cut"]


def test_a_text_that_fills_its_room_may_go_on():
    declaration = TableDeclaration("t", "@t", "count", "us", (KeyDeclaration("a", "string", bytes=8),))
    whole, cut = (int.from_bytes(text, "little") for text in (b"sda\0\0\0\0\0", b"mapper-0"))
    rows, problems = decode(line([(whole, 1), (cut, 2)]), declarations=(declaration,))
    assert [row["key"]["a"] for row in rows] == ["mapper-0", "sda"]
    assert [(problem["code"], problem["count"]) for problem in problems] == [("strings-cut", 1)]


def test_a_process_called_none_is_not_an_unknown_one():
    rows, _ = decode(line([(key(b"None", pid=0), 3), (key(b"", pid=0), 2)]))
    assert [row["value"] for row in rows] == [3, 2]


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (line([("1,2,3", 1)]), "does not have the parts"),
        (line([("1,2,3,4,5", 1)]), "does not have the parts"),
        (line([("a,2,3,10.0.0.1", 1)]), "does not fit"),
        (line([("1,2,3,nowhere", 1)]), "does not fit"),
        (line([(key(b"a"), '"many"')]), "is not a whole number"),
        (line([(key(b"a"), "true")]), "is not a whole number"),
        ('{"type": "map", "data": {"@t": 5}}', "was printed without keys"),
    ],
)
def test_what_does_not_fit_the_declaration_is_not_guessed(printed, message):
    with pytest.raises(NotUnderstood, match=re.escape(message)):
        decode(printed)


def test_broken_json_is_not_dropped():
    with pytest.raises(NotUnderstood, match="not to be understood at byte 3"):
        decode("ab", '{"type": "map", "data": {"@t": {"1"}}}')


def test_an_unfinished_last_line_is_left_out():
    messages = read_messages(b'{"type": "map", "data": {"@a": 1}}\n{"type": "map", "data": {"@b', PLAIN)
    assert {name: printed.value for name, printed in messages.maps.items()} == {"@a": 1}
    assert messages.is_cut


def test_what_is_not_json_is_kept_as_text():
    messages = read_messages(b'\n\nhello\n{"type": "time", "data": "06:11:10\\n"}\n', PLAIN)
    assert messages.text_lines == [b"hello"]
    assert [kind for kind, _ in messages.others] == ["time"]


def test_losses_and_errors_are_counted():
    messages = read_messages(
        b'{"type": "lost_events", "count": 3, "data": {"events": 3}}\n'
        b'{"type": "lost_events", "data": {"events": 4}}\n'
        b'{"type": "lost_events", "data": "Failed to attach watchpoint probe."}\n'
        b'{"type": "helper_error", "msg": "x", "helper": "probe_read", "retcode": -14, "line": 1, "col": 5}\n'
        b'{"type": "runtime_error", "msg": "Divide", "filename": "stdin", "line": 1, "col": 9}\n',
        PLAIN,
        {b'{"type": "helper_error", "helper": "probe_read", "retcode": -14, "line": 2, "col": 5}': 40},
    )
    assert messages.lost_events == 7
    assert messages.errors == {
        ErrorMessage("helper_error", "probe_read", -14, "x", "1:5"): 1,
        ErrorMessage("helper_error", "probe_read", -14, "", "2:5"): 40,
        ErrorMessage("runtime_error", "", 0, "Divide", "1:9"): 1,
    }
    assert [kind for kind, _ in messages.others] == ["lost_events"]


@pytest.mark.parametrize("raw", ["f\\uffffffc3\\uffffffbc", "fü"])
def test_a_symbol_with_other_letters_is_restored_and_counted(raw):
    printed = f'{{"type": "map", "data": {{"@t": {{"7,\\n,\\n\\t7f00 {raw}+1 (/x)\\n": 4}}}}}}'.replace(
        "\n", "\\n"
    )
    messages = read_messages(printed.replace("\t", "\\t").encode() + b"\n", PLAIN)
    tables, _ = decode_tables((STACKS,), messages, Context(PLAIN.dialect, Names("little"), 100))
    assert tables[0]["rows"][0]["key"]["user"][0]["symbol"] == "fü"
    assert messages.repaired == raw.count("\\uffffffc3")

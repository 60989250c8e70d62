import re

import pytest

from runner.bpftrace.messages import read_messages
from runner.bpftrace.tables import decode_tables
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
TOTAL = TableDeclaration("t_total", "@t_total", "count", "packets", total_of="t")


def decode(*lines, declarations=(TABLE,), room=4096):
    messages = read_messages(("\n".join(lines) + "\n").encode())
    tables, problems = decode_tables(declarations, messages, "little", room)
    return tables[0]["rows"], problems


def key(name, pid=7, remote="10.0.0.1"):
    first, second = name_to_words(name, "little")
    return f"{pid},{first},{second},{remote}"


def line(pairs, kind="map", name="@t"):
    body = ", ".join(f'"{k}": {v}' for k, v in pairs)
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


def test_a_full_map_without_a_total_is_suspected():
    _, problems = decode(line([(key(b"a"), 3)]), room=1)
    assert [(p["code"], p["count"]) for p in problems] == [("map-full", None)]


@pytest.mark.parametrize("kind", ["min", "max"])
def test_extremes_of_equal_keys(kind):
    declaration = TableDeclaration("t", "@t", kind, "us", (KeyDeclaration("a", "ip"),))
    rows, _ = decode(line([("10.0.0.1", 3), ("::ffff:10.0.0.1", 5)]), declarations=(declaration,))
    assert rows[0]["value"] == {"min": 3, "max": 5}[kind]


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (line([("1,2,3", 1)]), "has not 4 parts"),
        (line([("1,2,3,4,5", 1)]), "has not 4 parts"),
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
    with pytest.raises(NotUnderstood, match="JSON that is none"):
        decode('{"type": "map", "data": {"@t": {"1": }}}')


def test_an_unfinished_last_line_is_left_out():
    messages = read_messages(b'{"type": "map", "data": {"@a": 1}}\n{"type": "map", "data": {"@b')
    assert messages.maps == {"@a": ("map", 1)}


def test_what_is_not_json_is_kept_as_text():
    messages = read_messages(b'\n\nhello\n{"type": "time", "data": "06:11:10\\n"}\n')
    assert messages.text_lines == [b"hello"]
    assert [kind for kind, _ in messages.others] == ["time"]


def test_losses_and_refused_updates_are_counted():
    messages = read_messages(
        b'{"type": "lost_events", "count": 3, "data": {"events": 3}}\n'
        b'{"type": "lost_events", "data": {"events": 4}}\n'
        b'{"type": "helper_error", "msg": "x", "helper": "map_update_elem", "retcode": -7, "line": 1, "col": 5}\n'
    )
    assert messages.lost_events == 7
    assert messages.helper_errors == [("map_update_elem", -7)]

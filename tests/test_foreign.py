"""Tables of maps that nobody declared: typed where there is one way to read them, marked where there are more."""

import json

import pytest

from runner.bpftrace.script import Script
from runner.decode import decode

V17, V23, V27 = (0, 17, 0), (0, 23, 2), (0, 27, 1)


def capture_of(text, *, version=None, script=None):
    return decode([text.encode(errors="surrogateescape")], version=version, script=script and Script(script))


def rows_of(text, **given):
    (table,) = capture_of(text, **given)["tables"]
    return table["rows"]


def codes(capture):
    return {problem["code"]: problem["count"] for problem in capture["quality"]["problems"]}


@pytest.mark.parametrize(
    ("key", "script", "expected"),
    [
        ("nginx, 5", "p:x { @m[comm, pid] = 1; }", {"comm": "nginx", "pid": 5}),
        ("a, b, 5", "p:x { @m[comm] = 1; }", {"comm": "a, b, 5"}),
        ("5", None, {"key": 5}),
        ("nginx", None, {"key": "nginx"}),
        ("007", None, {"key": "007"}),
        ("-0", None, {"key": "-0"}),
        ("true", None, {"key": "true"}),
    ],
)
def test_a_key_that_can_be_read_in_one_way(key, script, expected):
    (row,) = rows_of(f"@m[{key}]: 1\n", version=V23, script=script)
    assert row == {"key": expected, "value": 1}


def test_a_key_that_can_be_cut_in_several_ways_is_marked_and_not_guessed():
    capture = capture_of("@m[a, b]: 1\n", version=V23)
    assert capture["tables"][0]["rows"] == [{"key": {"key": "a, b"}, "value": 1, "ambiguous": ["key"]}]
    assert codes(capture) == {"rows-ambiguous": 1}
    assert capture["quality"]["grade"] == "degraded"
    (row,) = rows_of("@m[a, b, c]: 1\n", version=V23, script="p:x { @m[comm, comm] = 1; }")
    assert row["key"] == {"key1": "a, b, c", "key2": None}
    assert row["ambiguous"] == ["key1", "key2"]


def test_columns_of_numbers_settle_where_texts_end():
    rows = rows_of("@m[a, b, 5]: 1\n@m[c, 6]: 2\n", version=V23, script="p:x { @m[comm, pid] = 1; }")
    assert [row["key"] for row in rows] == [{"comm": "c", "pid": 6}, {"comm": "a, b", "pid": 5}]
    assert not any("ambiguous" in row for row in rows)


def test_stacks_tell_where_parts_end():
    text = "@m[sleep, \n    vfs_read+12\n    ksys_read+3\n, \n    0x7f00\n, 3]: 1\n"
    (table,) = capture_of("Attaching 1 probe...\n" + text)["tables"]
    (row,) = table["rows"]
    assert row["key"] == {
        "key1": "sleep",
        "key2": [{"symbol": "vfs_read", "offset": 12}, {"symbol": "ksys_read", "offset": 3}],
        "key3": [{"address": "0x7f00"}],
        "key4": 3,
    }


def test_spaces_that_json_drops_since_0_24_are_told():
    line = '{"type": "map", "data": {"@m": {"ab": 1, "17": 2, "127.0.0.1": 3}}}\n'
    capture = capture_of(line, version=V27)
    marked = {row["key"]["key"]: row.get("damaged") for row in capture["tables"][0]["rows"]}
    assert marked == {"ab": ["key"], "17": None, "127.0.0.1": None}
    assert codes(capture) == {"spaces-lost": 1}
    assert codes(capture_of(line, version=V23)) == {}
    # Without knowing the release they may have been lost or not.
    assert codes(capture_of(line)) == {"rows-ambiguous": 1}


def test_parentheses_that_text_drops_since_0_24_are_told_and_degrade_nothing():
    capture = capture_of(
        "@m[sd-pam]: 1\n@two[sd-pam, 1]: 1\n", version=V27, script="p:x { @m[comm] = 1; @two[comm, 1] = 1; }"
    )
    assert codes(capture) == {"parentheses-lost": 1}
    assert capture["quality"]["grade"] == "usable"


def test_keys_that_stand_twice():
    twice = '{"type": "map", "data": {"@m": {"a,b,c": 1, "a,b,c": 2}}}\n'
    rows = rows_of(twice, version=V23)
    assert [(row["value"], row["ambiguous"]) for row in rows] == [(2, ["key"]), (1, ["key"])]
    # Where the script says that they are counts they add up.
    (row,) = rows_of(twice, version=V23, script="p:x { @m[comm] = count(); }")
    assert row == {"key": {"comm": "a,b,c"}, "value": 3}


def test_escapes_of_a_release_that_is_not_known():
    line = '{"type": "map", "data": {"@m": {"a\\\\\\"b": 1}}}\n'
    assert rows_of(line, version=V17) == [{"key": {"key": 'a\\"b'}, "value": 1}]
    assert rows_of(line, version=V23) == [{"key": {"key": 'a"b'}, "value": 1}]
    (row,) = rows_of('{"type": "attached_probes", "data": {"probes": 1}}\n' + line)
    assert row["ambiguous"] == ["key"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [(V17, [None, False]), (V23, [2**32 - 1, False]), (None, [2**32 - 1, True])],
)
def test_the_last_bucket_up_to_0_19_is_open(version, expected):
    (row,) = rows_of("@h: \n[2G, 4G)               3 |@@@|\n\n", version=version)
    assert [row["buckets"][0]["upper"], "ambiguous" in row] == expected


def test_values_of_every_type():
    text = (
        "Attached 1 probe\n@array: [1,-2,3]\n@bool: true\n@flags[1]: false\n@flags[2]: true\n@neg: -5\n"
        "@record: { .a = 1 }\n@big: 18446744073709551615\n@text: a b\n@empty: \n@ptr: 0xffff888100000000\n"
    )
    values = {table["map"]: [row["value"] for row in table["rows"]] for table in capture_of(text)["tables"]}
    assert values == {
        "@array": [[1, -2, 3]], "@bool": ["true"], "@flags": ["false", "true"], "@neg": [-5],
        "@record": ["{ .a = 1 }"], "@big": [2**64 - 1], "@text": ["a b"], "@empty": [""],
        "@ptr": ["0xffff888100000000"],
    }  # fmt: skip


def test_a_structure_is_no_map_with_keys():
    line = '{"type": "map", "data": {"@s": { "a": 0, "b": 5 }}}\n'
    assert rows_of(line, version=V23) == [{"key": {}, "value": {"a": 0, "b": 5}}]
    newer = '{"type": "map", "data": {"@s": {"a": 0, "b": "x"}}}\n'
    assert rows_of(newer, version=V27) == [{"key": {}, "value": {"a": 0, "b": "x"}}]
    keyed = rows_of('{"type": "map", "data": {"@s": {"1": 0, "2": 5}}}\n', version=V27)
    assert [row["value"] for row in keyed] == [5, 0]
    (row,) = rows_of(newer.replace('"x"', "7"), version=V27, script="p:x { @s = *(struct s*)arg0; }")
    assert row["value"] == {"a": 0, "b": 7}


def test_maps_that_are_printed_meanwhile_are_messages_in_their_order():
    lines = [
        {"type": "time", "data": "12:00:01\n"}, {"type": "map", "data": {"@m": {"a": 1}}},
        {"type": "time", "data": "12:00:02\n"}, {"type": "map", "data": {"@m": {"a": 2}}},
        {"type": "printf", "data": "bye\n"}, {"type": "map", "data": {"@a": 1}}, {"type": "map", "data": {"@m": {"a": 3}}},
    ]  # fmt: skip
    capture = capture_of("".join(json.dumps(line) + "\n" for line in lines), version=V23)
    assert [(t["map"], t["rows"][0]["value"]) for t in capture["tables"]] == [("@a", 1), ("@m", 3)]
    shown = [m["data"]["rows"][0]["value"] if m["type"] == "map" else m["text"] for m in capture["messages"]]
    assert shown == ["12:00:01\n", 1, "12:00:02\n", 2, "bye\n"]


def test_of_a_map_that_is_not_printed_at_the_end_the_last_printing_counts():
    capture = capture_of("@m[a]: 1\nbye\n", version=V23)
    assert capture["tables"][0]["rows"][0]["value"] == 1
    assert [m["text"] for m in capture["messages"]] == ["@m", "bye\n"]


def test_a_text_that_looks_like_a_map_is_none_where_the_script_has_no_such_map():
    text = "@fake: 5\n@m: 6\n"
    assert [t["map"] for t in capture_of(text, version=V23)["tables"]] == ["@fake", "@m"]
    capture = capture_of(text, version=V23, script="p:x { @m = 6; }")
    assert [t["map"] for t in capture["tables"]] == ["@m"]
    assert [m["text"] for m in capture["messages"]] == ["@fake: 5\n"]


def test_what_the_kernel_refused_is_told_in_text_too():
    told = (
        "stdin:1:20-29: WARNING: Map full; can't update element. Try increasing max_map_keys config\n"
        "Additional Info - helper: map_update_elem, retcode: -7\n@a[1] = 1; @a[2] = 2;\n           ~~~~~~~~~\n"
    )
    capture = capture_of(told + "@a[1]: 1\n")
    assert codes(capture) == {"map-full": 1}
    assert capture["messages"] == []
    raced = (
        "stdin:1:8-9: WARNING: File exists\nAdditional Info - helper: map_update_elem, retcode: -17\nx\n~\n"
    )
    assert codes(capture_of(raced + "@a[1]: 1\n")) == {"first-counts-lost": 1}
    older = "stdin:1:26-27: WARNING: Failed to probe_read: Bad address (-14)\nprogram\n ~\n@a[1]: 1\n"
    assert codes(capture_of(older)) == {"helper-errors": 1}


def test_what_somebody_else_wrote_stands_among_the_messages():
    line = '{"type": "map", "data": {"@m": 1}}\n'
    capture = capture_of("hello\nhalf a line" + line, version=V23)
    assert [m["text"] for m in capture["messages"]] == ["hello\n".strip(), "half a line"]
    assert capture["tables"][0]["rows"] == [{"key": {}, "value": 1}]


def test_output_of_several_releases_is_told():
    both = '{"type": "attached_probes", "count": 1, "data": {"probes": 1}}\n{"type": "attached_probes", "data": {"probes": 1}}\n'
    assert "release-unclear" in codes(capture_of(both))


def test_a_histogram_that_was_cut_between_its_rows_is_told():
    """An empty line ends it."""
    capture = capture_of("@h:\n[0]                    3 |@@@|\n[1]                    2 |@@ |\n", version=V23)
    assert "output-cut" in codes(capture)
    assert capture["tables"][0]["rows"][0]["ambiguous"] == ["value"]


@pytest.mark.parametrize("size", [1, 40, 1000])
def test_a_line_that_only_looks_like_a_row_ends_a_histogram(size):
    row = "[{}]{:>21} |@@@|\n"
    text = (
        "Attached 1 probe\n@h:\n"
        + row.format(0, 3)
        + row.format(1, 2)
        + row.format("x", 1)
        + row.format(2, 9)
    )
    pieces = [text.encode()[start : start + size] for start in range(0, len(text), size)]
    (table,) = decode(pieces)["tables"]
    assert [bucket["count"] for bucket in table["rows"][0]["buckets"]] == [3, 2]


def test_what_an_error_says_need_not_be_utf_8():
    told = "stdin:1:1-2: WARNING: Divide or modulo by 0 \udcff\nprogram\n ~\n@a: 1\n"
    (problem,) = capture_of(told, version=V23)["quality"]["problems"]
    assert (problem["code"], problem["count"]) == ("runtime-errors", 1)
    assert "\ufffd" in problem["detail"]


def test_doubts_of_a_map_that_is_not_printed_at_the_end_are_counted_once():
    assert codes(capture_of("@m[a, b]: 1\nbye\n", version=V23)) == {"rows-ambiguous": 1}

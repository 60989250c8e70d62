"""What a foreign script says of its maps, and where our own statements may stand in it."""

import pytest

from runner.bpftrace.dialect import dialect_of
from runner.bpftrace.script import Script
from runner.bpftrace.script_frame import carrier_for, frame_script, own_places

OLD, NEW = dialect_of((0, 23, 2)), dialect_of((0, 27, 1))


@pytest.mark.parametrize(
    ("text", "name", "parts", "columns", "kind"),
    [
        ("p:x { @[comm] = count(); }", "@", 1, ["comm"], "count"),
        ("p:x { @a = sum($x); }", "@a", 0, [], "sum"),
        ("p:x { @a[pid, str(args->path, 64)] = lhist(1, 0, 9, 1); }", "@a", 2, ["pid", "str(args->path, 64)"], "histogram"),
        ("p:x { @a[tid] = nsecs; } p:y /@a[tid]/ { delete(@a[tid]); }", "@a", 1, ["tid"], None),
        ("p:x { @a[tid] = nsecs; } p:y { delete(@a, tid); print(@a); }", "@a", 1, ["tid"], None),
        ("p:x { @a[pid] = 1; } p:y { @a[tid] = 1; }", "@a", 1, [""], None),
        ("p:x { $t = (1, 2); @a[$t] = 1; }", "@a", None, ["$t"], None),
        ("p:x { @a[(1, 2)] = 1; }", "@a", None, ["(1, 2)"], None),
        ("p:x { @a[1] = 1; @a[1, 2] = 2; }", "@a", None, [], None),
        ("p:x { @a = 1; } END { for ($kv : @a) { } }", "@a", 0, [], None),
        ("p:x { @a[kstack(3), comm] = stats(1); }", "@a", 2, ["kstack(3)", "comm"], "stats"),
        ("p:x { @a[@b[tid], 1] = 1; @b[tid] = 2; }", "@b", 1, ["tid"], None),
    ],
)  # fmt: skip
def test_maps_and_their_keys(text, name, parts, columns, kind):
    use = Script(text).maps[name]
    assert (use.parts, use.columns, use.kind) == (parts, columns, kind)


def test_comments_and_texts_are_no_code():
    script = Script(
        '// @a[1, 2]\n/* BEGIN { @b = 1; } */\np:x { printf("BEGIN { @c[%d] %s", "@d"); @e = 1; } // }'
    )
    assert list(script.maps) == ["@e"]
    assert script.begin() is None


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN { @x = 1; }",
        "begin { @x = 1; }",
        "#!/usr/bin/env bpftrace\n/* BEGIN */ BEGIN\n{ @x = 1; }",
        "#include <a.h>\nstruct s { int BEGIN; };\nBEGIN { @x = 1; }",
        "p:x { if (1) { @y = 1; } }BEGIN { @x = 1; }",
        "END,\nBEGIN { @x = 1; }",
    ],
)
def test_what_is_ours_stands_in_the_scripts_own_begin(text):
    framed = frame_script(Script(text), carrier_for(Script(text), OLD), runner=None, limit_seconds=None)
    before, _, after = framed.text.partition(
        f' @zzzz_end = {framed.end_value}; printf("{framed.token}\\n"); '
    )
    assert before + after == text
    assert before.endswith("{")
    assert after.strip().startswith("@x = 1")


def test_a_script_without_a_begin_gets_one_behind_its_last_line():
    text = "p:BEGIN { @x = 1; } // the end"
    framed = frame_script(Script(text), carrier_for(Script(text), OLD), runner=1, limit_seconds=2)
    assert framed.text.startswith(text + "\nBEGIN { @zzzz_end = ")
    assert "sched_process_exit" in framed.text
    assert "interval:s:2" in framed.text


@pytest.mark.parametrize(
    ("text", "form", "rows"),
    [
        ("p:x { @a[comm] = count(); @b[pid] = hist(1); }", "json", ("@a",)),
        ("p:x { @a[comm] = hist(1); @b[comm] = count(); @c[cpu] = count(); }", "text", ("@b",)),
        ("p:x { @a[pid, tid, args->fd] = stats(1); }", "text", ()),
        ("p:x { @a[pid, tid, arg0, 5] = stats(1); @n = count(); }", "json", ()),
        ("p:x { @a = cgroup_path(1); }", "text", ()),
    ],
)
def test_the_format_that_loses_least(text, form, rows):
    carrier = carrier_for(Script(text), NEW)
    assert (carrier.form, carrier.row_maps) == (form, rows)
    assert carrier_for(Script(text), OLD).form == "json"


def test_maps_that_are_not_printed_at_the_end():
    assert not Script("config = { print_maps_on_exit=0 } p:x { @ = 1; }").prints_maps_at_the_end
    assert Script('p:x { @ = "print_maps_on_exit=0"; }').prints_maps_at_the_end


def test_bpftraces_places_are_those_of_the_script():
    script = Script("p:x { }\n  BEGIN { @x = ; }\np:y { @ = ; }")
    framed = frame_script(script, carrier_for(script, OLD), runner=None, limit_seconds=None)
    line = framed.text.splitlines()[1]
    printed = f"stdin:2:{line.index('; }') + 1}-{line.index('; }') + 2}: ERROR: a\nstdin:3:9-10: ERROR: b\nstdin:1-2: c"
    told = own_places(printed, "a.bt", script)
    assert told == "a.bt:2:16-17: ERROR: a\na.bt:3:9-10: ERROR: b\na.bt:1-2: c"

"""Statements of `record()`: right for what is declared, refused for anything else."""

import pytest
from markupsafe import Markup

from runner.capture.buckets import LinearBuckets, LogBuckets
from runner.capture.declaration import KeyDeclaration, TableDeclaration
from runner.recipe.recording import MistakenRecord, Recorder

PID, COMM, DISK = (
    KeyDeclaration("pid", "integer"),
    KeyDeclaration("comm", "comm"),
    KeyDeclaration("disk", "string", bytes=24),
)


def table(kind, *keys, **other):
    return TableDeclaration("t", "@t", kind, "us", keys, **other)


def recorded(declaration, *arguments, **keys):
    return str(Recorder([declaration])("t", *arguments, **keys))


@pytest.mark.parametrize(
    ("declaration", "arguments", "keys", "statement"),
    [
        (table("count"), (), {}, "@t = count();"),
        (table("count", PID), (), {"pid": "pid"}, "@t[(int64)((pid) + (int64)0)] = count();"),
        (
            table("count", COMM),
            (),
            {"comm": "$c"},
            "@t[(uint64)($c_0), (uint64)($c_1)] = count();",
        ),
        (
            table("count", COMM),
            (),
            {"comm": ["a", "b"]},
            "@t[(uint64)(a), (uint64)(b)] = count();",
        ),
        (
            table("count", DISK),
            (),
            {"disk": "$d"},
            "@t[(uint64)($d_0), (uint64)($d_1), (uint64)($d_2)] = count();",
        ),
        (table("sum"), ("$n",), {}, "@t = sum((int64)(($n) + (int64)0));"),
        (table("sum", unsigned=True), (Markup("$n"),), {}, "@t = sum((uint64)(($n) + (int64)0));"),
        (
            table("stats", PID),
            ("$n",),
            {"pid": "pid"},
            "@t[(int64)((pid) + (int64)0)] = stats((int64)(($n) + (int64)0));",
        ),
        (table("value"), ("$n",), {}, "@t = (int64)(($n) + (int64)0);"),
        (
            table("count", KeyDeclaration("k", "kernel-stack"), KeyDeclaration("u", "user-stack", depth=3)),
            (),
            {},
            "@t[kstack(perf, 127), ustack(perf, 3)] = count();",
        ),
        (
            table("time-series", interval_ns=1000),
            (),
            {},
            "@t[(uint64)nsecs / 1000] = count();",
        ),
    ],
)
def test_statements(declaration, arguments, keys, statement):
    assert recorded(declaration, *arguments, **keys) == statement


@pytest.mark.parametrize("value", ["args->fd", "$a << 3", "$a >> 3", "$a > 3 ? $b : 0", "$a - 3"])
def test_numbers_that_are_no_comparisons(value):
    assert f"({value})" in recorded(table("sum"), value)


def test_a_boolean_key_may_be_a_comparison():
    declaration = table("count", KeyDeclaration("is_big", "boolean"))
    assert recorded(declaration, is_big="$a > 3") == "@t[(uint64)(($a > 3) ? 1 : 0)] = count();"


def test_what_a_total_counts_is_counted_beside_it():
    total = TableDeclaration("t_total", "@t_total", "count", "us", total_of="t")
    text = Recorder([table("count", PID), total])("t", pid="pid")
    assert text.splitlines()[1].strip() == "@t_total = count();"


@pytest.mark.parametrize("buckets", [LogBuckets(0), LogBuckets(5), LinearBuckets(-10, 10, 5)])
def test_a_histogram_is_a_count_by_bucket(buckets):
    text = recorded(table("histogram", PID, buckets=buckets), "$n", pid="pid")
    assert text.endswith("@t[(int64)((pid) + (int64)0), $recorded_t_i] = count();")
    assert "hist(" not in text


@pytest.mark.parametrize(
    ("declaration", "arguments", "keys", "message"),
    [
        (table("count"), ("$n",), {}, "a count takes no value"),
        (table("sum"), (), {}, "a sum takes a value"),
        (table("count", PID), (), {}, "it has no pid"),
        (table("count"), (), {"pid": "pid"}, "it has no key pid; its keys are none"),
        (table("count", COMM), (), {"comm": "comm"}, "comm is a text: read it with include/words.bt.j2"),
        (table("count", COMM), (), {"comm": ["$a"]}, "comm has 2 words, not 1"),
        (table("sum"), (5,), {}, "only text of the template is code, not int"),
        (table("sum"), ("$a == 5",), {}, r"the value is a comparison, not a number: \(\$a == 5 \? 1 : 0\)"),
        (table("sum"), ("$a > 5",), {}, "is a comparison"),
        (table("count", PID), (), {"pid": "!$a"}, "the key pid is a comparison"),
        (table("count", PID), (), {"pid": 5}, "only text of the template is code, not int"),
    ],
)
def test_what_is_not_declared_is_not_recorded(declaration, arguments, keys, message):
    with pytest.raises(MistakenRecord, match=message):
        recorded(declaration, *arguments, **keys)


def test_an_unknown_table_names_those_that_there_are():
    with pytest.raises(MistakenRecord, match=r"record\('u'\): there are t"):
        Recorder([table("count")])("u")


@pytest.mark.parametrize("kind", ["min", "max", "histogram"])
def test_a_variable_of_the_author_keeps_its_value(kind):
    declaration = table(kind, buckets=LogBuckets() if kind == "histogram" else None)
    assert "$t =" not in recorded(declaration, "$t")

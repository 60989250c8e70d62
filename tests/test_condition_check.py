"""What a condition may ask of a table: every kind, unit and type of key, and what is said of the rest."""

import pytest

from runner.capture.amount_units import ways_to_write
from runner.capture.condition import parse_condition
from runner.capture.condition_check import (
    STATISTICS,
    TableShape,
    amount_in,
    check_condition,
    declared_shape,
    shape_of,
)
from runner.capture.declaration import KEY_TYPES, KINDS, Unit
from runner.errors import ValueRefused
from runner.recipe.catalogue import find_recipe
from tests.captures import capture, count, latency

LATENCY = TableShape("latency", "histogram", "us", {"comm": "comm", "pid": "integer"})
DROPS = TableShape("drops", "count", "packets", {"reason": "enum", "remote": "ip", "up": "boolean"})
SENT = TableShape("sent", "sum", "bytes", {"user": "user-stack"})
SHAPES = (LATENCY, DROPS, SENT, TableShape("waits", "stats", "ns", {}), TableShape("bare", "value", None, {}))

GOOD = [
    "latency.p50 <= 10us", "latency.p95 < 1ms", "latency.p99 > 1s", "latency.p999 >= 0.5m", "latency.mean = 1000ns",
    "latency.count >= 1000", "latency.count >= 1000 events", "latency.rate >= 100/s", "latency.rate >= 6000 events/m",
    "latency.above(10ms) <= 1%", "latency{comm=nginx,pid=12}.above(1500ns) = 0%", "latency{comm=ngin*}.p99 < 1ms",
    "drops.total = 0", "drops.total != 3 packets", "drops.rate <= 5/s", "drops.rate <= 300 packets/h",
    "drops{remote=10.0.0.1,up=true}.total = 0", 'drops{reason="NO SOCKET"}.total = 0',
    "sent.total <= 10MB", "sent.total <= 10 bytes", "sent.total <= 10B", "sent.rate <= 1.5MiB/s", "sent.rate < 1GB/h",
    "waits.mean <= 10us", "waits.total <= 1s", "waits.count > 10", "waits.rate <= 5ms/s",
    "latency.p99 not worse by 10%", "latency.above(10ms) not worse by 10%",
]  # fmt: skip

BAD = [
    ("latencies.p99 <= 1ms", 1, "no table 'latencies': did you mean latency?", "tables: latency, drops, sent"),
    ("latency.p9 <= 10ms", 9, "has no p9: did you mean p99", "statistics of latency: p50"),
    ("latency.total <= 10ms", 9, "is a histogram and has no total", "above(…)"),
    ("drops.p99 <= 10", 7, "drops is a count and has no p99", "statistics of drops: total, rate"),
    ("bare.total <= 10", 6, "bare is a value and has no total", "its JSON"),
    ("latency{com=nginx}.p99 <= 10ms", 9, "no key 'com': did you mean comm?", "keys of latency: comm, pid"),
    ("waits{pid=1}.mean < 10ms", 7, "waits has no key 'pid'", "keys of waits: none"),
    ("latency{pid=nginx}.p99 <= 10ms", 9, "pid is a number, 'nginx' is none", None),
    ("latency{pid=1*}.p99 <= 10ms", 9, "pid is a number", None),
    ("drops{up=yes}.total = 0", 7, "up is true or false", "up=true"),
    ("drops{remote=10.0.0}.total = 0", 7, "'10.0.0' is none", "remote=10.0.0.1"),
    ("sent{user=main}.total < 1MB", 6, "user is a stack", None),
    ("latency.p99 <= 10", 16, "latency.p99 is in us, 10 is not", "ns, us, ms, s, m"),
    ("latency.p99 <= 10 packets", 16, "latency.p99 is in us, 10 packets is not", "ns, us, ms, s, m"),
    ("latency.p99 <= 10ms/s", 16, "10ms/s is not", None),
    ("latency.p99(10ms) <= 10ms", 13, "p99 has no threshold", "above(10ms)"),
    ("latency.above(10) <= 1%", 15, "latency is in us, 10 is not", "ns, us, ms"),
    ("latency.above(10ms) <= 1", 24, "latency.above is a share, 1 is not", "%"),
    ("latency.above(10MB) not worse by 1%", 15, "latency is in us, 10MB is not", "ns, us, ms"),
    ("drops.total <= 10ms", 16, "drops.total is in packets, 10ms is not", "packets, no unit"),
    ("drops.rate <= 10", 15, "drops.rate is in packets per second, 10 is not", "packets/s, /s, packets/m"),
    ("drops.rate <= 10/d", 15, "10/d is not", "packets/s"),
    ("drops.rate <= 10 bytes/s", 15, "10 bytes/s is not", "packets/s"),
    ("drops.total <= 1%", 16, "1% is not", None),
    ("sent.total <= 10", 15, "sent.total is in bytes, 10 is not", "bytes, B, kB"),
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_what_there_is_may_be_asked_for(text):
    check_condition(parse_condition(text), SHAPES)


@pytest.mark.parametrize(("text", "column", "what", "hint"), BAD)
def test_what_there_is_not_is_named_with_what_there_is(text, column, what, hint):
    with pytest.raises(ValueRefused) as raised:
        check_condition(parse_condition(text), SHAPES)
    assert raised.value.message.startswith(f"gate {text!r}, column {column}: ")
    assert what in raised.value.message
    assert hint is None or hint in raised.value.hint


def test_every_kind_says_what_can_be_had_of_it():
    assert STATISTICS.keys() == set(KINDS)


@pytest.mark.parametrize(
    ("unit", "text", "number"),
    [
        ("us", "10ms", 10_000),
        ("ns", "1m", 60_000_000_000),
        ("ms", "500us", 0.5),
        ("seconds", "1500ms", 1.5),
        ("bytes", "2KiB", 2048),
        ("bytes", "2kB", 2000),
        ("ratio", "50%", 0.5),
        ("ratio", "0.25", 0.25),
        ("packets", "7 packets", 7),
        ("packets", "7", 7),
        (None, "7", 7),
        ("none", "7", 7),
        ("us", "7", None),
        (None, "7ms", None),
        ("packets", "7 calls", None),
    ],
)
def test_an_amount_in_the_unit_of_its_table(unit, text, number):
    amount = parse_condition(f"t.s = {text}").amount
    assert amount_in(amount, unit, is_rate=False) == number
    per_minute = parse_condition(f"t.s = {text}/m").amount
    assert amount_in(per_minute, unit, is_rate=False) is None
    assert amount_in(amount, unit, is_rate=True) is None
    rate = amount_in(per_minute, unit, is_rate=True)
    assert rate == (None if number is None else pytest.approx(number / 60))


@pytest.mark.parametrize("unit", [*Unit.__args__, None])
def test_every_unit_can_be_written_and_read(unit):
    for way in ways_to_write(unit):
        assert amount_in(parse_condition(f"t.s = 3 {way}").amount, unit, is_rate=False) is not None


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_every_type_of_key_is_taken_or_refused_with_the_reason(kind):
    shape = TableShape("t", "count", "calls", {"k": kind})
    check = parse_condition("t{k=1}.total = 0")
    if kind in ("kernel-stack", "user-stack", "boolean", "ip"):
        with pytest.raises(ValueRefused):
            check_condition(check, [shape])
    else:
        check_condition(check, [shape])


def test_what_a_recipe_declares_is_what_its_capture_has():
    declared = {o.name: declared_shape(o.declaration()) for o in find_recipe("tcp-retrans").recipe.outputs}
    assert list(declared["retransmits"].keys) == [
        "pid",
        "comm",
        "local_port",
        "remote_address",
        "remote_port",
    ]
    made = capture(latency([1]), count("drops", {"a": 1}))
    assert [shape_of(each) for each in made["tables"]] == [
        TableShape("latency", "histogram", "us", {}),
        TableShape("drops", "count", "packets", {"comm": "comm"}),
    ]

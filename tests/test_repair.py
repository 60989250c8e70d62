"""bpftrace's damaged JSON, restored: the damage is that of the binaries, the values are arbitrary."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.messages import read_messages
from runner.bpftrace.repair import HexadecimalCounts, restored, unescaped_key
from runner.errors import NotUnderstood

ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


def as_bpftrace_prints(raw):
    """What bpftrace 0.17 and later makes of bytes on x86, where char is signed."""
    return "".join(
        ESCAPES.get(byte)
        or (f"\\uffffff{byte:02x}" if byte > 127 else f"\\u{byte:04x}" if byte < 32 else chr(byte))
        for byte in raw
    )


@given(st.binary())
def test_every_byte_comes_back(raw):
    text = json.loads(f'"{as_bpftrace_prints(raw)}"')
    assert restored(text).encode("utf-8", "surrogateescape") == raw


@given(st.text())
def test_bytes_that_were_printed_as_they_are_stay(text):
    assert restored(text) == text or "\uffff" in text


@given(st.binary(max_size=20))
def test_a_key_that_was_escaped_twice(raw):
    twice = json.loads(json.dumps(as_bpftrace_prints(raw)))
    assert restored(unescaped_key(twice)).encode("utf-8", "surrogateescape") == raw


def test_a_key_that_was_not_escaped_twice_is_refused():
    for key in ("\\", 'a"\\n', '","\\n'):
        with pytest.raises(ValueError):
            unescaped_key(key)
    with pytest.raises(NotUnderstood, match="a key that is none"):
        read_messages(b'{"type": "map", "data": {"@a": {"\\\\": 1}}}\n', Evidence.of((0, 23, 2)))


HIST = b'{"type": "hist", "data": {"@h": [{"min": 16, "max": 31, "count": 14},{"min": 32, "max": 63, "count": 1e}]}}'


def test_counts_are_decimal_until_the_first_escape_and_hexadecimal_from_there():
    numbers = HexadecimalCounts(Evidence.of((0, 27, 1)))
    assert numbers.rewrite(HIST) == HIST
    assert numbers.rewrite(b'{"type": "printf", "data": "a\\\\u0001"}').endswith(b'u0001"}')
    assert numbers.rewrite(HIST) == HIST
    numbers.rewrite(b'{"type": "printf", "data": "\\uffffffc3"}')
    assert numbers.rewrite(HIST) == HIST.replace(b"14", b"20").replace(b"1e", b"30")
    assert numbers.repaired == 2


def test_the_turn_may_lie_in_the_line_itself():
    line = b'{"type": "hist", "data": {"@h": {"a": [{"min": 1, "count": 14}], "\\u0001": [{"min": 1, "count": 14}]}}}'
    assert HexadecimalCounts(Evidence.of((0, 27, 1))).rewrite(line).count(b'"count": 14') == 1


def test_lost_events_and_series_turn_too_and_other_numbers_do_not():
    numbers = HexadecimalCounts(Evidence.of((0, 27, 1)))
    numbers.rewrite(b'{"type": "value", "data": "\\u0001"}')
    lost = b'{"type": "lost_events", "count": 14, "data": {"events": 14}}'
    assert numbers.rewrite(lost) == lost.replace(b"14", b"20")
    series = b'{"type": "tseries", "data": {"@t": [{"interval_start":"x","value":fffffffffffffffb}]}}'
    assert json.loads(numbers.rewrite(series))["data"]["@t"][0]["value"] == -5
    counted = b'{"type": "map", "data": {"@c": 14}}'
    assert numbers.rewrite(counted) == counted


def test_a_text_that_looks_like_a_count_is_none():
    numbers = HexadecimalCounts(Evidence.of((0, 27, 1)))
    numbers.rewrite(b'{"type": "value", "data": "\\u0001"}')
    line = b'{"type": "hist", "data": {"@h": {"x,\\"count\\":14": [{"min": 1, "count": 14}]}}}'
    assert numbers.rewrite(line) == line.replace(b'"count": 14', b'"count": 20')


def test_other_releases_print_decimal_numbers_throughout():
    numbers = HexadecimalCounts(Evidence.of((0, 23, 2)))
    numbers.rewrite(b'{"type": "value", "data": "\\u0001"}')
    assert numbers.rewrite(HIST) == HIST

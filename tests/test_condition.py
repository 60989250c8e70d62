"""The language of conditions: what is printed is read as what it was, and what is none has a place."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.capture.condition import (
    COMPARISONS,
    Amount,
    KeyMatch,
    Limit,
    NotWorse,
    Subject,
    parse_amount,
    parse_condition,
)
from runner.errors import EbpfRecipeError, ExitCode, NotParsed

words = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
numbers = st.builds(Fraction, st.integers(-(10**15), 10**15), st.sampled_from([1, 2, 10, 1000, 10**9]))
amounts = st.builds(
    Amount, numbers, st.sampled_from(["", "%", "ms", "KiB", "packets", "x"]), st.sampled_from(["", "s", "h"])
)
# Any text that a name of a process can be.
values = st.text(min_size=0, max_size=8)
keys = st.lists(
    st.builds(KeyMatch, words, values, st.booleans()), max_size=3, unique_by=lambda key: key.name
).map(tuple)


@st.composite
def subjects(draw):
    statistic = draw(words)
    threshold = draw(amounts) if statistic == "above" or draw(st.booleans()) else None
    return Subject(draw(words), statistic, draw(keys), threshold)


conditions = st.one_of(
    st.builds(Limit, subjects(), st.sampled_from(COMPARISONS), amounts),
    st.builds(NotWorse, subjects(), numbers.map(abs)),
)
LIKE = st.text(alphabet='ab{}=,.()<>!% "*\\/109-_@ms\nnotwrebyü', max_size=40)


def refusal_of(text):
    try:
        parse_condition(text)
    except EbpfRecipeError as error:
        return error
    return None


@given(conditions)
def test_what_is_printed_is_read_as_what_it_was(condition):
    assert parse_condition(str(condition)) == condition


@given(st.one_of(st.text(), LIKE))
@example("")
@example(" ")
@example("a.above(10ms")
@example('a{b="\\')
def test_any_text_is_a_condition_or_has_a_place_where_it_is_none(text):
    refusal = refusal_of(text)
    if refusal is None:
        condition = parse_condition(text)
        assert parse_condition(str(condition)) == condition
        return
    assert isinstance(refusal, NotParsed)
    assert refusal.exit_code == ExitCode.USAGE
    assert 1 <= refusal.column <= len(text) + 1
    assert f"column {refusal.column}:" in refusal.message


@given(conditions, st.data())
def test_what_is_cut_off_is_missing_at_its_end(condition, data):
    text = str(condition)
    cut = text[: data.draw(st.integers(0, len(text)))].rstrip()
    refusal = refusal_of(cut)
    assert refusal is None or refusal.column <= len(cut) + 1


EXAMPLES = [
    ("latency.above(10ms) <= 1%", Limit(Subject("latency", "above", (), Amount(Fraction(10), "ms")), "<=", Amount(Fraction(1), "%"))),
    ("latency.p99<10ms", Limit(Subject("latency", "p99"), "<", Amount(Fraction(10), "ms"))),
    ("  latency . p99  >=  1.5 ms ", Limit(Subject("latency", "p99"), ">=", Amount(Fraction(3, 2), "ms"))),
    ("retransmits.rate <= 5/s", Limit(Subject("retransmits", "rate"), "<=", Amount(Fraction(5), "", "s"))),
    ("retransmits.rate <= 5 packets / m", Limit(Subject("retransmits", "rate"), "<=", Amount(Fraction(5), "packets", "m"))),
    ("retransmits{comm=nginx}.total = 0", Limit(Subject("retransmits", "total", (KeyMatch("comm", "nginx"),)), "=", Amount(Fraction(0)))),
    ("d{comm=php-fpm*, pid=7}.total != 0", Limit(Subject("d", "total", (KeyMatch("comm", "php-fpm", is_prefix=True), KeyMatch("pid", "7"))), "!=", Amount(Fraction(0)))),
    ('d{comm="a, \\"b\\"*"}.total > -2', Limit(Subject("d", "total", (KeyMatch("comm", 'a, "b"*'),)), ">", Amount(Fraction(-2)))),
    ("latency.p99 not worse by 10%", NotWorse(Subject("latency", "p99"), Fraction(10))),
    ("latency.p99 not  worse\nby 2.5 %", NotWorse(Subject("latency", "p99"), Fraction(5, 2))),
    ("@.total = 1", Limit(Subject("@", "total"), "=", Amount(Fraction(1)))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "condition"), EXAMPLES)
def test_what_people_write(text, condition):
    assert parse_condition(text) == condition


WRONG = [
    ("latency", 8, "a point and a statistic, such as latency.p99"),
    ("latency.", 9, "a statistic"),
    ("latency.p99", 12, "a comparison"),
    ("latency.p99 <=", 15, "a number"),
    ("latency.p99 == 10ms", 13, "not '=='"),
    ("latency.p99 ≤ 10ms", 13, "not '≤'"),
    ("latency.p99 <= ten ms", 16, "not 'ten'"),
    ("latency.p99 <= 1e3 us", 18, "nothing is to follow"),
    ("latency.p99 <= 1.2.3ms", 16, "a number"),
    ("latency.p99 <= 10ms or so", 21, "'or'"),
    ("latency.above <= 1%", 15, "such as above(10ms)"),
    ("latency.above(10ms <= 1%", 20, "a closing parenthesis"),
    ("latency{}.p99 <= 1ms", 9, "the name of a key"),
    ("latency{comm}.p99 <= 1ms", 13, "a =, not '}.p99'"),
    ("latency{comm=}.p99 <= 1ms", 14, "a value"),
    ("latency{comm=a b}.p99 <= 1ms", 16, "a comma or a }"),
    ("latency{comm=a,comm=b}.p99 <= 1ms", 16, "comm stands twice"),
    ('latency{comm="a}.p99 <= 1ms', 14, "a value"),
    ("latency.p99 not worse by 10ms", 26, "takes a percentage"),
    ("latency.p99 not worse by -1%", 26, "takes a percentage"),
    ("latency.p99 not worse than 10%", 13, "a comparison"),
]


@pytest.mark.parametrize(("text", "column", "what"), WRONG)
def test_what_is_none_is_shown_where(text, column, what):
    with pytest.raises(NotParsed) as raised:
        parse_condition(text, what="condition")
    assert raised.value.message.startswith(f"condition {text!r}, column {column}: ")
    assert what in raised.value.message
    assert raised.value.column == column


def test_an_amount_stands_alone():
    assert parse_amount("10ms") == Amount(Fraction(10), "ms")
    with pytest.raises(NotParsed):
        parse_amount("10ms more")

"""What any release prints is read back as it was: typed maps and messages, written by `tests/eras.py`."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runner.bpftrace.evidence import Evidence
from runner.bpftrace.exact_keys import exact
from runner.bpftrace.json_output import JsonReader
from runner.bpftrace.output import Pairs
from runner.bpftrace.text_output import TextReader
from tests.eras import (
    RELEASES,
    REWRITE,
    Average,
    Histogram,
    Lost,
    Map,
    Print,
    Printf,
    Stack,
    Stats,
    Symbol,
    Time,
    json_key,
    order,
    stack_text,
    text_key,
    write_json,
    write_text,
)

CORPUS = Path(__file__).parent / "corpus"

every_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: f"{release[0]}.{release[1]}")
steady = settings(max_examples=25, deadline=None, derandomize=True)


# What is written ----------------------------------------------------------------------------------------

HOSTILE = (
    *(
        b'"',
        b"\\",
        b"\n",
        b",",
        b", ",
        b" ",
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b"\t",
        b"\x01",
        b"\x7f",
        b"@",
    ),
    *(
        b"\xc3\xbc",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\u0001",
        b"\\uffffffc3",
        b'"count": 14',
        b'": ',
        b"},{",
        b"\n,",
    ),
    *(
        b'}}\n{"type": "map", "data": {"@x": 1}}\n',
        b"\n    a+1\n",
        b"1",
        b"-5",
        b"007",
        b"0x1f",
        b"null",
        b"a b",
    ),
)
raw_bytes = st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b"?"))
any_text = st.one_of(st.lists(st.sampled_from(HOSTILE), max_size=4).map(b"".join), raw_bytes)
plain_text = st.text("abcxyzAZ059 _-/.:,()", max_size=10).map(str.encode)

# One line of text, of which the reader can know where it ends: a newline ends a value, "]:" a key, and "@"
# begins a map. NUL ends a string in bpftrace itself. (A text "count 1, average 2, total 3" would be statistics;
# none is drawn.)
line_text = any_text.filter(lambda raw: not any(each in raw for each in (b"\n", b"]:", b"@")))

frames = st.sampled_from(
    ["vfs_read+12", "0x7f1a58037503", "main+0", "std::map<int,int>::at(int)+4", "__x64_sys_bpf", "a b(c d)+1"]
)
stacks = st.lists(frames, max_size=4).map(lambda each: Stack(tuple(each)))

SIGNED = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-20, 20), st.sampled_from([2**53 + 1, -(2**53) - 1])
)
NUMBERS = st.one_of(SIGNED, st.integers(2**63, 2**64 - 1))


def counts(size):
    """Counts of buckets side by side: those at both ends are not zero. More than 31 bits are trimmed."""
    inner = st.integers(0, 2**31 - 1) | st.integers(0, 20)
    ends = st.integers(1, 2**31 - 1) | st.integers(1, 20)
    if size == 1:
        return st.tuples(ends)
    return st.tuples(ends, *[inner] * (size - 2), ends)


def log_bounds(index, bits):
    """Bucket `index` of hist(): 0 holds the negative ones."""
    if index == 0:
        return None, -1
    if index <= 2 << bits:
        return index - 1, index - 1
    low, high = (
        (1 << ((each >> bits) - 1)) * ((1 << bits) + (each & ((1 << bits) - 1)))
        for each in (index - 1, index)
    )
    return low, high - 1


@st.composite
def log_histograms(draw, release, bits):
    # Up to 0.19 the last bucket is that of 2^31, since then that below 2^63.
    last = 33 if release < (0, 20) else (64 - bits) << bits
    start = draw(st.integers(0, last))
    size = draw(st.integers(1, min(6, last - start + 1)))
    bounds = [log_bounds(start + place, bits) for place in range(size)]
    return Histogram(
        tuple((*each, count) for each, count in zip(bounds, draw(counts(size)), strict=True)), bits
    )


@st.composite
def linear_histograms(draw, least, step, number):
    start = draw(st.integers(0, number + 1))
    size = draw(st.integers(1, min(6, number + 2 - start)))
    buckets = []
    for index, count in zip(range(start, start + size), draw(counts(size)), strict=True):
        low, high = least + (index - 1) * step, least + index * step - 1
        buckets.append((low if index else None, None if index == number + 1 else high, count))
    return Histogram(tuple(buckets), 0, step)


@st.composite
def histogram_makers(draw, release):
    """A strategy of the histograms of one map; zero() empties some of them."""
    if draw(st.booleans()):
        made = log_histograms(release, 0 if release < (0, 20) else draw(st.integers(0, 5)))
    else:
        step = draw(st.sampled_from([1, 3, 10, 1000, 512, 1024, 4096, 1 << 20]))
        made = linear_histograms(draw(st.integers(0, 4)) * step, step, draw(st.integers(1, 20)))
    return st.one_of(made, made, made, st.just(Histogram(())))


def value_kinds(release, text, stack):
    """Strategies of strategies: all values of a map are of one type."""
    totals = SIGNED if release < REWRITE else NUMBERS
    return st.one_of(
        st.just(NUMBERS),
        st.just(text),
        st.just(stack),
        histogram_makers(release),
        st.just(st.builds(Stats, st.integers(0, 2**63 - 1), totals, totals)),
        st.just(st.builds(Average, totals)),
        st.just(st.lists(NUMBERS, min_size=1, max_size=4)),
        st.just(
            st.sampled_from([Symbol(b"schedule"), Symbol(b"127.0.0.1"), Symbol(b"::1"), Symbol(b"0x3039")])
        ),
    )


@st.composite
def maps(draw, release, name, text, key_text=None, value_stacks=stacks):
    values = draw(value_kinds(release, text, value_stacks))
    parts = st.sampled_from([NUMBERS, *[text if key_text is None else key_text] * 2, stacks])
    shape = draw(st.lists(parts, max_size=3))
    if not shape:
        return Map(name, draw(values))
    return Map(name, draw(st.lists(st.tuples(st.tuples(*shape), values), max_size=4)))


@st.composite
def outputs(draw, release, text, said, **other):
    """Messages and printings in any order, then maps of different names."""
    names = draw(st.lists(st.sampled_from(["@", "@a", "@b_1", "@C"]), unique=True, max_size=4))
    messages = st.one_of(
        st.builds(Printf, said),
        st.builds(Time, said),
        st.builds(Lost, st.integers(1, 2**40)),
        maps(release, "@printed", text, **other).map(Print),
    )
    last = [draw(maps(release, name, text, **other)) for name in names]
    return [*draw(st.lists(messages, max_size=4)), *last]


# What is read -------------------------------------------------------------------------------------------


class Recorder:
    """A listener that keeps everything, and lets nothing pass that is not understood."""

    def __init__(self):
        self.events = []

    def printed(self, name, printed):
        self.events.append(("printed", name, printed))

    def said(self, kind, data):
        self.events.append((kind, data))

    def lost(self, events):
        self.events.append(("lost", events))

    def failed(self, error, times):
        raise AssertionError((error, times))

    def strayed(self, line):
        self.events.append(("strayed", line))

    def unreadable(self, line, position, why):
        raise AssertionError((line, position, why))

    def cut(self, line, position):
        raise AssertionError((line, position))


def read(reader_type, raw, evidence, sizes):
    """The events of an output that comes in chunks of those sizes, over and over."""
    recorder = Recorder()
    reader = reader_type(recorder, evidence)
    place = 0
    for size in itertools.cycle(sizes):
        if place >= len(raw):
            break
        reader.feed(raw[place : place + size])
        place += size
    reader.close()
    return recorder.events


chunks = st.lists(st.integers(1, 200), min_size=1, max_size=5) | st.just([1 << 20]) | st.just([1])


def decoded(raw):
    return raw.decode("utf-8", "surrogateescape")


def number(release, value):
    """A number, which is a string where a double cannot hold it, since 0.24."""
    if type(value) is str:
        assert release >= REWRITE
        made = int(value)
        assert str(made) == value
        assert int(float(made)) != made
        return made
    assert type(value) is int, value
    return value


def buckets_of(release, value):
    """A printed histogram as the model has it; up to 0.19 everything from 2^31 on is in the last bucket."""
    assert type(value) is list, value
    made = []
    for bucket in value:
        assert set(dict(bucket.items())) <= {"min", "max", "count"}
        lower, upper = (
            None if bucket.get(bound) is None else number(release, bucket.get(bound))
            for bound in ("min", "max")
        )
        if release < (0, 20):
            lower, upper = {
                (1 << 30, -(1 << 31) - 1): (1 << 30, (1 << 31) - 1),
                (-(1 << 31), 0): (1 << 31, None),
                (1 << 31, (1 << 32) - 1): (1 << 31, None),
            }.get((lower, upper), (lower, upper))
        made.append((lower, upper, number(release, bucket.get("count"))))
    return tuple(made)


def known_buckets(release, histogram):
    saturated = release < (0, 20) and not histogram.step
    return tuple(
        (lower, None if saturated and lower == 1 << 31 else upper, count)
        for lower, upper, count in histogram.buckets
    )


def same_as(release, value, meant):
    """Assert that a value was read as it is meant, wherever the format tells its type."""
    match meant:
        case int():
            assert number(release, value) == meant
        case Average(average):
            assert number(release, value) == average
        case bytes():
            assert as_printed(value) == meant
        case Symbol(text):
            assert value == decoded(text)
        case Stack():
            assert value == stack_text(release, meant, 8).decode()
        case Stats():
            told = [(name, number(release, each)) for name, each in value.items()]
            assert told == [("count", meant.count), ("average", meant.average), ("total", meant.total)]
        case Histogram():
            assert buckets_of(release, value) == known_buckets(release, meant)
        case list():
            assert [number(release, each) for each in value] == meant


def as_printed(text):
    """Return the bytes of a text, however its parts were decoded."""
    return text.encode("utf-8", "surrogateescape")


def type_of(item):
    return {Histogram: "hist", Stats: "stats", Average: "stats"}.get(type(item.first), "map")


def same_map(release, printed, item, keys, same):
    assert printed.is_exact
    if item.keyed is None:
        same(release, printed.value, item.first)
        return
    assert isinstance(printed.value, Pairs)
    assert [as_printed(key) for key, _ in printed.value] == [as_printed(key) for key in keys]
    for (_, value), (_, meant) in zip(printed.value, item.keyed, strict=True):
        same(release, value, meant)


# JSON ---------------------------------------------------------------------------------------------------


def is_printed_as_json(release, item):
    """Whether JSON says that a map is there: an empty one is seen in 0.24 alone."""
    return item.keyed != [] or release == REWRITE


def same_json(release, items, events, dialect):
    meant = [
        item
        for item in order(items)
        if not isinstance(item, Map | Print) or is_printed_as_json(release, getattr(item, "map", item))
    ]
    assert len(events) == len(meant), (events, meant)
    for event, item in zip(events, meant, strict=True):
        match item:
            case Printf(data):
                assert event == ("printf", decoded(data))
            case Time(data):
                assert event == ("time", decoded(data))
            case Lost(lost):
                assert event == ("lost", lost)
            case Print(made) | (Map() as made):
                kind, name, printed = event
                assert (kind, name) == ("printed", made.name)
                assert printed.type == type_of(made)
                assert printed.separator == ","
                printed, _ = exact(printed, dialect)
                keys = [decoded(json_key(release, parts)) for parts, _ in made.keyed or []]
                same_map(release, printed, made, keys, same_as)


@every_release
@given(st.data())
@steady
def test_json_is_read_as_it_was_meant(release, data):
    items = data.draw(outputs(release, any_text, any_text))
    evidence = Evidence.of((*release, 0))
    events = read(JsonReader, write_json(release, items), evidence, data.draw(chunks))
    same_json(release, items, events, evidence.dialect)
    assert not evidence.is_contradictory


@every_release
@given(st.data())
@steady
def test_json_says_itself_what_printed_it(release, data):
    # Without the release: the notice of attachment tells those before 0.24 from those since. Among the former
    # nothing tells who escaped keys twice (0.22, 0.23), which shows where there is something to escape.
    key_text = any_text if release >= (0, 22) else plain_text
    items = data.draw(outputs(release, any_text, any_text, key_text=key_text))
    evidence = Evidence()
    events = read(JsonReader, write_json(release, items), evidence, data.draw(chunks))
    same_json(release, items, events, evidence.dialect)
    assert not evidence.is_contradictory
    assert evidence.first <= release <= evidence.last


@every_release
@given(st.data())
@steady
def test_json_without_a_notice_needs_no_release_for_plain_text(release, data):
    # Nothing is escaped, so no count turns hexadecimal and no key is escaped twice. Stacks have newlines.
    items = data.draw(outputs(release, plain_text, plain_text))
    keyed = [
        made.keyed or [] for made in (getattr(item, "map", item) for item in items) if isinstance(made, Map)
    ]
    parts = [part for entries in keyed for key, _ in entries for part in key]
    assume(release < (0, 22) or release >= REWRITE or not any(isinstance(part, Stack) for part in parts))
    evidence = Evidence()
    events = read(JsonReader, write_json(release, items, probes=None), evidence, data.draw(chunks))
    same_json(release, items, events, evidence.dialect)
    assert not evidence.is_contradictory
    assert evidence.first <= release <= evidence.last


# Text ---------------------------------------------------------------------------------------------------


def same_text_value(release, value, meant):
    """Assert the same of text, where a value is a whole number if it looks like one, and else a text."""
    match meant:
        case bytes() | Symbol() | list():
            raw = b"[%s]" % b",".join(b"%d" % each for each in meant) if isinstance(meant, list) else meant
            text = decoded(raw.text if isinstance(raw, Symbol) else raw)
            assert value == (int(text) if re.fullmatch(r"0|-?[1-9][0-9]*", text) else text)
        case int():
            assert value == meant
        case Average(average):
            assert value == average
        case Stats():
            assert dict(value.items()) == {
                "count": meant.count,
                "average": meant.average,
                "total": meant.total,
            }
        case _:
            same_as(release, value, meant)


def spoken(events):
    """What was said and strayed, as lines; empty ones and notices are bpftrace's or nobody's."""
    lines = []
    for event in events:
        if event[0] == "text":
            lines += event[1].split("\n")
        elif event[0] == "strayed":
            lines += decoded(event[1]).split("\n")
    return [line for line in lines if line and not line.startswith("Attaching ")]


def same_text(release, items, events):
    ordered = order(items)
    said = [decoded(item.data) for item in ordered if isinstance(item, Printf | Time)]
    assert spoken(events) == [line for text in said for line in text.split("\n") if line]
    # Since 0.24 losses go to stderr.
    lost = [item.events for item in ordered if isinstance(item, Lost) and release < REWRITE]
    assert [event[1] for event in events if event[0] == "lost"] == lost
    meant = [getattr(item, "map", item) for item in ordered if isinstance(item, Map | Print)]
    meant = [item for item in meant if item.keyed != []]
    got = [event[1:] for event in events if event[0] == "printed"]
    assert [name for name, _ in got] == [item.name for item in meant]
    for (_, printed), item in zip(got, meant, strict=True):
        assert printed.type == ("map" if isinstance(item.first, Average) else type_of(item))
        assert printed.separator == ", "
        assert printed.has_keys is (item.keyed is not None)
        keys = [decoded(text_key(release, parts)) for parts, _ in item.keyed or []]
        same_map(release, printed, item, keys, same_text_value)


def text_outputs(release):
    # Up to 0.23 nothing stands between an empty stack and what follows it.
    value_stacks = st.lists(frames, min_size=1, max_size=4).map(lambda each: Stack(tuple(each)))
    # Messages are whole lines that do not begin as a map, a row, a notice or a frame does.
    said = st.text("abcxyz 059:,.-", min_size=1, max_size=12).map(lambda text: f"say {text}\n".encode())
    return outputs(release, line_text, said, key_text=line_text, value_stacks=value_stacks)


def is_clear_text(release, items):
    """Whether nothing but the printed text is needed to know what was meant."""
    # Two printings of one map that follow each other are told apart by their keys alone.
    if any(
        isinstance(first, Print) and isinstance(second, Print) for first, second in itertools.pairwise(items)
    ):
        return False
    for item in (getattr(item, "map", item) for item in items):
        if not isinstance(item, Map):
            continue
        # A key that comes again begins another printing: in text parts with commas and parentheses collide.
        keys = [text_key(release, parts) for parts, _ in item.keyed or []]
        if len(set(keys)) < len(keys):
            return False
        # Up to 0.22 a histogram without a row is printed as an empty text is, but for an empty line.
        values = [value for _, value in item.keyed] if item.keyed is not None else [item.first]
        if release < (0, 23) and Histogram(()) in values:
            return False
    return True


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "untold"])
@every_release
@given(st.data())
@steady
def test_text_is_read_as_it_was_meant(release, is_told, data):
    items = data.draw(text_outputs(release))
    assume(is_clear_text(release, order(items)))
    evidence = Evidence.of((*release, 0)) if is_told else Evidence()
    events = read(TextReader, write_text(release, items), evidence, data.draw(chunks))
    same_text(release, items, events)
    assert not evidence.is_contradictory
    assert evidence.first <= release <= evidence.last


# Corners that were found by the above, and that it may miss ----------------------------------------------

NO_ROW = Histogram(())
A_STACK = Stack(("vfs_read+12",))


@pytest.mark.parametrize(
    ("release", "item"),
    [
        # A histogram that zero() emptied is nothing at all up to 0.15: `{"@h": }`.
        ((0, 14), Map("@h", NO_ROW)),
        ((0, 14), Map("@h", [((1,), NO_ROW), ((2,), Histogram(((16, 31, 20),)))])),
        # Up to 0.16 bytes are printed as they are: U+FFFF may be one that was in the text.
        ((0, 16), Map("@s", b"\xef\xbf\xbfffc3")),
        ((0, 16), Map("@s", [((b"\xef\xbf\xbfffc3",), 1)])),
    ],
    ids=["zeroed", "zeroed-keyed", "u+ffff", "u+ffff-key"],
)
def test_json_corners(release, item):
    evidence = Evidence.of((*release, 0))
    events = read(JsonReader, write_json(release, [item]), evidence, [1 << 20])
    same_json(release, [item], events, evidence.dialect)


@pytest.mark.parametrize(
    ("release", "item"),
    [
        # No newline follows a symbol up to 0.23, and the next key goes on for lines.
        ((0, 23), Map("@s", [((Stack(()),), Symbol(b"schedule")), ((A_STACK,), Symbol(b"schedule"))])),
        # The label fills its 16 columns and the count more than its 8.
        ((0, 24), Map("@h", Histogram(((14680064, 15204351, 397173072),), bits=4))),
        ((0, 23), Map("@s", b"\t")),
        ((0, 27), Map("@s", [((1,), b"  ")])),
        ((0, 27), Map("@s", b"-0")),
    ],
    ids=["symbols", "narrow-row", "tab", "spaces", "minus-zero"],
)
def test_text_corners(release, item):
    events = read(TextReader, write_text(release, [item]), Evidence.of((*release, 0)), [1 << 20])
    same_text(release, [item], events)


# The writer itself --------------------------------------------------------------------------------------


def corpus(release, name):
    version = {(0, 17): "0.17.0", (0, 23): "0.23.2", (0, 27): "0.27.1"}[release]
    return (CORPUS / version / f"{name}.out").read_bytes()


REAL = [(0, 17), (0, 23), (0, 27)]
real_releases = pytest.mark.parametrize("release", REAL, ids=lambda release: f"{release[0]}.{release[1]}")


@real_releases
def test_json_of_real_releases_is_what_the_writer_writes(release):
    twenty = Histogram(((16, 31, 20),))
    items = [
        Printf(b"\xc3\xbc\n"),
        Map("@c", 20),
        Map("@h", [((1,), twenty)]),
        Map("@l", Histogram(((20, 29, 20),), 0, 10)),
        Map("@s", Stats(20, 20, 400)),
    ]
    assert write_json(release, items, probes=None) == corpus(release, "hexadecimal")
    rows = ((None, -1, 1), (0, 1, 0), (2, 3, 0), (4, 5, 1), (6, 7, 0), (8, 9, 0), (10, None, 1))
    items = [
        Map("@l", Histogram(rows, 0, 2)),
        Map("@keyed", [((1,), Histogram(((1024, 2047, 1),), 0, 1024))]),
    ]
    assert write_json(release, items, probes=None) == corpus(release, "lhist")
    items = [
        Map("@c", 0),
        Map("@h", Histogram(())),
        Map("@histograms", [((1,), Histogram(()))]),
        Map("@keyed", [((1,), 0)]),
        Map("@sum", 0),
    ]
    assert write_json(release, items, probes=None) == corpus(release, "zeroed")


@real_releases
def test_json_numbers_of_real_releases_are_what_the_writer_writes(release):
    stats = (2, -1, -2) if release < REWRITE else (2, 2**63 - 1, 2**64 - 2)
    keys = [(-1, 2**64 - 1), (2**31, 2**53 + 1)]
    items = [
        Map("@averages", [((2,), Average(-7)), ((1,), Average(7))]),
        Map("@avg", Average(-5)),
        Map("@by_key", [(key, 1) for key in (keys[::-1] if release == (0, 17) else keys)]),
        Map("@count", 2),
        Map("@statistics", [((2,), Stats(1, -3, -3)), ((1,), Stats(1, 2**32, 2**32))]),
        Map("@stats", Stats(2, -5, -11)),
        Map("@stats_u", Stats(*stats)),
        Map("@sum", -5),
        Map("@sum_big", 2**53 + 1),
        Map("@sum_u", 2**64 - 1),
        Map("@sums", [((1,), 2**32)]),
        Map("@value", -7),
        Map("@value_u", 2**64 - 1),
    ]
    assert write_json(release, items, probes=None) == corpus(release, "scalars")


def test_text_of_real_releases_is_what_the_writer_writes():
    nested = [Map("@nl", [((b"a\nb",), b"c\nd")]), Map("@two", [((b"a", 1, -2), 1)])]
    for release in REAL:
        assert write_text(release, nested, probes=None) == b"\n\n@nl[a\nb]: c\nd\n@two[a, 1, -2]: 1\n"
    symbols = [Map("@s", [((1,), Symbol(b"f")), ((2,), Symbol(b"g"))])]
    stack = Stack(("a+1", "b+2"))
    stacked = [
        Map("@k", [((1,), stack), ((2,), stack)]),
        Map("@m", [((b"c", stack, 7), 1)]),
        Map("@v", stack),
    ]
    inner, narrow = b"        a+1\n        b+2\n", b"    a+1\n    b+2\n"
    for release in REAL[:2]:
        assert write_text(release, symbols, probes=None) == b"\n\n@s[1]: f@s[2]: g\n"
        key = narrow if release == (0, 17) else inner
        assert write_text(release, stacked, probes=None) == (
            b"\n\n@k[1]: \n%s@k[2]: \n%s\n@m[c, \n%s, 7]: 1\n@v: \n%s\n" % (inner, inner, key, inner)
        )
    assert write_text((0, 27), symbols, probes=None) == b"\n\n@s[1]: f\n@s[2]: g\n"
    assert write_text((0, 27), stacked, probes=None) == (
        b"\n\n@k[1]: \n%s\n@k[2]: \n%s\n@m[c, \n%s, 7]: 1\n@v: \n%s\n" % ((inner,) * 4)
    )
    row = b"[4, 8)                 1 |" + b"@" * 52 + b"|\n"
    for release, head in zip(REAL, (b"@h: \n", b"@h:\n", b"@h:\n"), strict=True):
        assert (
            write_text(release, [Map("@h", Histogram(((4, 7, 1),)))], probes=None)
            == b"\n\n" + head + row + b"\n"
        )
    statistics = [Map("@s", Stats(1, -5, -5))]
    assert write_text((0, 23), statistics, probes=None) == b"\n\n@s: count 1, average -5, total -5\n\n"
    assert (
        write_text((0, 27), statistics, probes=None)
        == b"\n\n@s: { .count = 1, .average = -5, .total = -5 }\n"
    )

"""What is not, or not quite, the output of bpftrace: what can be read of it, or a refusal that says why, in linear time."""

import contextlib
import gzip
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.bpftrace.script import Script
from runner.decode import decode
from runner.errors import NotUnderstood
from tests.command import ebpf_recipe
from tests.fuzz_decode import CORPUS, FORMS, SCRIPTS, TEXTS, TOKENS, VERSIONS, examine, examine_script

MEGABYTE = 1 << 20
LARGE = 64 * MEGABYTE
OUTPUTS = [path.read_bytes() for path in sorted(CORPUS.rglob("*.out"))]
EVERY = [*OUTPUTS, *TEXTS]
MAP = b'{"type": "map", "data": {"@m": %b}}\n'
ONE = MAP % b"1"


def once(reason, *values):
    """Return a case that was wrong once, named by what was wrong."""
    return pytest.param(*values, id=reason)


# Anything -----------------------------------------------------------------------------------------------

forms = st.sampled_from(FORMS)
versions = st.sampled_from(VERSIONS)
scripts = st.sampled_from([None if text is None else Script(text) for text in SCRIPTS])
seeds = st.integers(0, 1 << 32)
steady = settings(max_examples=150, deadline=None, derandomize=True)


@steady
@given(st.binary(max_size=2000), forms, versions, scripts, seeds)
def test_any_bytes(data, form, version, script, seed):
    examine(data, form=form, version=version, script=script, seed=seed)


@steady
@given(
    st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=5)), max_size=40),
    forms, versions, scripts, seeds,
)  # fmt: skip
def test_what_looks_like_output(tokens, form, version, script, seed):
    examine("".join(tokens).encode(errors="replace"), form=form, version=version, script=script, seed=seed)


@st.composite
def mutated(draw):
    """An output with slices taken away, repeated, exchanged with others, and overwritten."""
    data = draw(st.sampled_from(EVERY))[:4000]
    for _ in range(draw(st.integers(1, 5))):
        start, length, place = (draw(st.integers(0, len(data))) for _ in range(3))
        piece = data[start : start + length]
        match draw(st.integers(0, 4)):
            case 0:
                data = data[:start] + data[start + length :]
            case 1:
                data = data[:place] + piece[:2000] + data[place:]
            case 2:
                other = draw(st.sampled_from(EVERY))[:4000]
                data = data[:start] + other[place : place + length]
            case 3:
                data = data[:place] + draw(st.sampled_from(TOKENS)).encode() + data[place + length % 9 :]
            case _:
                data = data[:place] + draw(st.binary(max_size=6)) + data[place + length % 9 :]
    return data


@settings(steady, max_examples=400)
@given(mutated(), forms, versions, scripts, seeds)
def test_damaged_output(data, form, version, script, seed):
    examine(data, form=form, version=version, script=script, seed=seed)


@steady
@given(st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=9)), max_size=40))
def test_any_script(tokens):
    examine_script("".join(tokens))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["1", "\n f\n", "@m"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["count", "min", "max", "total", "average", "interval_start", "value", "events", "probes", "@m", "@h", "1", "a,b"]
    ) | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
kinds = st.sampled_from(
    [
        "map",
        "hist",
        "stats",
        "tseries",
        "value",
        "printf",
        "time",
        "lost_events",
        "helper_error",
        "runtime_error",
        "attached_probes",
        "errorf",
        "x",
    ]
)
members = st.dictionaries(
    st.sampled_from(["msg", "helper", "retcode", "line", "col", "count", "type"]), values, max_size=3
)


@settings(steady, max_examples=400)
@given(
    st.lists(st.tuples(kinds, values, members), min_size=1, max_size=4),
    st.booleans(),
    versions,
    scripts,
    seeds,
)
def test_messages_with_any_members(messages, is_named, version, script, seed):
    lines = []
    for kind, data, others in messages:
        others = others if "type" not in others else {k: v for k, v in others.items() if k != "type"}  # noqa: PLW2901
        lines.append(json.dumps({"type": kind, "data": {"@m": data} if is_named else data, **others}) + "\n")
    examine("".join(lines).encode(), form="json", version=version, script=script, seed=seed)


# Files that are none -----------------------------------------------------------------------------------


def decoded(tmp_path, data, *arguments):
    """Run the command over a file; return what it did, and the capture, if there is one."""
    file = tmp_path / "saved.out"
    file.write_bytes(data)
    done = ebpf_recipe("decode", str(file), "-f", "json", *arguments)
    return done, json.loads(done.stdout) if done.returncode == 0 else None


def assert_refused(done, *words):
    assert done.returncode == 6, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("ebpf-recipe: ")
    assert len(done.stderr) < 1000
    assert all(word in done.stderr for word in words), done.stderr


def problems_of(capture):
    return {problem["code"] for problem in capture["quality"]["problems"]}


def values_of(capture):
    return {table["map"]: [row.get("value", row) for row in table["rows"]] for table in capture["tables"]}


def test_no_file(tmp_path):
    assert_refused(ebpf_recipe("decode", str(tmp_path / "none")), "No such file")
    assert_refused(ebpf_recipe("decode", str(tmp_path)), "Is a directory")
    assert_refused(ebpf_recipe("decode"), "empty")  # stdin is /dev/null


def test_a_file_that_cannot_be_read(tmp_path):
    # Its address zero is mapped nowhere: that fails for root too.
    assert_refused(ebpf_recipe("decode", "/proc/self/mem"), "/proc/self/mem: Input/output error")
    if os.getuid() != 0:
        file = tmp_path / "secret"
        file.touch(mode=0)
        assert_refused(ebpf_recipe("decode", str(file)), "Permission denied")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["empty"]),
        (b" \n\t\r\n\n", ["empty"]),
        (Path("/bin/ls").read_bytes(), ["binary", "byte"]),
        (gzip.compress(b"".join(OUTPUTS), mtime=1), ["binary", "byte"]),
        (ONE.decode().encode("utf-16"), ["binary", "byte"]),
        (b'{"a": 1}\n', ["JSON", '{"a": 1}']),
        (b"[1, 2]\n", ["JSON"]),
        (b'{"type": "log", "level": 3}\n' * 3, ["no output of bpftrace"]),
        (b'{"type":"map","data":{"@m":1}}\n', ["JSON"]),  # as jq -c has it
        once("a number alone is taken for text, and usable", b"5\n", ["JSON"]),
        once("JSON of several lines is taken for text, and usable", b'{\n  "a": 1\n}\n', ["JSON"]),
        once("JSON on one line of more than 1 MB is taken for text, and usable", b"[" + b"1," * MEGABYTE + b"1]\n", ["JSON"]),
    ],
    ids=["empty", "blank", "program", "gzip", "utf-16", "object", "array", "log", "jq", "number", "pretty", "long"],
)  # fmt: skip
def test_what_is_no_output(tmp_path, data, words):
    assert_refused(decoded(tmp_path, data)[0], *words)


@pytest.mark.parametrize("data", [b'{"type": "printf", "data": "ebpf-recipe/rendered/v1 AAAA\\n"}\n'])
def test_what_is_refused_is_kept(data):
    with pytest.raises(NotUnderstood) as refused:
        decode([data])
    assert refused.value.raw == data


def test_what_was_not_understood_has_its_bytes():
    for data in (b'{"a": 1}\n', b'{"type": "log"}\n', b"a\0b\n"):
        with pytest.raises(NotUnderstood) as refused:
            decode([data])
        assert refused.value.raw == data


# Output that went through something ---------------------------------------------------------------------


def wrapped(output, head):
    return b"".join(head + line + b"\n" for line in output.splitlines())


TEXT = b"Attaching 1 probe...\n\n\n@h[x]: \n[0]         2 |@@@@|\n\n@m[a]: 1\n"
TEXT_VALUES = {"@m": [1]}
STAMP = b"2026-01-01T00:00:00.000Z "


@pytest.mark.parametrize(
    ("data", "expected", "problem"),
    [
        (ONE.replace(b"\n", b"\r\n"), {"@m": [1]}, None),
        (b"\xef\xbb\xbf" + ONE, {"@m": [1]}, None),
        once("a message with anything behind it is unreadable", b"\x1b[32m" + ONE[:-1] + b"\x1b[0m\n", {"@m": [1]}, None),
        (wrapped(ONE, STAMP), {"@m": [1]}, None),
        (ONE + ONE[:20], {"@m": [1]}, "output-cut"),
        (ONE + ONE[:20] + b"\n", {"@m": [1]}, "lines-unreadable"),
        (ONE[:20] + ONE + ONE, {"@m": [1]}, "lines-unreadable"),
        (b'{"type": "attached_probes", "data": {"probes": 1}}\n{"type": "attached_probes", "count": 1, "data": '
         b'{"probes": 1}}\n' + ONE, {"@m": [1]}, "release-unclear"),
        (b"Attaching 1 probe...\n@m: 1\nAttached 1 probe\n@m: 2\n", {"@m": [2]}, "release-unclear"),
        (b"\x00\n" + ONE, {"@m": [1]}, None),
        (TEXT[:-9] + b"@m: 1\n" + b"@n: a\0b\n", {"@m": [1], "@n": ["a\0b"]}, None),
    ],
    ids=["crlf", "mark", "colour", "stamps", "cut", "broken", "joined", "releases", "text-releases", "nul", "nul-text"],
)  # fmt: skip
def test_what_can_be_read(tmp_path, data, expected, problem):
    done, capture = decoded(tmp_path, data)
    assert capture is not None, done.stderr
    assert {name: rows for name, rows in values_of(capture).items() if name in expected} == expected
    if problem is not None:
        assert problem in problems_of(capture)
        assert problem in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        once("a carriage return becomes a part of every value", TEXT.replace(b"\n", b"\r\n")),
        once("the first line, if it is a map, becomes text without a word", b"\xef\xbb\xbf@m: 1\n"),
        once("lines with colours become text without a word", wrapped(TEXT, b"\x1b[32m")),
        once("lines with timestamps become text without a word", wrapped(TEXT, STAMP)),
    ],
    ids=["crlf", "mark", "colour", "stamps"],
)
def test_text_that_went_through_something(tmp_path, data):
    done, capture = decoded(tmp_path, data)
    if capture is None:
        assert_refused(done)
    elif values_of(capture).get("@m") != [1]:
        assert problems_of(capture) - {"rows-ambiguous", "parentheses-lost"}


def test_what_a_program_says_of_itself_does_not_depend_on_chunks():
    """It says it first: what stands behind something else is somebody else's."""
    lines = [b"hello\n", b"ebpf-recipe/rendered/v1 AAA\n@m: 1\n"]
    one, several = decode([b"".join(lines)], form="text"), decode(lines, form="text")
    assert (one["recipe"], one["tables"]) == (None, several["tables"])
    with pytest.raises(NotUnderstood):
        decode([lines[1]], form="text")


def test_two_outputs_behind_each_other():
    for first in OUTPUTS[::17]:
        for second in OUTPUTS[::13]:
            examine(first[-1500:] + second[:1500], seed=len(first))


# Values that no release prints --------------------------------------------------------------------------

DIGITS = b"9" * 400
MANY_DIGITS = b"9" * 5000


@pytest.mark.parametrize(
    "data",
    [
        MAP % b'"\\ud800"', MAP % b'{"\\ud800": 1}', MAP % b'"a\\u0000b"', MAP % b'{"a\\u0000b": 1}', MAP % b"NaN",
        MAP % b"Infinity", MAP % b"-Infinity", MAP % b"1e400", once("the capture is no JSON that orjson reads", MAP % DIGITS), MAP % b"1.5", MAP % (b'{"%b": 1}' % DIGITS),
        MAP % MANY_DIGITS, MAP % (b"[" * 200 + b"]" * 200), MAP % (b"[" * 5000), MAP % b"{", MAP % b'{"a"}', MAP % b"[[1]]",
        b'{"type": "map", "data": []}\n', b'{"type": "map"}\n', b'{"type": "hist", "data": {"@m": 5}}\n',
        b'{"type": "map", "data": {"": 1}}\n', b'{"type": "lost_events", "data": {"events": 1.5}}\n',
        once("the capture is no JSON that orjson reads", b'{"type": "lost_events", "data": {"events": ' + DIGITS + b"}}\n"), b'{"type": "helper_error", "retcode": []}\n',
        b'{"type": "stats", "data": {"@m": {"count": 1.5, "average": 1, "total": 1}}}\n',
        b'{"type": "stats", "data": {"@m": {"count": ' + DIGITS + b', "average": 1, "total": 1}}}\n',
        *(
            b'{"type": "hist", "data": {"@m": [%b]}}\n' % bucket
            for bucket in (
                b"{}", b"5", b'{"min": 1}', b'{"count": null}', b'{"count": 1}', b'{"min": 9, "max": 1, "count": 1}',
                b'{"min": 1.5, "max": 2, "count": 1}', b'{"min": 1, "max": 2, "count": -1}',
                b'{"min": "x", "max": 2, "count": 1}', b'{"min": 1, "max": 2, "count": ' + DIGITS + b"}",
                b'{"min": 1, "max": 2, "count": 1, "odd": {}}', b'{"min": 1, "min": 2, "max": 2, "count": 1}',
            )
        ),
        b'{"type": "tseries", "data": {"@m": [{"interval_start": 5}]}}\n',
        b"@m: " + DIGITS + b"\n", b"@m[" + DIGITS + b"]: 1\n", b"@m: \n[1]   " + DIGITS + b" |@|\n", b"@m: nan\n",
        b"@m: \n[x, y)   5 |@|\n[0]    |@|\n", b"@m: a\0b\n", "@m: ü\n".encode("latin-1"),
        once("TypeError: a type that is no text", b'{"type": "printf", "data": "a", "type": []}\n'),
        once("TypeError: a type that is no text", b'{"type": "map", "data": "a", "type": null}\n'),
        once("TypeError: orjson nests 254 deep", b'{"type": "value", "data": ' + b"[" * 300 + b"]" * 300 + b"}\n"),
        once("RecursionError: json.loads nests less deep than orjson.loads", MAP % (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}")),
        once("RecursionError: whole()", MAP % (b"[" * 1000 + b"]" * 1000)),
        once("TypeError: over 64 bits in a message", b'{"type": "value", "data": [' + DIGITS + b', "\\ud800"]}\n'),
        once("TypeError: a key over 64 bits", MAP % b'{"99999999999999999999": 1}'),
        once("TypeError: a key over 64 bits", b"@m[99999999999999999999]: 1\n"),
        once("UnicodeEncodeError: the name of a map", b'{"type": "map", "data": {"@\\ud800": 1}}\n'),
        *(
            once("ValueError: int() of more than 4300 digits", data)
            for data in (
                b"@m: 1\nLost %b events\n" % MANY_DIGITS, b"@m: count %b, average 1, total 1\n" % MANY_DIGITS,
                b"@m: \n[1]     %b |@@|\n" % MANY_DIGITS, b"a:%b:1-2: WARNING: x\n@m: 1\n" % MANY_DIGITS,
                b"a:1:1-2: WARNING: x\nAdditional Info - helper: x, retcode: %b\n@m: 1\n" % MANY_DIGITS,
                b"@m:\n             1   2\n12:00:00 |  *  | %b\n" % MANY_DIGITS,
                b'{"type": "printf", "data": "\\u0001"}\n{"type": "lost_events", "count": 0, "data": {"events": a%b}}\n'
                % MANY_DIGITS,
            )
        ),
    ],
    ids=lambda data: repr(data[:60])[2:-1],
)  # fmt: skip
def test_values_of_other_shapes(tmp_path, data):
    done, capture = decoded(tmp_path, data)
    if capture is None:
        assert_refused(done)
    elif not capture["tables"] and not capture["messages"]:
        assert problems_of(capture)
    examine(data, script=Script("p:x { @m = count(); }"))


def test_integers_above_64_bits_are_exact_or_told():
    capture = decode([MAP % b"18446744073709551617"])
    assert problems_of(capture) or values_of(capture) == {"@m": [2**64 + 1]}


def test_digits_of_other_scripts_are_text():
    (table,) = decode(["@m[1\u0663]: 1\n".encode()])["tables"]
    assert table["rows"][0]["key"] == {"key": "1\u0663"}


def test_keys_that_the_script_does_not_have_are_not_lost():
    capture = decode([b"@m[a]: 1\n@m[b]: 2\n"], script=Script("p:x { @m = count(); }"))
    assert '"a"' in json.dumps(capture["tables"])


def test_a_value_that_looks_like_the_captures_messages(tmp_path):
    data = MAP % b'{ "messages": [], "b": 1}' + b'{"type": "printf", "data": "x"}\n'
    _, capture = decoded(tmp_path, data, "--bpftrace-version", "0.23")
    assert [message["text"] for message in capture["messages"]] == ["@m", "x"]
    assert values_of(capture) == {"@m": [{"messages": [], "b": 1}]}


# Large ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"type": "printf", "data": "%b"}\n' % (b"x" * LARGE) + ONE, {"@m": [1]}),
        (b"Attaching 1 probe...\n@m: 1\n" + b"x" * LARGE, {"@m": [1]}),
        (b"[" * LARGE, {}),
        (ONE + b'{"type": "value", "data": ' + b"[" * LARGE, {"@m": [1]}),
    ],
    ids=["printf", "text", "brackets", "nested"],
)  # fmt: skip
def test_a_line_of_64_megabytes(tmp_path, data, expected):
    file = tmp_path / "large.out"
    file.write_bytes(data)
    done = ebpf_recipe("decode", str(file), "-f", "json", "-o", str(tmp_path / "capture.json"))
    if done.returncode == 0:
        assert values_of(json.loads((tmp_path / "capture.json").read_bytes())) == expected
    else:
        assert_refused(done)


def seconds_of_a_million_additions():
    """Return what they take now, in CPU time: a virtual machine is not always equally fast."""
    before, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - before


@contextlib.contextmanager
def millions_of_additions(limit):
    """Fail what takes longer than so many, in CPU time of the same run: other work changes nothing."""

    def stop(signum, frame):
        raise TimeoutError(f"more CPU time than {limit} million additions take")

    seconds = limit * seconds_of_a_million_additions()
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def test_a_map_of_many_keys():
    count = 50_000
    pairs = b", ".join(b'"comm-%d,%d": %d' % (number, number, number) for number in range(count))
    with millions_of_additions(480):
        (table,) = decode([MAP % (b"{%b}" % pairs)], version=(0, 23, 0))["tables"]
    assert len(table["rows"]) == count


CUTS = SCRIPTS[2]  # @h has the keys comm, comm and pid
THREE = b'"a,b,5": 1, '


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (b"@m[a\n" + b"x\n" * 50_000, {}),
        (b"@m[1]: " + b"@m[1]: 5" * 20_000 + b"\n", {}),
        (b"a:1:1-2: WARNING: x\n" * 20_000, {}),
        (b"@m[a]: 1\n" * 1000, {}),
        once("JsonReader._position adds up the batch for each line", b'{"type": "x\n' * 20_000, {"limit": 72}),
        once("JsonReader._position, for each line with a timestamp before it",
               (STAMP + b'{"type": "printf", "data": "a"}\n') * 15_000, {}),
        once("TextReader._add looks for the first key like this one from the beginning",
               b"\n\n" + b"".join(b"@m[%d]: 1\n" % number for number in range(12_000)) * 2, {"limit": 72}),
        once("foreign_keys._pieces copies the rest for each piece", MAP % (b'{"%b": 1}' % (b"," * 1_000_000)), {"limit": 72}),
        once("foreign_keys._only_way joins all pieces for each way",
               MAP.replace(b"@m", b"@h") % (b'{%b"%b": 1}' % (THREE, b"x," * 10_000)), {"script": CUTS}),
        once("foreign_keys._only_way tries 10,000 ways for each key", MAP.replace(b"@m", b"@h")
               % (b"{%b%b}" % (THREE, b", ".join(b'"%d%b": 1' % (n, b",x" * 150) for n in range(20)))), {"script": CUTS}),
        once("stacks._SOURCE", MAP % (b'{"\\n%b\\n": 1}' % (b"+1@/a:b" * 5000)), {}),
        once("stacks._MODULE", MAP % (b'{"\\n\\tffffffff81000000 %b\\n": 1}' % (b" (/" * 10_000)), {}),
        once("repair._TOKEN", b'{"type": "value", "data": {x, {"' + b'\\"' * 15_000 + b"}\n", {}),
        once("repair._POINT", b'{"type": "tseries", "data": {"@m": ["interval_start":' + b" " * 20_000 + b"\n", {}),
        (b"@m:\n" + b" " * 12 + b"1   2\n" + b"hh:mm:ss |_|\n12:00:00 " + b"|" * 20_000 + b"\n", {}),
        once("decode._SAID, for each chunk of a line that goes on",
               b'{"type": "printf", "data": "' + b"a" * 60_000, {"chunk": 20_000}),
        once("output_format.format_of reads the head again for each chunk", b"hello\n" * 6000, {"chunk": 6}),
    ],
    ids=["key-lines", "addresses", "warnings", "printings", "unreadable", "stamps", "repeated", "commas", "join", "ways",
         "source", "module", "quotes", "point", "text-point", "said", "chunks"],
)  # fmt: skip
def test_the_time_is_linear(data, given):
    """Three times what it takes is allowed, at least: on a busy machine memory is slower than additions."""
    given = dict(given)
    limit = given.pop("limit", 24)
    size = given.pop("chunk", MEGABYTE)
    script = Script(given["script"]) if "script" in given else None
    with millions_of_additions(limit), contextlib.suppress(NotUnderstood):
        decode((data[place : place + size] for place in range(0, len(data), size)), script=script)


@pytest.mark.parametrize(
    "text",
    [
        "/*" * 100_000,
        once("Script._is_argument searches all that stands before", "p:x { " + "print(@a) " * 8000),
        once("Script._closing and _parts begin again for each bracket", "@[" * 3000),
        once("script._OPAQUE", '"' + '\\"' * 15_000 + "\\"),
        once("Script._depth counts all that stands before", "p:x { };" + "}BEGIN" * 200_000),
    ],
    ids=["comment", "arguments", "brackets", "quotes", "begins"],
)
def test_the_time_for_a_script_is_linear(text):
    with millions_of_additions(24):
        Script(text).begin()


def test_any_place_of_a_cut():
    draw = random.Random(1)  # noqa: S311
    for output in OUTPUTS:
        for _ in range(3):
            examine(output[: draw.randrange(min(len(output), 1500) + 1)], seed=draw.randrange(1 << 30))

"""Gates of the command line: exit codes, what is said and written, and the thresholds that they set."""

import json
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from runner.capture.condition import parse_condition
from runner.capture.condition_check import STATISTICS
from runner.capture.encode import encode_capture
from runner.capture.schema import capture_schema
from runner.errors import ValueRefused
from runner.recipe.by import split_by
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.recipe.thresholds import check_gates, with_thresholds
from runner.report.gates import effects_as_markdown, gate_line, measured_text
from tests.captures import capture, latency
from tests.command import RECORDINGS, ebpf_recipe

ROOT = Path(__file__).parents[1]
REPLAYED = ("run", "tcp-retrans", "--comm", "nginx", "--replay", str(RECORDINGS[-1]))
PAIRS = ["biolatency", "fileslower", "runqlat", "tcpconnlat", "thread-time", "vfs-read-latency"]


def gates(*texts):
    return [word for text in texts for word in ("--gate", text)]


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["retransmits.total >= 1"], 0),
        (["retransmits.total = 0"], 1),
        (["retransmits.total >= 1", "retransmits{comm=nginx}.rate > 100/s"], 1),
        (["retransmits{comm=curl}.total = 0", "synack_retransmits.total < 100000"], 0),
        (["retransmits.total"], 2),
        (["retransmits.total = 0", "retransmits.total => 0"], 2),
        (["retransmit.total = 0"], 3),
        (["retransmits.p99 < 1"], 3),
        (["retransmits{port=1}.total = 0"], 3),
        (["retransmits.total < 1ms"], 3),
        (["retransmits.rate not worse by 10%"], 3),
    ],
)
def test_the_exit_code_decides(texts, code):
    done = ebpf_recipe(*REPLAYED, *gates(*texts))
    assert done.returncode == code, done.stderr
    if code > 1:
        assert done.stdout == ""
        assert f"gate '{texts[-1]}', column " in done.stderr
        return
    found = json.loads(done.stdout)["gates"]
    assert [each["gate"] for each in found] == texts
    assert "".join(f"{gate_line(each)}\n" for each in found) == done.stderr
    assert any(each["counts_as"] == "fail" for each in found) == bool(code)


def test_a_table_a_file_and_a_line_say_it_too(tmp_path):
    gate = gates("retransmits.total = 0")
    table = ebpf_recipe(*REPLAYED, *gate, "-f", "table")
    assert table.returncode == 1
    assert table.stderr.strip() in table.stdout.splitlines()
    line = ebpf_recipe(*REPLAYED, *gate, "-f", "jsonl")
    assert (line.returncode, json.loads(line.stdout)["gates"][0]["verdict"]) == (1, "fail")
    path = tmp_path / "capture.json"
    done = ebpf_recipe(*REPLAYED, *gate, "-o", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    saved = json.loads(path.read_text())
    Draft202012Validator(capture_schema()).validate(saved)
    assert saved["gates"][0]["measured"]["unit"] == "packets"
    # What a saved capture says of its gates is shown, and decides nothing again.
    shown = ebpf_recipe("report", str(path))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert table.stderr.strip() in shown.stdout.splitlines()


def test_without_gates_there_are_none():
    done = ebpf_recipe(*REPLAYED)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gates" not in json.loads(done.stdout)


def saved(tmp_path, made):
    path = tmp_path / "saved.json"
    path.write_bytes(encode_capture(made))
    return str(path)


@pytest.mark.parametrize(
    ("made", "gate", "inconclusive", "code"),
    [
        (capture(latency([10] * 2000)), "latency.p99 <= 1ms", None, 0),
        (capture(latency([10] * 2000)), "latency.p99 > 1ms", None, 1),
        (capture(latency([10] * 20)), "latency.p999 <= 1ms", None, 1),
        (capture(latency([10] * 20)), "latency.p999 <= 1ms", "fail", 1),
        (capture(latency([10] * 20)), "latency.p999 <= 1ms", "pass", 0),
        (capture(latency([])), "latency.p99 <= 1ms", "pass", 1),
        (capture(latency([10]), window={"ended_by": "interrupt"}), "latency.count >= 1", "pass", 1),
        (capture(latency([10]), problems=[("output-incomplete", None)]), "latency.count >= 1", "pass", 1),
        (capture(latency([10])), "latency.p9 <= 1ms", None, 3),
        (capture(latency([10])), "slow.total = 0", None, 3),
        (capture(latency([10])), "latency.p99 <=", None, 2),
    ],
)
def test_a_saved_capture_is_judged(tmp_path, made, gate, inconclusive, code):
    more = ["--inconclusive", inconclusive] if inconclusive else []
    done = ebpf_recipe("report", saved(tmp_path, made), "--gate", gate, *more)
    assert done.returncode == code, done.stderr
    if code < 2:
        assert f"gate {gate}: " in done.stderr
        assert f"gate {gate}: " in done.stdout


def test_what_is_no_capture_is_not_judged(tmp_path):
    path = tmp_path / "newer.json"
    document = orjson.loads(encode_capture(capture(latency([1]))))
    path.write_bytes(orjson.dumps({**document, "schema": "ebpf-recipe/capture/v2"}))
    assert ebpf_recipe("report", str(path), "--gate", "latency.count >= 1").returncode == 6
    assert ebpf_recipe("report", str(tmp_path / "none"), "--gate", "latency.count >= 1").returncode == 6


def test_options_that_would_be_ignored_are_refused():
    for arguments in (["--dry-run", "--gate", "retransmits.total = 0"], ["--inconclusive", "pass"]):
        done = ebpf_recipe("run", "tcp-retrans", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "--gate" in done.stderr


@pytest.mark.parametrize("recipe_id", PAIRS)
def test_a_gate_sets_the_threshold(recipe_id):
    recipe = find_recipe(recipe_id).recipe
    pair = next(output.above_of for output in recipe.outputs if output.above_of is not None)
    gate = parse_condition(f"{pair.table}.above(7ms) <= 1%")
    check_gates(recipe, [gate])
    assert with_thresholds(recipe, [gate], {}) == {pair.parameter: ("7ms",)}
    assert with_thresholds(recipe, [gate], {pair.parameter: ()}) == {pair.parameter: ("7ms",)}
    # The same time in other words is no contradiction.
    assert with_thresholds(recipe, [gate], {pair.parameter: ("7000us",)}) == {pair.parameter: ("7000us",)}
    same = parse_condition(f"{pair.table}.above(7000us) <= 2%")
    assert with_thresholds(recipe, [gate, same], {}) == {pair.parameter: ("7ms",)}
    with pytest.raises(ValueRefused, match=r"column 1\d: 7ms and --\w+ 8ms do not go together"):
        with_thresholds(recipe, [gate], {pair.parameter: ("8ms",)})
    other = parse_condition(f"{pair.table}.above(8ms) <= 2%")
    with pytest.raises(ValueRefused, match=r"8ms and the gate '\w+.above\(7ms\) <= 1%' do not"):
        with_thresholds(recipe, [gate, other], {})


def test_every_recipe_that_counts_at_a_threshold_says_so():
    found = [
        each
        for each in recipe_ids()
        if any(output.above_of is not None for output in find_recipe(each).recipe.outputs)
    ]
    assert sorted(found) == PAIRS


def test_a_recipe_shows_what_a_gate_sets():
    shown = " ".join(ebpf_recipe("show", "fileslower").stdout.split())
    assert "a gate on latency.above(…) sets --least, and is decided by this count" in shown


def test_other_gates_set_nothing():
    recipe = find_recipe("runqlat").recipe
    assert with_thresholds(recipe, [parse_condition("latency.p99 <= 1ms")], {"pid": ("1",)}) == {
        "pid": ("1",)
    }
    without = find_recipe("syscall-latency").recipe
    assert with_thresholds(without, [parse_condition("latency.above(1ms) <= 1%")], {}) == {}
    with pytest.raises(ValueRefused, match="not a whole number of nanoseconds"):
        with_thresholds(recipe, [parse_condition("latency.above(100m) <= 1%")], {})


def test_two_thresholds_are_refused_before_anything_runs():
    done = ebpf_recipe("run", "runqlat", "--above", "8ms", "--gate", "latency.above(7ms) <= 1%")
    assert (done.returncode, done.stdout) == (3, "")
    assert "--above 8ms" in done.stderr


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        ((3, 3, "packets"), "3 packets"),
        ((0.3, 0.3, "packets/s"), "0.3 packets/s"),
        ((16384, 20479, "us"), "16.38 ms to 20.48 ms"),
        ((250.25, 250.25, "ns"), "250.2 ns"),
        ((173900.4, 173900.4, "ns"), "173.9 us"),
        ((0.0196, 0.0196, "ratio"), "1.96%"),
        ((3, None, "packets"), "at least 3 packets"),
        ((None, 20479, "us"), "at most 20.48 ms"),
        ((None, None, "us"), "not known"),
        ((7, 7, ""), "7"),
    ],
)
def test_what_was_measured_in_words(measured, text):
    lower, upper, unit = measured
    assert measured_text({"lower": lower, "upper": upper, "unit": unit}) == text


def test_the_documentation_has_every_statistic_and_problem():
    page = (ROOT / "docs" / "gates.md").read_text()
    assert effects_as_markdown() in page
    for statistics in STATISTICS.values():
        for statistic in statistics:
            assert f"`{statistic}`" in page or f"`{statistic}(" in page, statistic


def test_a_gate_may_name_the_pod_that_rows_are_split_by():
    plain = find_recipe("tcp-retrans")
    gate = parse_condition("retransmits{pod=shop/cart-0}.total = 0")
    check_gates(split_by(plain, "pod").recipe, [gate])
    with pytest.raises(ValueRefused, match="retransmits has no key 'pod'"):
        check_gates(plain.recipe, [gate])
    # Refused for the recording, which is of another program, and not for the gate.
    done = ebpf_recipe(*REPLAYED, "--by", "pod", *gates(str(gate)))
    assert done.returncode == 3
    assert "recorded with another program" in done.stderr

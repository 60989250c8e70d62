"""Verdicts: what a capture proves of a condition, what it disproves, and what it leaves open."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.capture.bounds import Measure, Unmeasured
from runner.capture.condition import parse_condition
from runner.capture.condition_check import STATISTICS, check_condition, shape_of
from runner.capture.evidence import EFFECTS, why_unfit
from runner.capture.gate import compare, gate_results, judge
from runner.capture.measure import measure
from runner.capture.quality import RULES
from runner.capture.rows import histogram_row, stats_row
from runner.capture.schema import capture_schema
from runner.report.gates import gate_line
from tests.captures import capture, count, histogram, latency, table


def judged(text, made):
    gate = parse_condition(text)
    check_condition(gate, [shape_of(each) for each in made["tables"]])
    return judge(gate, made)


def verdict(text, made):
    return judged(text, made).verdict


def bounds(statistic, made):
    found = measure(parse_condition(f"{statistic} = 0").subject, made)
    return (found.lower, found.upper) if isinstance(found, Measure) else found


F = Fraction
RESULT = Draft202012Validator({"$defs": capture_schema()["$defs"], **capture_schema()["properties"]["gates"]})
TRUTHS = {"<=": F.__le__, "<": F.__lt__, ">=": F.__ge__, ">": F.__gt__, "=": F.__eq__, "!=": F.__ne__}


@given(st.integers(-3, 3), st.integers(0, 3), st.integers(-4, 4), st.sampled_from(sorted(TRUTHS)))
def test_a_verdict_is_that_of_every_value_between_the_bounds(lower, width, amount, comparison):
    values = [F(2 * lower + step, 2) for step in range(2 * width + 1)]
    held = {TRUTHS[comparison](value, F(amount)) for value in values}
    expected = "inconclusive" if len(held) == 2 else "pass" if held.pop() else "fail"
    assert compare(F(lower), F(lower + width), comparison, F(amount)) == expected


@pytest.mark.parametrize(
    ("lower", "upper", "passes", "fails"),
    [(None, None, "", ""), (None, F(4), "< <= !=", "> >= ="), (F(6), None, "> >= !=", "< <= ="),
     (None, F(5), "<=", ">"), (F(5), None, ">=", "<")],
)  # fmt: skip
def test_an_open_bound_proves_nothing_on_its_side(lower, upper, passes, fails):
    for comparison in TRUTHS:
        expected = (
            "pass"
            if comparison in passes.split()
            else "fail"
            if comparison in fails.split()
            else "inconclusive"
        )
        assert compare(lower, upper, comparison, F(5)) == expected


# 10,000 events of 100 us and 200 of 20 ms: 1.96 % above 10 ms.
SLOW = [100] * 10_000 + [20_000] * 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency.above(10ms) <= 2%", "pass"),
        ("latency.above(10ms) <= 1.9%", "fail"),
        ("latency.above(10ms) >= 1.9%", "pass"),
        ("latency.above(20ms) < 2%", "pass"),
        ("latency.above(20ms) > 1%", "inconclusive"),  # 20 ms lies in the bucket from 16.384 to 20.479 ms
        ("latency.above(16384us) > 1.9%", "pass"),
        ("latency.above(20480us) = 0%", "pass"),
        ("latency.p50 <= 1ms", "pass"),
        ("latency.p50 <= 100us", "inconclusive"),
        ("latency.p50 <= 95us", "fail"),
        ("latency.p99 <= 10ms", "fail"),
        ("latency.p99 <= 30ms", "pass"),
        ("latency.p99 <= 17ms", "inconclusive"),
        ("latency.mean <= 1ms", "pass"),
        ("latency.mean <= 100us", "fail"),
        ("latency.count >= 10000", "pass"),
        ("latency.count = 10200", "pass"),
        ("latency.rate >= 1020 events/s", "pass"),
        ("latency.rate < 1020/s", "fail"),
        ("latency.rate <= 61200/m", "pass"),
    ],
)
def test_a_histogram(text, expected):
    assert verdict(text, capture(latency(SLOW))) == expected


def test_what_the_program_counted_at_a_threshold_is_exact():
    slow = count("slow", {"a": 7}, "events", above_of={"table": "latency", "parameter": "above"})
    made = capture(latency([100] * 993 + [9_900] * 7), slow, parameters={"above": "9ms"})
    assert judged("latency.above(9ms) <= 0.7%", made).measure == Measure(F(7, 1000), F(7, 1000), "ratio")
    assert judged("latency.above(9000us) <= 0.7%", made).verdict == "pass"
    # Another threshold is what the buckets tell: 8.192 to 10.239 ms is one of them.
    assert bounds("latency.above(10ms)", made) == (0, F(7, 1000))
    assert bounds("latency.above(8192us)", made) == (F(7, 1000), F(7, 1000))


def test_a_threshold_is_counted_for_keys_that_both_tables_have():
    slow = table("slow", "count", [{"key": {"pid": 1, "comm": "a"}, "value": 3}, {"key": {"pid": 2, "comm": "b"}, "value": 1}],
                 "events", (("pid", "integer"), ("comm", "comm")), above_of={"table": "latency", "parameter": "above"})  # fmt: skip
    rows = [histogram([9_900] * 10, {"comm": "a"}), histogram([9_900] * 10, {"comm": "b"})]
    made = capture(table("latency", "histogram", rows), slow, parameters={"above": "9ms"})
    assert bounds("latency{comm=a}.above(9ms)", made) == (F(3, 10), F(3, 10))
    assert bounds("latency.above(9ms)", made) == (F(4, 20), F(4, 20))


@given(st.lists(st.integers(0, 40_000_000), min_size=1, max_size=60), st.integers(1, 40_000_000))
def test_a_share_above_any_threshold_lies_between_its_bounds(nanoseconds, threshold):
    made = capture(latency([each // 1000 for each in nanoseconds]))
    lower, upper = bounds(f"latency.above({threshold}ns)", made)
    assert lower <= F(sum(each >= threshold for each in nanoseconds), len(nanoseconds)) <= upper


@settings(deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=21, max_size=80), st.data())
def test_bounds_hold_wherever_missed_events_were(values, data):
    """The kernel left out some, and had others counted as something else: the truth is between the bounds."""
    missed = data.draw(st.integers(0, 5))
    seen = [*values[missed:]]
    for place in range(missed):
        seen[place] = data.draw(st.integers(0, 10_000))
    problems = [("missed-events", missed)] if missed else []
    made = capture(latency(seen), problems=problems)
    whole = sorted(values)
    limit = data.draw(st.integers(1, 12_000))
    lower, upper = bounds(f"latency.above({limit}us)", made)
    assert lower <= F(sum(each >= limit for each in whole), len(whole)) <= upper
    lower, upper = bounds("latency.count", made)
    assert lower <= len(whole) <= upper
    lower, upper = bounds("latency.p50", made)
    middle = whole[len(whole) // 2]
    assert lower is None or lower <= middle
    assert upper is None or middle <= upper


@pytest.mark.parametrize("statistic", ["p50", "p99", "p999", "mean", "above(10ms)"])
def test_without_events_there_is_no_distribution(statistic):
    amount = "1%" if "above" in statistic else "1ms"
    for made in (capture(latency([])), capture(table("latency", "histogram", [histogram([])], keys=()))):
        for comparison in TRUTHS:
            found = judged(f"latency.{statistic} {comparison} {amount}", made)
            assert (found.verdict, found.is_founded) == ("inconclusive", False)
            assert found.reason == "there were no events in latency"


def test_no_event_is_a_number_where_events_are_counted():
    made = capture(count("drops", {}), latency([]))
    assert verdict("drops.total = 0", made) == "pass"
    assert verdict("drops.rate <= 5/s", made) == "pass"
    assert verdict("drops.total >= 1", made) == "fail"
    assert verdict("latency.count >= 1", made) == "fail"


def test_a_quantile_of_too_few_events_is_open():
    found = judged("latency.p999 <= 1ms", capture(latency([10] * 1000)))
    assert (found.verdict, found.is_founded) == ("inconclusive", True)
    assert found.reason == "fewer than 10 events lie beyond p999"
    # Events that are missing do not make them more.
    assert bounds("latency.p999", capture(latency([10] * 9990), problems=[("missed-events", 20)])) == (
        None,
        None,
    )
    assert bounds("latency.p99", capture(latency([10] * 9990), problems=[("missed-events", 20)])) == (10, 11)


def test_open_buckets_leave_it_open():
    row = histogram_row({}, {(None, -1): 50, (100, None): 50})
    found = judged("latency.mean <= 1ms", capture(table("latency", "histogram", [row], keys=())))
    assert (found.verdict, found.reason) == ("inconclusive", "the amount lies between the bounds")
    assert bounds("latency.above(50us)", capture(table("latency", "histogram", [row], keys=()))) == (
        F(1, 2),
        F(1, 2),
    )
    assert bounds("latency.above(200us)", capture(table("latency", "histogram", [row], keys=()))) == (
        0,
        F(1, 2),
    )


def test_counts_sums_and_statistics():
    stats = table("waits", "stats", [stats_row({}, 4, 1001)], "ns", ())
    sent = table(
        "sent", "sum", [{"key": {"comm": "a"}, "value": 5000}, {"key": {"comm": "b"}, "value": 1}], "bytes"
    )
    least = table("least", "min", [{"key": {"comm": c}, "value": v} for c, v in (("a", 3), ("b", 9))], "us")
    most = table("most", "max", least["rows"], "us")
    made = capture(count("drops", {"a": 3, "b": 4}), stats, sent, least, most)
    assert bounds("drops.total", made) == (7, 7)
    assert bounds("drops.rate", made) == (F(7, 10), F(7, 10))
    assert bounds("drops{comm=b}.total", made) == (4, 4)
    assert bounds("drops{comm=c}.total", made) == (0, 0)
    assert bounds("sent.total", made) == (5001, 5001)
    assert bounds("waits.mean", made) == (F(1001, 4), F(1001, 4))
    assert bounds("waits.count", made) == (4, 4)
    assert bounds("waits.total", made) == (1001, 1001)
    assert bounds("waits.rate", made) == (F(1001, 10), F(1001, 10))
    assert bounds("least.min", made) == (3, 3)
    assert bounds("most.max", made) == (9, 9)
    assert bounds("most{comm=a}.max", made) == (3, 3)
    assert isinstance(bounds("most{comm=c}.max", made), Unmeasured)
    assert verdict("drops.rate <= 42/m", made) == "pass"


def test_keys_mean_rows():
    columns = (("comm", "comm"), ("pid", "integer"), ("remote", "ip"), ("up", "boolean"))
    names = [("nginx", 1, "::1", True), ("nginx: worker", 2, "10.0.0.1", False), ("a*", 3, "10.0.0.2", True)]
    rows = [
        {"key": dict(zip(("comm", "pid", "remote", "up"), each, strict=True)), "value": 10**place}
        for place, each in enumerate(names)
    ]
    made = capture(table("drops", "count", rows, "packets", columns))
    for keys, expected in {
        "comm=nginx": 1, "comm=nginx*": 11, 'comm="nginx: worker"': 10, 'comm="a*"': 100, 'comm="a*"*': 100,
        "comm=a*": 100, "pid=2": 10, "pid=02": 10, "remote=0:0:0:0:0:0:0:1": 1, "up=true": 101, "up=false": 10,
        "comm=nginx*,up=false": 10, "comm=nginx,pid=2": 0,
    }.items():  # fmt: skip
        assert bounds(f"drops{{{keys}}}.total", made) == (expected, expected), keys
    bytes_name = {"key": {"comm": {"text": "b\ufffd", "base64": "Yv8="}}, "value": 5}
    assert bounds('d{comm="b\ufffd"}.total', capture(table("d", "count", [bytes_name]))) == (5, 5)


def test_rows_whose_owner_is_not_known_may_be_meant():
    rows = [{"key": {"comm": "a"}, "value": 3}, {"key": {"comm": None}, "value": 2, "unattributed": True},
            {"key": {"comm": "c"}, "value": 4, "damaged": ["comm"]}, {"key": {"comm": "d"}, "value": 50}]  # fmt: skip
    made = capture(table("drops", "count", rows, "packets"))
    assert bounds("drops{comm=a}.total", made) == (3, 9)
    assert bounds("drops.total", made) == (59, 59)
    found = judged("drops{comm=a}.total <= 4", made)
    assert (found.verdict, found.is_founded) == ("inconclusive", True)
    assert "rows whose keys are not known" in found.reason
    sizes = [
        histogram([10] * 30, {"comm": "a"}),
        histogram([1000] * 10, {"comm": None}) | {"unattributed": True},
    ]
    made = capture(table("sizes", "histogram", sizes, "bytes"))
    assert bounds("sizes{comm=a}.above(1000B)", made) == (0, F(10, 40))
    assert verdict("sizes{comm=a}.p50 <= 11 bytes", made) == "pass"
    assert bounds("sizes{comm=a}.count", made) == (30, 40)
    # Of a socket that several processes hold it is not known which of them; who belongs to no pod is known.
    held = [{"key": {"pid": None}, "value": 2}, {"key": {"pid": 7}, "value": 1}]
    made = capture(table("drops", "count", held, "packets", (("pid", "integer"),)))
    assert bounds("drops{pid=7}.total", made) == (1, 3)
    pods = [{"key": {"pod": None}, "value": 2}, {"key": {"pod": "web"}, "value": 1}]
    made = capture(table("drops", "count", pods, "packets", (("pod", "cgroup"),)))
    assert bounds("drops{pod=web}.total", made) == (1, 1)


def test_numbers_that_can_be_read_in_two_ways_decide_nothing():
    rows = [{"key": {"comm": "a"}, "value": 3, "ambiguous": ["value"]}]
    found = judged("drops.total <= 5", capture(table("drops", "count", rows, "packets")))
    assert (found.verdict, found.is_founded) == ("inconclusive", False)


def test_a_full_map_is_no_matter_where_a_total_has_it_all():
    tables = (
        count("drops", {"a": 3}),
        table("all", "count", [{"key": {}, "value": 8}], "packets", (), total_of="drops"),
    )
    made = capture(*tables, problems=[("map-full", 5)])
    assert bounds("drops.total", made) == (8, 8)
    assert bounds("all.total", made) == (8, 8)
    assert bounds("drops{comm=a}.total", made) == (3, None)
    # More was refused than the total has: of a map of the program, perhaps.
    assert bounds("drops.total", capture(*tables, problems=[("map-full", 6)])) == (8, None)
    assert bounds("drops.total", capture(*tables, problems=[("map-full", None)])) == (8, None)


@pytest.mark.parametrize("code", ["map-full", "ends-missed", "returns-missed", "samples-dropped"])
def test_where_nobody_knows_how_many_are_missing_a_limit_can_fail_and_not_pass(code):
    made = capture(count("drops", {"a": 3}), latency(SLOW), problems=[(code, 4)])
    assert verdict("drops.total <= 2", made) == "fail"
    assert verdict("drops.total >= 3", made) == "pass"
    assert verdict("drops.total <= 1000000", made) == "inconclusive"
    for text in ("latency.p50 <= 1s", "latency.above(10ms) <= 99%", "latency.mean <= 1s"):
        found = judged(text, made)
        assert (found.verdict, found.is_founded) == ("inconclusive", True)
        assert code in found.reason


def test_every_problem_has_an_effect():
    assert EFFECTS.keys() == RULES.keys()
    for code, effect in EFFECTS.items():
        assert effect == "unfit" or RULES[code].grade != "void", code


@pytest.mark.parametrize("code", EFFECTS)
def test_what_a_problem_does(code):
    made = capture(count("drops", {"a": 3}), problems=[(code, 2)])
    plain, keyed = judged("drops.total <= 3", made), judged("drops{comm=a}.total <= 3", made)
    match EFFECTS[code]:
        case "none" | "marked":
            assert plain.verdict == keyed.verdict == "pass"
        case "keys":
            assert (plain.verdict, keyed.verdict, keyed.is_founded) == ("pass", "inconclusive", False)
            assert code in keyed.reason
        case "counted" | "lost":
            assert (plain.verdict, plain.is_founded) == ("inconclusive", True)
            assert judged("drops.total <= 100", made).verdict == (
                "pass" if EFFECTS[code] == "counted" else "inconclusive"
            )
        case "unfit":
            assert (plain.verdict, plain.is_founded) == ("inconclusive", False)
            assert code in plain.reason


@pytest.mark.parametrize(
    ("window", "is_fit"),
    [
        ({"ended_by": "duration"}, True),
        ({"ended_by": "workload", "workload": {"argv": ["true"], "exit_code": 0}}, True),
        ({"ended_by": "workload", "workload": {"argv": ["false"], "exit_code": 1}}, False),
        ({"ended_by": "workload", "workload": {"argv": ["x"], "exit_code": -9}}, False),
        ({"ended_by": "workload", "workload": {"argv": ["x"], "exit_code": None}}, False),
        ({"ended_by": "interrupt", "workload": {"argv": ["x"], "exit_code": 0}}, False),
        ({"ended_by": "script"}, True),
        ({"ended_by": None, "index": 3}, True),
        ({"ended_by": None}, False),
        *[({"ended_by": how}, False) for how in ("interrupt", "limit", "crash", "target", "budget")],
    ],
)
def test_a_window_that_was_cut_short_passes_nothing(window, is_fit):
    made = capture(count("drops", {"a": 3}), window=window)
    assert (why_unfit(made, has_keys=False) is None) == is_fit
    found = judged("drops.total <= 3", made)
    assert (found.verdict, found.is_founded) == (("pass", True) if is_fit else ("inconclusive", False))


def test_without_a_length_there_is_no_rate():
    made = capture(count("drops", {"a": 3}), window={"duration_seconds": None})
    assert judged("drops.rate <= 3/s", made).reason == "it is not known how long the window was"
    assert verdict("drops.total <= 3", made) == "pass"


def test_a_window_of_a_run_has_the_time_of_its_table():
    drops = count("drops", {"a": 3}, since="2026-11-24T10:00:00.000000Z", until="2026-11-24T10:00:01.500000Z")
    assert bounds("drops.rate", capture(drops)) == (2, 2)


def test_what_stands_in_a_capture():
    made = capture(count("drops", {"a": 3}), latency(SLOW))
    texts = ["drops.total <= 3", "drops.rate <= 0.1/s", "latency.p99 <= 17ms", "latency.p99 <= 17ms"]
    passing = gate_results([parse_condition(text) for text in texts], made, "pass")
    failing = gate_results([parse_condition(text) for text in texts], made, "fail")
    assert passing[0] == {
        "gate": "drops.total <= 3", "verdict": "pass", "counts_as": "pass",
        "measured": {"lower": 3, "upper": 3, "unit": "packets"}, "reason": None,
    }  # fmt: skip
    assert passing[1]["measured"] == {"lower": 0.3, "upper": 0.3, "unit": "packets/s"}
    assert [each["counts_as"] for each in passing] == ["pass", "fail", "pass", "pass"]
    assert [each["counts_as"] for each in failing] == ["pass", "fail", "fail", "fail"]
    assert passing[2]["measured"] == {"lower": 16384, "upper": 20479, "unit": "us"}
    # What there is nothing for passes in no case.
    cut = capture(count("drops", {"a": 3}), window={"ended_by": "interrupt"})
    assert gate_results([parse_condition(texts[0])], cut, "pass")[0]["counts_as"] == "fail"


def test_sums_of_what_may_be_negative_have_no_bound_where_some_is_missing():
    rows = [{"key": {"comm": "a"}, "value": -3}, {"key": {"comm": "b"}, "value": 10}]
    signed = capture(table("moved", "sum", rows, "bytes"), problems=[("map-full", 1)])
    assert bounds("moved.total", signed) == (None, None)
    unsigned = capture(table("moved", "sum", rows[1:], "bytes"), problems=[("map-full", 1)])
    assert bounds("moved.total", unsigned) == (10, None)
    elsewhere = capture(table("moved", "sum", rows[1:], "bytes"), problems=[("missed-events", 1)])
    assert bounds("moved.total", elsewhere) == (None, None)


STATISTICS_OF = [
    (name, statistic)
    for name, kind in (("latency", "histogram"), ("drops", "count"), ("waits", "stats"), ("sent", "sum"))
    for statistic in STATISTICS[kind]
]


@settings(deadline=None)
@given(st.data())
def test_whatever_a_capture_holds_a_gate_has_a_verdict_that_its_schema_allows(data):
    name, statistic = data.draw(st.sampled_from(STATISTICS_OF))
    unit = {"latency": "us", "drops": "", "waits": "ns", "sent": "B"}[name]
    unit = {"above": "%", "count": ""}.get(
        statistic, "" if (name, statistic) == ("latency", "rate") else unit
    )
    keys = data.draw(st.sampled_from(["", "{comm=a}", "{comm=a*}", '{comm=""}', "{comm=x}"]))
    threshold = "(1ms)" if statistic == "above" else ""
    text = f"{name}{keys}.{statistic}{threshold} {data.draw(st.sampled_from(sorted(TRUTHS)))} "
    text += f"{data.draw(st.integers(0, 2000))}{unit}{'/s' if statistic == 'rate' else ''}"
    comms = data.draw(st.lists(st.sampled_from(["a", "ab", "", None]), unique=True))
    rows = {"latency": [], "drops": [], "waits": [], "sent": []}
    for comm in comms:
        key, mark = {"comm": comm}, {"unattributed": True} if comm is None else {}
        numbers = data.draw(st.lists(st.integers(0, 5000), max_size=30))
        rows["latency"].append(histogram(numbers, key) | mark)
        rows["drops"].append({"key": key, "value": len(numbers)} | mark)
        rows["waits"].append(stats_row(key, len(numbers), sum(numbers)) | mark)
        rows["sent"].append({"key": key, "value": sum(numbers)} | mark)
    problems = data.draw(
        st.lists(
            st.tuples(st.sampled_from(sorted(RULES)), st.one_of(st.none(), st.integers(0, 40))), max_size=2
        )
    )
    made = capture(
        table("latency", "histogram", rows["latency"]),
        table("drops", "count", rows["drops"], "packets"),
        table("waits", "stats", rows["waits"], "ns"),
        table("sent", "sum", rows["sent"], "bytes"),
        problems=problems,
    )
    gate = parse_condition(text)
    check_condition(gate, [shape_of(each) for each in made["tables"]])
    made["gates"] = gate_results([gate], made, data.draw(st.sampled_from(["pass", "fail"])))
    RESULT.validate(made["gates"])
    (result,) = made["gates"]
    assert (result["verdict"] == "inconclusive") == (result["reason"] is not None)
    assert gate_line(result)
    if made["quality"]["grade"] == "void":
        assert result["counts_as"] == "fail"

"""What decides a comparison: outcomes, their direction and margin; loads; runs that say nothing."""

import math
import random

import pytest

from runner.capture.condition import parse_subject
from runner.compare.margin import parse_margin
from runner.errors import NotParsed, ValueRefused
from tests.captures import (
    ABOVE,
    LOG2,
    RATE,
    drops,
    histogram,
    in_blocks,
    in_turns,
    latency,
    run,
    table,
    windowed,
)
from tests.compared import compared, primary, problems

STEADY = [100, 101, 99, 100, 102]


def times(factor):
    return [round(factor * each) for each in STEADY]


def subjects(*texts):
    return [parse_subject(text, what="--primary") for text in texts]


def of_latency(primary, parameters=None, **more):
    """Makes runs of 100 waits: as many as asked for are of 20 ms, the others of 1 ms."""

    def make(number, at):
        tables = [latency([1000] * (100 - number) + [20_000] * number)]
        slow = {"table": "latency", "parameter": "above"}
        tables.append(table("slow", "count", [{"key": {}, "value": number}], "events", (), above_of=slow))
        return run(*tables, at=at, primary=primary, parameters=parameters or {"above": "10ms"}, **more)

    return make


def by_table(kind, row, better="lower", unit="ns", statistic="mean"):
    """Makes runs whose primary table has one row, made of a number."""
    reference = {"table": "t", "statistic": statistic, "better": better}
    return lambda number, at: run(table("t", kind, [row(number)], unit, ()), at=at, primary=reference)


# --- Verdicts and exit of the declared outcome --------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "factor", "word"),
    [
        ("lower", 2, "worse"), ("lower", 0.5, "better"), ("higher", 2, "better"), ("higher", 0.5, "worse"),
        ("lower", 1.001, "same"), ("higher", 1, "same"),
    ],
)  # fmt: skip
def test_a_rate(better, factor, word):
    before, after = in_turns(
        STEADY, times(factor), lambda n, at: run(drops(n), at=at, primary=RATE | {"better": better})
    )
    document = compared(before, after)
    assert document["verdict"] == word
    row = primary(document)
    assert (row["unit"], row["better"], row["margin"]["measure"]) == ("packets/s", better, "ratio")
    assert (row["margin"]["lower"], row["margin"]["upper"]) == pytest.approx((0.9, 1.1))
    assert row["before"] == pytest.approx(10.04)
    assert row["p_value"] <= 1
    assert document["anew"] is None


def test_noise_is_inconclusive_and_says_what_to_record():
    chance = random.Random(3)  # noqa: S311
    numbers = [[chance.randrange(lowest, lowest + 30) for _ in range(6)] for lowest in (100, 117)]
    document = compared(*in_turns(*numbers))
    assert document["verdict"] == "inconclusive"
    assert "new runs of each side and judge those alone" in document["anew"]


def test_blocks_take_out_what_all_runs_of_a_block_share():
    drift = [100, 100, 200, 200, 300, 300, 400, 400]
    sides = in_blocks(drift, [1.3 * each for each in drift], lambda n, at: run(drops(round(n)), at=at))
    in_turn = in_turns(drift, [1.3 * each for each in drift], lambda n, at: run(drops(round(n)), at=at))
    assert primary(compared(*sides))["p_value"] < 0.01
    assert primary(compared(*in_turn))["p_value"] > 0.01


@pytest.mark.parametrize(("number", "word"), [(20, "worse"), (2, "same"), (1, "better")])
def test_a_share_above_the_threshold_that_the_recipe_counted_at(number, word):
    before, after = in_turns([2, 2, 2, 2, 2], [number] * 5, of_latency(ABOVE))
    document = compared(before, after)
    row = primary(document)
    assert (document["verdict"], row["threshold"], row["unit"]) == (word, "10ms", "ratio")
    assert row["margin"] == {"measure": "share", "lower": -0.005, "upper": 0.005}
    assert row["after"] == pytest.approx(number / 100)
    assert document["distributions"][0]["before"]["count"] == 500


def test_a_threshold_that_nothing_says_is_asked_for():
    before, after = in_turns([2] * 5, [20] * 5, of_latency(ABOVE, {"above": 5}))
    with pytest.raises(ValueRefused) as refused:
        compared(before, after)
    assert "from which threshold on latency was counted" in refused.value.message
    assert "latency.above(10ms)" in refused.value.hint


def test_a_threshold_inside_a_bucket_is_known_by_bounds():
    make = of_latency(ABOVE)
    before, after = in_turns([2] * 5, [20] * 5, make)
    both = [[each | {"parameters": {"above": "20ms"}} for each in side] for side in (before, after)]
    for side in both:
        for each in side:
            each["tables"] = each["tables"][:1]
    document = compared(*both, primaries=subjects("latency.above(20ms)"))
    assert document["verdict"] == "inconclusive"
    assert "by bounds" in document["reason"]
    assert "threshold as the recipe's own" in document["anew"]


def test_other_thresholds_of_single_runs_are_marked_and_read_from_the_buckets():
    before, after = in_turns([2] * 5, [20] * 5, of_latency(ABOVE))
    after[0]["parameters"] = {"above": "1ms"}
    document = compared(before, after)
    assert problems(document, "other-parameters")
    assert primary(document)["after"] == pytest.approx(0.2)


def test_a_mean_log2():
    before, after = in_turns(
        STEADY, times(2), lambda n, at: run(latency([10 * n] * 100), at=at, primary=LOG2)
    )
    document = compared(before, after)
    row = primary(document)
    assert (document["verdict"], row["unit"]) == ("worse", "octaves")
    assert row["shift"] == pytest.approx(1, abs=0.05)
    assert row["margin"]["upper"] == pytest.approx(math.log2(1.1))
    assert row["shown"]["before"].endswith(" us")


def test_a_mean_of_stats():
    make = by_table("stats", lambda n: {"key": {}, "count": 50, "average": n, "total": 50 * n})
    document = compared(*in_turns(STEADY, times(2), make))
    assert (document["verdict"], primary(document)["statistic"]) == ("worse", "mean")
    assert primary(document)["before"] == pytest.approx(100.4)


@pytest.mark.parametrize("kind", ["min", "max", "avg", "value"])
def test_kinds_that_decide_nothing_are_refused(kind):
    make = by_table(kind, lambda n: {"key": {}, "value": n}, statistic=kind)
    with pytest.raises(ValueRefused) as refused:
        compared(*in_turns(STEADY, times(2), make))
    assert f"t is a{'n' if kind == 'avg' else ''} {kind}" in refused.value.message


# --- Named outcomes -----------------------------------------------------------------------------------------


def test_a_named_outcome_decides_in_place_of_the_declared_one():
    before, after = in_turns([2] * 5, [20] * 5, of_latency(ABOVE))
    document = compared(before, after, primaries=subjects("latency.mean-log2"))
    assert [row["statistic"] for row in document["tables"] if row["primary"]] == ["mean-log2"]
    assert document["verdict"] == "worse"


def test_fewer_events_of_a_latency_are_neither_better_nor_worse():
    before, after = in_turns(STEADY, times(0.5), lambda n, at: run(latency([10] * n), at=at, primary=LOG2))
    document = compared(before, after, primaries=subjects("latency.rate"))
    assert document["verdict"] == "changed"
    assert primary(document)["better"] is None


def test_a_direction_that_the_table_says():
    make = by_table("count", lambda n: {"key": {}, "value": n})
    before, after = in_turns(STEADY, times(2), make)
    for word in ("lower", "higher"):
        for each in [*before, *after]:
            each["recipe"]["primary"] = None
            each["tables"][0]["better"] = word
        assert compared(before, after, primaries=subjects("t.rate"))["verdict"] == (
            "worse" if word == "lower" else "better"
        )


def test_rows_of_one_key_decide():
    def make(number, at):
        rows = [{"key": {"comm": "nginx"}, "value": number}, {"key": {"comm": "x"}, "value": 5000 + at}]
        return run(table("drops", "count", rows, "packets"), at=at)

    document = compared(*in_turns(STEADY, times(2), make), primaries=subjects("drops{comm=ngi*}.rate"))
    assert document["verdict"] == "worse"
    assert primary(document)["key"] == {"comm": "ngi*"}


def two(number, at):
    return run(
        table("a", "count", [{"key": {}, "value": number[0]}], "calls", (), better="lower"),
        table("b", "count", [{"key": {}, "value": number[1]}], "calls", (), better="lower"),
        at=at,
        primary=None,
    )


@pytest.mark.parametrize(
    ("factors", "word"), [((2, 1), "worse"), ((2, 0.5), "changed"), ((0.5, 0.5), "better"), ((1, 1), "same")]
)
def test_several_outcomes_decide_together(factors, word):
    chance = random.Random(1)  # noqa: S311
    numbers = [[(100 + chance.randrange(3), 100 + chance.randrange(3)) for _ in range(8)] for _ in range(2)]
    numbers[1] = [tuple(round(f * n) for f, n in zip(factors, pair, strict=True)) for pair in numbers[1]]
    document = compared(*in_turns(*numbers, two), primaries=subjects("a.rate", "b.rate"))
    assert document["verdict"] == word
    assert sum(row["primary"] for row in document["tables"]) == 2
    assert all(len(each["values"]) == 2 for each in document["sides"]["before"]["runs"])


def test_two_outcomes_ask_more_of_each():
    numbers = [(each, each) for each in STEADY], [(2 * each, 100) for each in STEADY]
    document = compared(*in_turns(*numbers, two), primaries=subjects("a.rate", "b.rate"))
    # 5 runs a side reach 0.008: enough for 0.01, too little for half of it.
    assert document["design"]["can_decide"] is False
    assert document["verdict"] == "inconclusive"
    once = compared(*in_turns(*numbers, two), primaries=subjects("a.rate", "a.rate"))
    assert once["verdict"] == "worse"


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("nothing.rate", "there is no table 'nothing'", "tables: latency, slow"),
        (
            "latency.rats",
            "latency is a histogram and has no rats: did you mean rate",
            "above(…), mean-log2, rate",
        ),
        ("latency.p99", "latency is a histogram and has no p99", "above(…), mean-log2, rate"),
        ("latency{comm=a}.rate", "latency has no key 'comm'", "keys of latency: none"),
        ("latency.above(5 packets)", "is not", "units of latency"),
    ],
)
def test_an_outcome_that_does_not_exist_says_what_does(text, why, hint):
    with pytest.raises(ValueRefused) as refused:
        compared(*in_turns([2] * 5, [2] * 5, of_latency(ABOVE)), primaries=subjects(text))
    assert why in refused.value.message
    assert "--primary" in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("text", ["latency", "latency.", "latency.above", "latency.above(10ms) <= 1%", ""])
def test_what_is_no_outcome(text):
    with pytest.raises(NotParsed):
        subjects(text)


# --- Margins ------------------------------------------------------------------------------------------------


def test_a_wider_margin_takes_a_change_for_none():
    sides = in_turns(STEADY, times(1.2))
    assert compared(*sides)["verdict"] == "worse"
    document = compared(*sides, margin=parse_margin("40%"))
    assert document["verdict"] == "same"
    assert primary(document)["margin"]["upper"] == pytest.approx(1.4)


def test_a_margin_of_a_share_is_in_percentage_points():
    sides = in_turns([2] * 5, [4] * 5, of_latency(ABOVE))
    assert compared(*sides)["verdict"] == "worse"
    assert compared(*sides, margin=parse_margin("3pp"))["verdict"] == "same"


def test_a_margin_of_a_mean_log2_is_a_factor():
    sides = in_turns(STEADY, times(2), lambda n, at: run(latency([10 * n] * 100), at=at, primary=LOG2))
    document = compared(*sides, margin=parse_margin("99%"))
    assert primary(document)["margin"]["upper"] == pytest.approx(math.log2(1.99))


def test_a_margin_in_another_measure_is_refused():
    for make, primaries, text, hint in [
        (of_latency(ABOVE), (), "10%", "--margin 0.5pp"),
        (of_latency(ABOVE), subjects("latency.mean-log2"), "0.5pp", "--margin 10%"),
        (of_latency(ABOVE), subjects("slow.rate"), "0.5pp", "--margin 10%"),
    ]:
        with pytest.raises(ValueRefused) as refused:
            compared(*in_turns([2] * 5, [2] * 5, make), primaries=primaries, margin=parse_margin(text))
        assert "the margin of" in refused.value.message
        assert refused.value.hint == hint


# --- Loads --------------------------------------------------------------------------------------------------


def test_without_the_same_load_nothing_is_said():
    before, after = in_turns(
        [100] * 5, [115] * 5, lambda n, at: run(latency([1000 * n // 100] * n), at=at, primary=LOG2)
    )
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert document["reason"].startswith("the load differs: 10 events per second before, 11.5 after")
    assert document["anew"] == "record both sides again under one load"
    assert document["load"] == {
        "unit": "events", "before": 10.0, "after": 11.5, "differs": True,
        "drift": None, "drifts": False, "variation": None, "varies": False,
    }  # fmt: skip


def test_a_load_that_differs_by_less_is_the_same():
    document = compared(
        *in_turns([100] * 5, [109] * 5, lambda n, at: run(latency([1000] * n), at=at, primary=LOG2))
    )
    assert document["load"]["differs"] is False
    assert document["verdict"] == "same"


def test_units_of_work_are_the_load_and_what_rates_are_per():
    before, after = in_turns(
        STEADY, times(2), lambda n, at: run(drops(n), at=at, work=(1000 + n % 3, "requests"))
    )
    document = compared(before, after)
    row = primary(document)
    assert (row["statistic"], row["unit"]) == ("per-work", "packets/requests")
    assert row["before"] == pytest.approx(0.1, rel=0.02)
    assert document["load"]["unit"] == "requests"
    assert document["load"]["before"] == pytest.approx(100, rel=0.02)
    assert document["verdict"] == "worse"
    assert document["sides"]["before"]["runs"][0]["work"] == 1001
    assert not problems(document, "load-unknown")


def test_twice_the_work_in_the_same_time_is_another_load():
    def make(number, at):
        return run(drops(number), at=at, work=(10 * number, "requests"))

    document = compared(*in_turns(STEADY, times(2), make))
    assert primary(document)["before"] == pytest.approx(0.1)
    assert primary(document)["after"] == pytest.approx(0.1)
    assert document["verdict"] == "inconclusive"
    assert "requests per second before" in document["reason"]


def test_the_work_of_a_run_in_windows_is_that_of_all_of_it():
    def make(number, at):
        made = windowed([drops(number), drops(3 * number)], at=at, whole=drops(4 * number))
        load = {"argv": ["./load"], "exit_code": 0, "work": {"count": 1000, "unit": "requests"}}
        made[-1]["window"] |= {"workload": load}
        return made

    before, after = in_turns(STEADY, times(2), make)
    document = compared(*([each for made in side for each in made] for side in (before, after)))
    assert document["sides"]["before"]["runs"][0]["values"] == pytest.approx([0.4])
    assert document["verdict"] == "worse"


@pytest.mark.parametrize("work", [None, (0, "requests"), (1000, "pages"), (1000, None)])
def test_work_that_not_all_runs_did_is_no_measure(work):
    before, after = in_turns(STEADY, times(2), lambda n, at: run(drops(n), at=at, work=(1000, "requests")))
    after[2] = run(drops(200), at=after[2]["window"] and 100, work=work)
    document = compared(before, after)
    assert primary(document)["statistic"] == "rate"
    assert problems(document, "load-unknown")
    assert document["load"] is None


def test_a_load_that_nobody_knows_is_marked():
    document = compared(*in_turns(STEADY, times(2)))
    (problem,) = problems(document, "load-unknown")
    assert "let the command write its units of work" in problem["detail"]
    assert (problem["left_out"], document["load"]) == (False, None)


# --- Runs that say nothing ----------------------------------------------------------------------------------


def test_a_run_without_events_is_not_left_out_in_silence():
    before, after = in_turns(
        [1000] * 6, [2000] * 6, lambda n, at: run(latency([n] * 100), at=at, primary=LOG2)
    )
    after[3]["tables"] = [latency([])]
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert "1 of 6 runs after say nothing of latency.mean-log2: there were no events" in document["reason"]
    assert document["anew"] == "record longer runs, or while the load runs"
    (problem,) = problems(document, "no-outcome")
    assert (problem["side"], problem["files"]) == ("after", ["after-3.json"])
    assert document["sides"]["after"]["runs"][3]["values"] == [None]
    assert len(document["sides"]["after"]["runs"]) == 6


def test_each_run_without_a_number_is_named():
    before, after = in_turns(
        [1000] * 5, [2000] * 5, lambda n, at: run(latency([n] * 100), at=at, primary=LOG2)
    )
    for each in (before[1], before[2], after[0]):
        each["tables"] = [latency([])]
    found = problems(compared(before, after), "no-outcome")
    assert [(each["side"], each["files"]) for each in found] == [
        ("before", ["before-1.json", "before-2.json"]),
        ("after", ["after-0.json"]),
    ]


def test_nothing_counted_is_a_rate_of_zero():
    before, after = in_turns([0] * 5, STEADY)
    document = compared(before, after)
    assert document["verdict"] == "worse"
    assert primary(document)["shift"] is None
    document = compared(*in_turns([0] * 5, [0] * 5))
    assert document["verdict"] == "inconclusive"
    assert "there was nothing to count on either side" in document["reason"]


@pytest.mark.parametrize("seconds", [None, 0, 0.0])
def test_a_rate_of_a_window_that_nobody_timed(seconds):
    before, after = in_turns(STEADY, times(2))
    after[1]["window"]["duration_seconds"] = seconds
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert "it is not known how long the window was" in document["reason"]


def test_a_window_without_events_leaves_the_others_of_its_run():
    made = windowed([latency([1000] * 10), latency([]), latency([1000] * 10)], at=2000, primary=LOG2)
    before, after = in_turns(
        [1000] * 5, [2000] * 4, lambda n, at: run(latency([n] * 100), at=at, primary=LOG2)
    )
    document = compared(before, [*after, *made])
    assert document["sides"]["after"]["runs"][-1]["values"][0] == pytest.approx(9.904, abs=0.01)


@pytest.mark.parametrize("bounds", [(None, -1), (-8, -5), (16, None)])
def test_buckets_without_a_logarithm_say_no_mean_log2(bounds):
    before, after = in_turns(
        [1000] * 5, [2000] * 5, lambda n, at: run(latency([n] * 100), at=at, primary=LOG2)
    )
    row = histogram([1000] * 50)
    row["buckets"] = [{"lower": bounds[0], "upper": bounds[1], "count": 1}, *row["buckets"]]
    row["count"] += 1
    before[1]["tables"][0]["rows"] = [row]
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert "has no logarithm" in document["reason"]


def test_sums_below_zero_have_no_ratio():
    before, after = in_turns(
        [-5] * 5, [7] * 5, by_table("sum", lambda n: {"key": {}, "value": n}, statistic="rate")
    )
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert "below zero" in document["reason"]


def test_a_table_that_lost_an_unknown_number_of_events_has_no_rate():
    before, after = in_turns(STEADY, times(2))
    after[0] = run(drops(200), at=20, problems=[("ends-missed", None)])
    document = compared(before, after)
    assert document["verdict"] == "inconclusive"
    assert "ends-missed" in document["reason"]


def test_as_many_lost_events_as_are_known_are_bounds():
    make = lambda n, at: run(drops(n), at=at, problems=[("missed-events", 2)])  # noqa: E731
    document = compared(*in_turns(STEADY, times(2), make))
    assert document["verdict"] == "worse"
    assert "by the lower bounds" in document["reason"]
    many = lambda n, at: run(drops(n), at=at, problems=[("missed-events", 400)])  # noqa: E731
    document = compared(*in_turns(STEADY, times(1.4), many))
    assert document["verdict"] == "inconclusive"


def test_numbers_of_64_bits():
    huge = 2**64 - 1
    before, after = in_turns([huge // 4] * 5, [huge] * 5)
    document = compared(before, after)
    assert document["verdict"] == "worse"
    assert primary(document)["shift"] == pytest.approx(4)
    document = compared(
        *in_turns([huge] * 5, [huge - 7] * 5, lambda n, at: run(drops(n), at=at, seconds=1e-6))
    )
    assert document["verdict"] == "same"


@pytest.mark.parametrize("has_whole", [True, False])
def test_what_a_run_in_windows_lacks_is_missing_once(has_whole):
    def make(number, at):
        whole = drops(10 * number) if has_whole else None
        return windowed([drops(number)] * 10, at=at, whole=whole, problems=[("missed-events", 50)])

    before, after = ([c for made in side for c in made] for side in in_turns(STEADY, times(2), make))
    document = compared(before, after)
    # 1000 events, of which 50 may be missing and 50 elsewhere: each of ten windows alone would say so of its 100.
    assert document["sides"]["before"]["runs"][0]["values"] == pytest.approx([110])
    assert document["verdict"] == "worse"


def test_a_share_of_windows_that_lack_events_is_that_of_all_of_them():
    make = lambda n, at: windowed(  # noqa: E731
        [latency([1000] * (100 - n) + [20_000] * n)] * 10,
        at=at,
        primary=ABOVE,
        problems=[("missed-events", 1)],
    )
    before, after = ([c for made in side for c in made] for side in in_turns([2] * 5, [20] * 5, make))
    document = compared(before, after, primaries=subjects("latency.above(16384us)"))
    assert document["verdict"] == "worse"
    assert primary(document)["after"] == pytest.approx(0.2, abs=0.01)


def test_a_last_window_of_another_length_weighs_what_it_lasted():
    def make(number, at):
        made = windowed([drops(10 * number), drops(number)], at=at, seconds=1.0)
        made[1]["window"] |= {"duration_seconds": 0.1}
        return made

    before, after = in_turns(STEADY, times(2), make)
    document = compared(*([each for made in side for each in made] for side in (before, after)))
    # 11 in 1.1 s, and not the mean of 10 and of 10 per second.
    first = document["sides"]["before"]["runs"][0]
    assert first["seconds"] == pytest.approx(1.1)
    assert first["values"] == pytest.approx([11 * STEADY[0] / 1.1])

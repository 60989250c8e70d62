"""Gates on two sides: what must hold of the side after, and what must not have become worse."""

import pytest

from runner.capture.condition import parse_condition
from runner.errors import NotParsed, ValueRefused
from tests.captures import ABOVE, LOG2, RATE, count, drops, in_turns, latency, run, table, windowed
from tests.compared import compared

STEADY = [100, 101, 99, 100, 102]


def times(factor):
    return [round(factor * each) for each in STEADY]


def waits(number, at, **more):
    """A run of 2000 waits of about so many us."""
    return run(latency([10 * number] * 1800 + [11 * number] * 200), at=at, primary=LOG2, **more)


def slow(number, at, threshold="10ms", parameter="10ms", **more):
    """A run of 1000 waits, so many of them of 20 ms; the recipe counts them at its threshold."""
    pair = {"table": "latency", "parameter": "above"}
    return run(
        latency([1000] * (1000 - number) + [20_000] * number),
        table("slow", "count", [{"key": {}, "value": number}], "events", (), above_of=pair),
        at=at,
        primary=ABOVE,
        parameters={"above": parameter},
        **more,
    )


def gate(text, before, after, **wanted):
    (found,) = compared(before, after, gates=[parse_condition(text)], **wanted)["gates"]
    return found


def is_undecided(found, why):
    assert (found["verdict"], found["counts_as"]) == ("inconclusive", "fail"), found
    assert why in found["reason"], found
    return True


# --- Amounts: what all runs of the side after say together ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("latency.p99 <= 3ms", "pass"),
        ("latency.p99 <= 1ms", "fail"),
        ("latency.p99 <= 2200us", "inconclusive"),
        ("latency.count = 10000", "pass"),
        ("latency.count >= 10001", "fail"),
        ("latency.rate <= 200/s", "pass"),
        ("latency.rate < 200/s", "fail"),
    ],
)
def test_an_amount_is_of_all_runs_after(text, verdict):
    found = gate(text, *in_turns(STEADY, times(2), waits))
    assert (found["verdict"], found["gate"]) == (verdict, text)
    assert found["counts_as"] == ("pass" if verdict == "pass" else "fail")


def test_an_inconclusive_amount_counts_as_asked():
    sides = in_turns(STEADY, times(2), waits)
    assert gate("latency.p99 <= 2200us", *sides, inconclusive="pass")["counts_as"] == "pass"
    assert gate("latency.p99 <= 1ms", *sides, inconclusive="pass")["counts_as"] == "fail"


def test_a_share_is_what_all_runs_counted_at_the_threshold():
    found = gate("latency.above(10ms) <= 1%", *in_turns([10] * 5, [8, 9, 10, 11, 12], slow))
    assert (found["verdict"], found["measured"]) == ("pass", {"lower": 0.01, "upper": 0.01, "unit": "ratio"})


def test_counts_at_different_thresholds_are_no_count_at_one():
    before, after = in_turns([10] * 5, [10] * 5, slow)
    for other in (after[2], after[0]):
        odd = slow(500, at=0, parameter="1ms")
        changed = [
            each | {"tables": odd["tables"], "parameters": odd["parameters"]} if each is other else each
            for each in after
        ]
        found = gate("latency.above(10ms) <= 1%", before, changed)
        # Of the buckets: 40 of 5000 and 500 of 1000 waits.
        assert found["verdict"] == "fail"
        assert found["measured"]["lower"] == pytest.approx(540 / 5000)
        found = gate("latency.above(1ms) <= 1%", before, changed)
        assert found["measured"]["lower"] < found["measured"]["upper"] == 1


def test_rows_of_a_key():
    make = lambda n, at: run(drops(1), count("calls", {"nginx": n, "x": 5 * n}, "calls"), at=at)  # noqa: E731
    sides = in_turns(STEADY, times(2), make)
    assert gate("calls{comm=nginx}.total = 1004", *sides)["verdict"] == "pass"
    assert gate("calls.total = 6024", *sides)["verdict"] == "pass"
    assert gate("calls{comm=nobody}.total = 0", *sides)["verdict"] == "pass"


def test_windows_of_runs_are_put_together():
    make = lambda n, at: windowed([drops(n), drops(n)], at=at, whole=drops(2 * n))  # noqa: E731
    before, after = ([c for made in side for c in made] for side in in_turns(STEADY, times(2), make))
    assert gate("drops.total = 2008", before, after)["verdict"] == "pass"
    assert gate("drops.rate = 200.8/s", before, after)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"problems": [("ticks-missing", 1)]}, None),
        ({"window": {"ended_by": "interrupt"}}, "a signal ended the window before its time"),
        ({"window": {"ended_by": "limit"}}, "the window ended at a limit"),
        ({"window": {"ended_by": None}}, "it is not known what ended the window"),
    ],
)
def test_a_run_that_is_no_measurement_passes_nothing(change, why):
    before, after = in_turns(STEADY, STEADY)
    after[1] = run(drops(100), at=60, **change)
    for text in ("drops.rate <= 100/s", "drops.rate not worse by 50%"):
        found = gate(text, before, after, inconclusive="pass")
        if why is None:
            # It is left out: the others decide, or are too few.
            assert found["verdict"] == "pass" or is_undecided(found, "4 after cannot carry a decision")
        else:
            assert is_undecided(found, f"after-1.json: {why}")


def test_a_capture_of_all_of_a_run_that_was_cut_passes_nothing():
    make = lambda n, at: windowed([drops(n), drops(n)], at=at, whole=drops(2 * n))  # noqa: E731
    before, after = ([c for made in side for c in made] for side in in_turns(STEADY, STEADY, make))
    after[2]["window"]["ended_by"] = "interrupt"
    assert is_undecided(gate("drops.rate <= 900/s", before, after), "a signal ended the window")


def test_no_events_pass_no_quantile():
    before, after = in_turns(STEADY, STEADY, waits)
    after = [each | {"tables": [latency([])]} for each in after]
    for text in ("latency.p99 <= 10ms", "latency.p99 not worse by 10%", "latency.mean-log2 not worse by 10%"):
        assert gate(text, before, after, inconclusive="pass")["counts_as"] == "fail"


def test_lost_events_leave_an_amount_open():
    before, after = in_turns(STEADY, STEADY)
    after[0] = run(drops(100), at=20, problems=[("map-full", 60)])
    assert gate("drops.total <= 500", before, after)["verdict"] == "fail"
    after[0] = run(drops(100), at=20, problems=[("missed-events", 60)])
    found = gate("drops.total <= 520", before, after)
    assert (found["verdict"], found["measured"]["lower"]) == ("inconclusive", 442)


def test_tables_that_contradict_each_other_decide_nothing():
    before, after = in_turns(STEADY, STEADY, waits)
    after[1]["tables"][0] |= {"unit": "ns"}
    found = gate("latency.p99 <= 10ms", before, after)
    assert is_undecided(found, "cannot be put together: not the same table: unit")


def test_different_buckets_decide_nothing():
    before, after = in_turns(STEADY, STEADY, waits)
    row = after[1]["tables"][0]["rows"][0]
    row["buckets"] = [{"lower": 0, "upper": 99_999, "count": row["count"]}]
    found = gate("latency.p99 <= 10ms", before, after)
    assert is_undecided(found, "cannot be put together")


def test_a_table_that_one_run_lacks_decides_nothing():
    before, after = in_turns(STEADY, STEADY, lambda n, at: run(drops(n), count("calls", {"a": 1}), at=at))
    after[1]["tables"].pop()
    assert is_undecided(gate("calls.total < 99", before, after), "after-1.json: there is no table calls")


# --- Not worse by -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "factor", "verdict"),
    [
        ("lower", 1, "pass"), ("lower", 2, "fail"), ("lower", 0.5, "pass"), ("lower", 1.1, "inconclusive"),
        ("higher", 1, "pass"), ("higher", 0.5, "fail"), ("higher", 2, "pass"), ("higher", 0.9, "inconclusive"),
    ],
)  # fmt: skip
def test_a_rate_is_not_worse_by_a_share_of_itself(better, factor, verdict):
    make = lambda n, at: run(drops(n), at=at, primary=RATE | {"better": better})  # noqa: E731
    found = gate("drops.rate not worse by 10%", *in_turns(STEADY, times(factor), make))
    assert found["verdict"] == verdict
    assert found["measured"]["lower"] <= factor + 0.01
    assert found["measured"]["upper"] >= factor - 0.01
    assert (found["reason"] is None) == (verdict != "inconclusive")


@pytest.mark.parametrize("statistic", ["p50", "p99", "mean", "mean-log2"])
@pytest.mark.parametrize(("factor", "verdict"), [(1, "pass"), (1.5, "fail"), (0.5, "pass")])
def test_a_latency_is_not_worse(statistic, factor, verdict):
    found = gate(f"latency.{statistic} not worse by 20%", *in_turns(STEADY, times(factor), waits))
    assert found["verdict"] == verdict
    assert found["measured"]["unit"] == "ratio"


@pytest.mark.parametrize(("number", "verdict"), [(10, "pass"), (30, "fail")])
def test_a_share_is_not_worse(number, verdict):
    sides = in_turns([10, 11, 10, 9, 10], [number + 1, number, number, number - 1, number], slow)
    assert gate("latency.above(10ms) not worse by 50%", *sides)["verdict"] == verdict


@pytest.mark.parametrize(("text", "verdict"), [("100%", "pass"), ("0%", "fail"), ("1000%", "pass")])
def test_shares_at_the_edge(text, verdict):
    higher = lambda n, at: run(drops(n), at=at, primary=RATE | {"better": "higher"})  # noqa: E731
    sides = in_turns(STEADY, times(0.5), higher)
    assert gate(f"drops.rate not worse by {text}", *sides)["verdict"] == verdict
    higher = lambda n, at: run(latency([10 * n] * 200), at=at, primary=LOG2 | {"better": "higher"})  # noqa: E731
    assert (
        gate(f"latency.mean-log2 not worse by {text}", *in_turns(STEADY, times(0.5), higher))["verdict"]
        == verdict
    )


def test_nothing_on_either_side_has_no_share():
    found = gate("drops.rate not worse by 10%", *in_turns([0] * 5, [0] * 5))
    assert is_undecided(found, "a part of nothing is no margin")
    assert gate("drops.rate not worse by 10%", *in_turns([0] * 5, STEADY))["verdict"] == "fail"


def test_too_few_runs_decide_nothing_whatever_is_asked():
    before, after = in_turns(STEADY[:4], times(0.5)[:4])
    found = gate("drops.rate not worse by 10%", before, after, inconclusive="pass")
    assert is_undecided(found, "4 runs before and 4 after cannot carry a decision")


def test_what_differs_besides_decides_nothing():
    before, after = in_turns(STEADY, STEADY)
    other = [each | {"recipe": each["recipe"] | {"digest": "sha256:2"}} for each in after]
    assert is_undecided(gate("drops.rate not worse by 10%", before, other), "different programs")
    before, after = in_turns(
        [100] * 5, [150] * 5, lambda n, at: run(latency([1000] * n), at=at, primary=LOG2)
    )
    assert is_undecided(gate("latency.mean-log2 not worse by 10%", before, after), "the load differs")


def test_across_hosts_a_gate_decides_by_work_alone():
    make = lambda n, at: run(drops(n), latency([1000] * 200, better="lower"), at=at, work=(1000, "requests"))  # noqa: E731
    before, after = in_turns(STEADY, STEADY, make)
    after = [each | {"host": each["host"] | {"hostname": "beta", "boot_id": "b2"}} for each in after]
    assert gate("drops.rate not worse by 10%", before, after)["verdict"] == "pass"
    assert is_undecided(gate("latency.p50 not worse by 10%", before, after), "across hosts")
    assert gate("latency.p50 <= 2ms", before, after)["verdict"] == "pass"


def test_a_gate_decides_where_the_primary_outcome_cannot():
    def make(n, at):
        return run(
            drops(n), table("calls", "count", [{"key": {}, "value": 50}], "calls", (), better="lower"), at=at
        )

    before, after = in_turns(STEADY, STEADY, make)
    before[0]["tables"].pop(0)
    document = compared(before, after, gates=[parse_condition("calls.rate not worse by 10%")])
    assert document["verdict"] == "inconclusive"
    assert document["gates"][0]["verdict"] == "pass"


def test_a_direction_that_nobody_declared():
    make = lambda n, at: run(drops(n), count("calls", {"a": n}), latency([5] * n), at=at)  # noqa: E731
    for text, named in [
        ("calls.rate", "calls.rate"),
        ("latency.rate", "latency.rate"),
        ("latency.p50", "latency.p50"),
    ]:
        with pytest.raises(ValueRefused) as refused:
            gate(f"{text} not worse by 10%", *in_turns(STEADY, STEADY, make))
        assert f"which way {named} is worse" in refused.value.message
        assert "TABLE.STATISTIC <= NUMBER" in refused.value.hint


# --- What does not exist ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [" <= 5", " not worse by 10%"])
@pytest.mark.parametrize(
    ("subject", "why", "hint"),
    [
        ("nothing.rate", "there is no table 'nothing'", "tables: latency"),
        ("latenzy.p99", "did you mean latency?", "tables: latency"),
        (
            "latency.p98",
            "latency is a histogram and has no p98: did you mean p99",
            "statistics of latency: p50",
        ),
        ("latency{comm=x}.p99", "latency has no key 'comm'", "keys of latency: none"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(subject, ending, why, hint):
    with pytest.raises(ValueRefused) as refused:
        gate(subject + ending, *in_turns(STEADY, STEADY, waits))
    assert why in refused.value.message
    assert hint in refused.value.hint


def test_a_unit_that_the_table_does_not_have():
    with pytest.raises(ValueRefused) as refused:
        gate("latency.p99 <= 10 packets", *in_turns(STEADY, STEADY, waits))
    assert "latency.p99 is in us, 10 packets is not" in refused.value.message
    assert "ns, us, ms, s, m" in refused.value.hint


@pytest.mark.parametrize(
    "text", ["", "latency", "latency.p99 <= ", "latency.p99 not worse by 10", "latency.p99 not worse by -1%"]
)
def test_what_is_no_gate(text):
    with pytest.raises(NotParsed):
        parse_condition(text)

"""Rows that decide nothing: which there are, what they are called, and that they flip no verdict."""

import random

import pytest

from tests.captures import LOG2, drops, histogram, in_turns, latency, run, table
from tests.compared import compared, problems

RUNS = 8
STEADY = [100, 101, 99, 100, 102, 100, 98, 100]


def rows(document, name=None):
    return [each for each in document["tables"] if not each["primary"] and name in (None, each["name"])]


def called(document, name, statistic="rate", **key):
    (found,) = [
        each for each in rows(document, name) if each["key"] == key and each["statistic"] == statistic
    ]
    return found


def sides(make_before, make_after, **more):
    """Runs of a steady primary outcome, beside the tables that are made of each run's place."""
    return in_turns(
        [(make_before, place) for place in range(RUNS)],
        [(make_after, place) for place in range(RUNS)],
        lambda made, at: run(drops(STEADY[made[1]]), *made[0](made[1]), at=at, **more),
    )


def by_comm(counts):
    return lambda place: [
        table(
            "calls", "count", [{"key": {"comm": c}, "value": n + place} for c, n in counts.items()], "calls"
        )
    ]


def test_a_row_that_changed_is_pointed_at_and_decides_nothing():
    document = compared(*sides(by_comm({"a": 1000, "b": 1000}), by_comm({"a": 1000, "b": 9000})))
    assert document["verdict"] == "same"
    found = called(document, "calls", comm="b")
    assert (found["verdict"], found["unit"]) == ("changed", "calls/s")
    assert found["shift"] == pytest.approx(9, rel=0.01)
    assert called(document, "calls", comm="a")["verdict"] == "inconclusive"
    assert rows(document)[0]["adjusted"] <= 0.05
    assert [each["primary"] for each in document["tables"]] == sorted(
        (each["primary"] for each in document["tables"]), reverse=True
    )


def test_of_many_rows_by_chance_hardly_any_is_pointed_at():
    chance = random.Random(5)  # noqa: S311
    names = [f"c{number}" for number in range(100)]

    def make(place):
        return [
            table(
                "calls",
                "count",
                [{"key": {"comm": c}, "value": chance.randrange(900, 1100)} for c in names],
                "calls",
            )
        ]

    document = compared(*sides(make, make))
    assert len(rows(document)) == 101
    assert sum(each["verdict"] == "changed" for each in rows(document)) <= 5


def test_pids_are_one_row_and_a_server_is_its_own():
    def make(place):
        return [
            table(
                "calls",
                "count",
                [
                    {"key": {"pid": 1, "comm": "init"}, "value": 50},
                    {"key": {"pid": 100 + place, "comm": "job"}, "value": 30},
                    {"key": {"pid": 200 + place, "comm": "job"}, "value": 20},
                ],
                "calls",
                (("pid", "integer"), ("comm", "comm")),
            )
        ]

    document = compared(*sides(make, make))
    keys = [each["key"] for each in rows(document, "calls")]
    assert sorted(map(str, keys)) == sorted(
        map(str, [{}, {"pid": 1, "comm": "init"}, {"pid": "*", "comm": "job"}])
    )
    assert called(document, "calls", pid="*", comm="job")["before"] == 5


def test_rare_rows_are_one():
    def make(place):
        rare = [{"key": {"comm": f"rare{number}"}, "value": 1} for number in range(place, place + 10)]
        return [table("calls", "count", [{"key": {"comm": "a"}, "value": 10_000}, *rare], "calls")]

    document = compared(*sides(make, make))
    assert {each["key"].get("comm") for each in rows(document, "calls")} == {None, "a", "other"}
    assert called(document, "calls", comm="other")["before"] == 1
    assert called(document, "calls")["before"] == 1001


def test_a_row_that_a_side_does_not_have_is_nothing_there():
    document = compared(*sides(by_comm({"a": 1000}), by_comm({"a": 1000, "new": 500})))
    found = called(document, "calls", comm="new")
    assert (found["before"], found["shift"], found["verdict"]) == (0, None, "changed")


def test_histograms_have_their_mean_and_their_rate():
    def make(factor):
        return lambda place: [latency([factor * (100 + place)] * 50)]

    document = compared(*sides(make(1), make(4)))
    found = called(document, "latency", "mean-log2")
    assert (found["verdict"], found["unit"]) == ("changed", "octaves")
    assert found["shift"] == pytest.approx(2, abs=0.1)
    assert found["shown"]["after"].endswith(" us")
    assert called(document, "latency")["unit"] == "events/s"


def test_few_events_have_no_mean():
    document = compared(*sides(lambda _: [latency([5] * 9)], lambda _: [latency([5] * 90)]))
    assert [each["statistic"] for each in rows(document, "latency")] == ["rate"]


@pytest.mark.parametrize("bounds", [(None, -1), (-8, -5), (16, None)])
def test_buckets_without_a_logarithm_are_counted(bounds):
    row = histogram([5] * 50)
    row["buckets"].append({"lower": bounds[0], "upper": bounds[1], "count": 10})
    row["count"] += 10
    made = lambda _: [table("latency", "histogram", [row], "us", ())]  # noqa: E731
    document = compared(*sides(made, made))
    assert [each["statistic"] for each in rows(document, "latency")] == ["rate"]
    assert called(document, "latency")["before"] == 6


def test_stats_have_mean_and_total():
    def make(place):
        return [
            table("io", "stats", [{"key": {}, "count": 50, "average": 2, "total": 100 + place}], "bytes", ())
        ]

    document = compared(*sides(make, make))
    assert {each["statistic"]: each["unit"] for each in rows(document, "io")} == {
        "mean": "bytes",
        "rate": "bytes/s",
    }
    assert called(document, "io")["before"] == pytest.approx(10.35)


def test_sums_may_be_negative():
    make = by_comm({"a": -1000, "b": 1000})
    both = [
        [
            each | {"tables": [t | {"kind": "sum"} if t["name"] == "calls" else t for t in each["tables"]]}
            for each in side
        ]
        for side in sides(make, make)
    ]
    assert called(compared(*both), "calls", comm="a")["before"] < 0


@pytest.mark.parametrize("kind", ["min", "max", "avg", "value", "time-series"])
def test_kinds_without_sums_have_no_rows(kind):
    row = {"key": {}, "points": []} if kind == "time-series" else {"key": {}, "value": 5}
    made = lambda _: [table("t", kind, [row], "us", ())]  # noqa: E731
    assert not rows(compared(*sides(made, made)), "t")


def test_per_unit_of_work_where_all_runs_did_some():
    document = compared(*sides(by_comm({"a": 1000}), by_comm({"a": 1000}), work=(500, "requests")))
    found = called(document, "calls", "per-work", comm="a")
    assert found["unit"] == "calls/requests"
    assert found["before"] == pytest.approx(2.007)


def test_across_hosts_only_what_is_per_unit_of_work_is_looked_at():
    before, after = sides(
        lambda _: [latency([5] * 50)], lambda _: [latency([500] * 50)], work=(500, "requests")
    )
    after = [each | {"host": each["host"] | {"hostname": "beta", "boot_id": "b2"}} for each in after]
    assert {each["statistic"] for each in rows(compared(before, after))} == {"per-work"}
    before, after = sides(lambda _: [latency([5] * 50)], lambda _: [latency([500] * 50)])
    after = [each | {"host": each["host"] | {"hostname": "beta", "boot_id": "b2"}} for each in after]
    assert not rows(compared(before, after))


def test_a_table_of_another_shape_in_one_run_has_no_rows_and_is_told():
    before, after = sides(by_comm({"a": 1000}), by_comm({"a": 9000}))
    after[3]["tables"][1]["unit"] = "events"
    document = compared(before, after)
    assert not rows(document, "calls")
    assert problems(document, "other-unit")[0]["files"] == ["after-3.json"]
    assert document["verdict"] == "same"


def test_the_primary_outcome_stands_once():
    before, after = in_turns(
        [1000] * 5, [2000] * 5, lambda n, at: run(latency([n] * 99 + [3]), at=at, primary=LOG2)
    )
    document = compared(before, after)
    assert [each["statistic"] for each in document["tables"] if each["name"] == "latency"] == [
        "mean-log2",
        "rate",
    ]
    assert document["verdict"] == "worse"

"""Which runs may be compared: what is left out and why, what is marked, and how runs were recorded."""

import itertools

import pytest

from runner.errors import ValueRefused
from tests.captures import LOG2, RATE, capture, drops, in_blocks, in_turns, latency, run, time_at, windowed
from tests.compared import compared, primary, problems, run_compare, write

STEADY = [100, 101, 99, 100, 102]
BEFORE, AFTER = in_turns(STEADY, [2 * each for each in STEADY])


def left_out(document, code):
    """Of each side, how many were left out for one reason; and that they are in no verdict."""
    found = problems(document, code)
    assert found
    assert all(each["left_out"] for each in found)
    return {each["side"]: each["files"] for each in found}


def marked(document, code):
    found = problems(document, code)
    assert not any(each["left_out"] for each in found)
    return {each["side"]: each["detail"] for each in found}


# --- Runs that stand twice -------------------------------------------------------------------------------


def test_a_copy_on_one_side_is_left_out():
    document = compared([*BEFORE, BEFORE[0]], AFTER)
    assert left_out(document, "duplicate") == {"before": ["before-5.json"]}
    assert (document["sides"]["before"]["left_out"], document["sides"]["after"]["left_out"]) == (1, 0)
    assert len(document["sides"]["before"]["runs"]) == 5


def test_another_capture_of_all_of_a_run_is_left_out():
    document = compared([*BEFORE, BEFORE[0] | {"id": "decoded-again"}], AFTER)
    assert left_out(document, "duplicate") == {"before": ["before-5.json"]}


@pytest.mark.parametrize("name", ["id", "run_id"])
def test_a_run_on_both_sides_is_on_neither(name):
    after = [*AFTER, run(drops(1), at=2000) | {name: BEFORE[0][name]}]
    document = compared(BEFORE, after)
    assert left_out(document, "duplicate") == {"before": ["before-0.json"], "after": ["after-5.json"]}
    assert [len(document["sides"][side]["runs"]) for side in ("before", "after")] == [4, 5]


def test_the_same_on_both_sides_is_a_mistake_of_the_command_line(tmp_path):
    folder = write(tmp_path / "one", BEFORE)
    document, stderr = run_compare(folder, "--with", folder, code=3)
    assert document is None
    assert "the same run stands on both sides" in stderr
    write(folder, [*BEFORE, AFTER[0]])
    document, stderr = run_compare(folder, "--with", write(tmp_path / "two", AFTER), code=3)
    assert "the same run stands on both sides" in stderr
    assert document["verdict"] == "inconclusive" or len(document["sides"]["after"]["runs"]) == 4


# --- What is no measurement ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"problems": [("output-incomplete", None)]}, "void", "output-incomplete"),
        ({"problems": [("workload-failed", None)]}, "unfit", "workload-failed"),
        ({"exit_code": 3}, "unfit", "the command failed"),
        ({"exit_code": -9}, "unfit", "the command failed"),
        ({"window": {"ended_by": "crash"}}, "unfit", "bpftrace ended by itself"),
        ({"window": {"ended_by": "target"}}, "unfit", "ended before the window did"),
        ({"window": {"ended_by": "budget"}}, "unfit", "the budget ended the window"),
    ],
)
def test_what_was_not_measured_is_left_out(change, code, why):
    document = compared(BEFORE, [*AFTER, run(drops(7), at=2000, **change)])
    assert left_out(document, code) == {"after": ["after-5.json"]}
    assert why in problems(document, code)[0]["detail"]
    assert len(document["sides"]["after"]["runs"]) == 5
    assert document["sides"]["after"]["left_out"] == 1
    assert document["verdict"] == "worse"


def test_a_run_whose_capture_of_all_of_it_is_void_has_no_windows_that_count():
    made = windowed([drops(20)] * 3, at=2000)
    made.append(run(drops(60), at=2000, problems=[("output-incomplete", None)]) | {"id": "whole"})
    document = compared(BEFORE, [*AFTER, *made])
    assert left_out(document, "void") == {"after": [f"after-{place}.json" for place in range(5, 9)]}


@pytest.mark.parametrize("ended_by", ["interrupt", "limit"])
def test_a_window_that_was_cut_is_marked(ended_by):
    document = compared(BEFORE, [*AFTER[:4], run(drops(200), at=2000, window={"ended_by": ended_by})])
    assert set(marked(document, "degraded")) == {"after"}
    assert len(document["sides"]["after"]["runs"]) == 5


def test_a_degraded_run_is_marked_with_what_it_lacks():
    document = compared(BEFORE, [*AFTER[:4], run(drops(200), at=2000, problems=[("missed-events", 3)])])
    assert "missed-events" in marked(document, "degraded")["after"]


def test_when_all_of_a_side_is_void_it_is_refused_with_the_reason():
    after = [run(drops(1), at=2000 + 20 * each, problems=[("output-incomplete", None)]) for each in range(5)]
    with pytest.raises(ValueRefused) as refused:
        compared(BEFORE, after)
    assert "there is no run after that can be compared" in refused.value.message
    assert "output-incomplete" in refused.value.message


# --- Other recipes and programs --------------------------------------------------------------------------


def test_another_recipe_is_left_out(tmp_path):
    other = run(drops(7), at=2000, recipe={"id": "another"})
    document = compared(BEFORE, [*AFTER, other])
    assert left_out(document, "other-recipe") == {"after": ["after-5.json"]}
    assert "another, not of made-up" in problems(document, "other-recipe")[0]["detail"]
    assert document["verdict"] == "worse"
    sides = write(tmp_path / "before", BEFORE), write(tmp_path / "after", [*AFTER, other])
    run_compare(sides[0], "--with", sides[1], code=3)


def test_the_recipe_of_most_runs_is_meant_whichever_was_first():
    document = compared([run(drops(7), at=-100, recipe={"id": "another"}), *BEFORE], AFTER)
    assert left_out(document, "other-recipe") == {"before": ["before-0.json"]}
    assert document["verdict"] == "worse"


def test_two_recipes_are_not_compared():
    after = [run(drops(1), at=2000 + 20 * each, recipe={"id": "another"}) for each in range(5)]
    with pytest.raises(ValueRefused) as refused:
        compared(BEFORE, after)
    assert "it is of another, not of made-up" in refused.value.message


@pytest.mark.parametrize("change", [{"digest": "sha256:2"}, {"variant": "other"}, {"by": "pod"}])
def test_another_program_decides_nothing_and_says_why(change):
    after = [each | {"recipe": each["recipe"] | change} for each in AFTER]
    document = compared(BEFORE, after)
    assert document["verdict"] == "inconclusive"
    assert "recorded by different programs" in document["reason"]
    assert "same release of the recipe" in document["anew"]
    assert next(iter(change.values())) in marked(document, "other-program")["after"]


def test_scripts_are_told_apart_by_their_programs():
    sides = [
        [
            run(drops(number), at=at, recipe=False, program={"text": "…", "sha256": text})
            for number, at in side
        ]
        for side, text in (([(1, 0), (2, 40)], "aa"), ([(1, 20), (2, 60)], "bb"))
    ]
    subject = {"primaries": [_subject("drops.rate")]}
    assert "different programs" in compared(*sides, **subject)["reason"]
    same = [[each | {"program": {"text": "…", "sha256": "aa"}} for each in side] for side in sides]
    assert not problems(compared(*same, **subject), "other-program")


def test_a_recipe_is_not_a_script():
    with pytest.raises(ValueRefused) as refused:
        compared(BEFORE, [run(drops(1), at=2000, recipe=False)])
    assert "it is of a script, not of made-up" in refused.value.message


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"parameters": {"above": "5ms"}}, "other-parameters", "above 5ms"),
        ({"target": {"comm": ["nginx"]}}, "other-target", "comm nginx"),
    ],
)
def test_other_parameters_and_targets_are_marked(change, code, says):
    document = compared(BEFORE, [each | change for each in AFTER])
    assert says in marked(document, code)["after"]
    assert document["verdict"] == "worse"


@pytest.mark.parametrize(
    ("change", "code"), [({"kernel": "7.0"}, "other-kernel"), ({"bpftrace": "9.9"}, "other-bpftrace")]
)
def test_another_kernel_or_bpftrace_is_marked(change, code):
    document = compared(BEFORE, [each | {"host": each["host"] | change} for each in AFTER])
    assert next(iter(change.values())) in marked(document, code)["after"]
    assert document["verdict"] == "worse"


# --- Hosts -----------------------------------------------------------------------------------------------


def on(side, work=None, **host):
    made = []
    for each in side:
        window = each["window"]
        if work is not None:
            load = {"argv": ["./load"], "exit_code": 0, "work": {"count": work, "unit": "requests"}}
            window = window | {"workload": load}
        made.append(each | {"host": each["host"] | host, "window": window})
    return made


def test_across_hosts_only_what_is_per_unit_of_work_is_decided():
    other = {"hostname": "beta", "boot_id": "b2"}
    document = compared(BEFORE, on(AFTER, **other))
    assert document["verdict"] == "inconclusive"
    assert "across hosts only counts per unit of work" in document["reason"]
    assert "alpha, beta" in marked(document, "other-host")[None]
    document = compared(on(BEFORE, work=1000), on(AFTER, work=1000, **other))
    assert document["verdict"] == "worse"
    assert "alpha, beta" in marked(document, "other-host")[None]
    assert document["sides"]["after"]["hosts"] == ["beta"]


def test_a_host_that_was_booted_again_is_marked_and_decides():
    document = compared(BEFORE, on(AFTER, boot_id="b2"))
    assert "booted 2 times" in marked(document, "other-host")[None]
    assert document["verdict"] == "worse"


def test_containers_on_one_host_are_one_host():
    document = compared(BEFORE, on(AFTER, hostname="container-7"))
    assert not problems(document, "other-host")
    assert document["verdict"] == "worse"


def test_hosts_of_which_nothing_is_known_may_be_any():
    document = compared(BEFORE, on(AFTER, hostname=None, boot_id=None))
    assert "a host that is not known" in marked(document, "other-host")[None]
    assert document["verdict"] == "inconclusive"


# --- Times -----------------------------------------------------------------------------------------------


def test_runs_that_were_measured_at_the_same_time_are_left_out(tmp_path):
    across = [run(drops(50), at=2000, seconds=100.0), run(drops(51), at=2020), run(drops(52), at=2060)]
    document = compared([*BEFORE, across[0]], [*AFTER, *across[1:]])
    assert left_out(document, "overlapping") == {
        "before": ["before-5.json"],
        "after": ["after-5.json", "after-6.json"],
    }
    assert document["verdict"] == "worse"
    sides = write(tmp_path / "before", [*BEFORE, across[0]]), write(tmp_path / "after", [*AFTER, across[1]])
    run_compare(sides[0], "--with", sides[1], code=3)


def test_runs_of_two_hosts_do_not_overlap():
    after = [
        run(drops(number), at=20 * place) | {"id": f"b{place}", "run_id": f"b{place}"}
        for place, number in enumerate(STEADY)
    ]
    assert not problems(compared(BEFORE, on(after, hostname="beta", boot_id="b2")), "overlapping")
    assert left_out(compared(BEFORE, [*AFTER, after[0]]), "overlapping")


def test_windows_of_one_run_that_overlap_are_left_out():
    made = windowed([drops(20)] * 3, at=2000)
    made[1]["window"]["attached_at"] = time_at(2000.5)
    document = compared(BEFORE, [*AFTER, *made])
    assert len(left_out(document, "overlapping")["after"]) == 3


def test_two_windows_of_one_place_are_left_out():
    made = windowed([drops(20)] * 3, at=2000)
    made[2]["window"]["index"] = 1
    document = compared(BEFORE, [*AFTER, *made])
    assert len(left_out(document, "overlapping")["after"]) == 3


def test_a_clock_that_is_set_by_a_little_makes_no_overlap():
    made = windowed([drops(20)] * 3, at=2000)
    made[1]["window"]["attached_at"] = time_at(2000.998)
    document = compared(BEFORE, [*AFTER, *made])
    assert not problems(document, "overlapping")
    assert len(document["sides"]["after"]["runs"]) == 6


def test_windows_of_another_recipe_are_of_no_run():
    made = windowed([drops(20)] * 3, at=2000)
    made[1]["recipe"] = made[1]["recipe"] | {"digest": "sha256:9"}
    document = compared(BEFORE, [*AFTER, *made])
    assert "different recipes" in problems(document, "overlapping")[0]["detail"]


def test_windows_that_are_missing_are_marked():
    made = windowed([drops(20)] * 4, at=2000)
    document = compared(BEFORE, [*AFTER, *made[:1], *made[2:]])
    assert "windows of the run are missing" in marked(document, "degraded")["after"]


# --- Designs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [3, 4])
def test_blocks_of_abba_are_found_by_the_times(blocks):
    before, after = in_blocks([100 + each for each in range(2 * blocks)], [200] * (2 * blocks))
    document = compared(list(reversed(before)), after)
    assert (document["design"]["kind"], document["design"]["blocks"]) == ("abba", blocks)
    assert document["design"]["interleaved"] is True
    assert document["verdict"] == "worse"


def test_two_blocks_are_too_few_for_blocks():
    document = compared(*in_blocks([100] * 4, [200] * 4))
    assert (document["design"]["kind"], document["design"]["blocks"]) == ("unpaired", 1)


def test_one_run_more_than_blocks_makes_them_unpaired():
    before, after = in_blocks([100] * 6, [200] * 6)
    document = compared(before, [*after, run(drops(200), at=5000)])
    assert document["design"]["kind"] == "unpaired"
    assert document["verdict"] == "worse"


def test_runs_in_turns_are_unpaired_and_interleaved():
    document = compared(BEFORE, AFTER)
    assert document["design"] == {
        "kind": "unpaired", "blocks": 1, "alpha": 0.01, "can_decide": True, "interleaved": True,
    }  # fmt: skip


def test_one_side_after_the_other_is_not_interleaved():
    after = [run(drops(200), at=2000 + 20 * each) for each in range(5)]
    assert compared(BEFORE, after)["design"]["interleaved"] is False


@pytest.mark.parametrize("text", [None, "2026-11-24T10:00:00", "yesterday", ""])
def test_without_times_nobody_knows_the_order(text):
    times = dict.fromkeys(("started_at", "attached_at", "ended_at"), text)
    sides = [
        [each | {"window": each["window"] | times} for each in side]
        for side in in_blocks([100] * 6, [200] * 6)
    ]
    document = compared(*sides)
    assert document["design"]["kind"] == "unpaired"
    assert document["design"]["interleaved"] is None
    assert document["verdict"] == "worse"
    assert document["sides"]["before"]["runs"][0]["started_at"] is None


# --- How many runs ---------------------------------------------------------------------------------------


def test_four_runs_a_side_cannot_decide_and_say_what_to_record():
    document = compared(BEFORE[:4], AFTER[:4])
    assert document["verdict"] == "inconclusive"
    assert document["design"]["can_decide"] is False
    assert "4 runs before and 4 after cannot carry a decision" in document["reason"]
    assert "record 5 new runs of each side, interleaved" in document["anew"]
    assert primary(document)["runs_needed"] == 5


def test_five_runs_of_one_side_do_not_make_up_for_one_of_the_other():
    assert compared(BEFORE, AFTER[:1])["verdict"] == "inconclusive"


def test_one_run_against_one():
    document = compared(BEFORE[:1], AFTER[:1])
    assert document["verdict"] == "inconclusive"
    assert "one run against one says nothing" in document["reason"]
    assert document["anew"]


@pytest.mark.parametrize("whole", [None, drops(4000)])
def test_windows_of_one_run_against_those_of_another_are_never_more_than_inconclusive(whole):
    sides = [
        windowed([drops(number + each % 3) for each in range(40)], at=at, whole=whole)
        for number, at in ((100, 0), (300, 1000))
    ]
    document = compared(*sides)
    assert document["design"]["kind"] == "windows"
    assert document["verdict"] == "inconclusive"
    assert "one run against one says nothing" in document["reason"]
    assert "windows are worth" in document["reason"]
    (one,) = document["sides"]["before"]["runs"]
    assert one["windows"] == 40
    assert one["values"][0] == pytest.approx(100.975)
    assert one["series"]["windows"] == 40


def test_windows_are_averaged_within_their_run():
    before, after = in_turns(
        STEADY,
        [200] * 5,
        lambda number, at: windowed([drops(number - 5), drops(number + 5)], at=at, seconds=5.0),
    )
    document = compared(itertools.chain(*before), itertools.chain(*after))
    assert [each["values"] for each in document["sides"]["before"]["runs"]] == [[each / 5] for each in STEADY]
    assert [each["windows"] for each in document["sides"]["after"]["runs"]] == [2] * 5
    assert document["design"]["kind"] == "unpaired"
    assert document["verdict"] == "worse"


def test_a_run_that_drifts_is_told():
    steady = [20, 21, 19, 20, 22, 20, 19, 21, 20, 20]
    drifting = [number + 3 * place for place, number in enumerate(steady)]
    document = compared(windowed(map(drops, steady), at=0), windowed(map(drops, drifting), at=1000))
    assert "drifts within the run" in marked(document, "drift")["after"]
    assert "before" not in marked(document, "drift")
    assert document["sides"]["after"]["runs"][0]["series"]["has_drift"] is True


# --- Tables that differ ----------------------------------------------------------------------------------


def log2_run(number, at):
    return run(latency([number] * 50 + [2 * number] * 50), at=at, primary=LOG2)


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "ns"},
        {"keys": [{"name": "pid", "type": "integer"}], "rows": []},
        {"kind": "count", "rows": [{"key": {}, "value": 5}]},
        {"kind": "time-series", "rows": [{"key": {}, "points": []}]},
        {"kind": "avg", "rows": [{"key": {}, "value": 5}]},
        {"kind": "value", "rows": [{"key": {}, "value": "text"}]},
    ],
)
def test_a_table_of_another_shape_decides_nothing(change):
    before, after = in_turns([1000] * 5, [2000] * 5, log2_run)
    after[2]["tables"] = [after[2]["tables"][0] | change]
    for sides in ((before, after), (after, before)):
        document = compared(*sides)
        assert document["verdict"] == "inconclusive"
        assert "latency.mean-log2" in document["reason"]
        assert "the table latency is a " in problems(document, "other-unit")[0]["detail"]
        assert bool(document["distributions"]) == ("keys" in change)
        assert primary(document)["before"] is None


def test_a_table_that_one_run_does_not_have():
    for place in (0, 2):
        before, after = in_turns([1000] * 5, [2000] * 5, log2_run)
        before[place]["tables"] = []
        document = compared(before, after)
        assert document["verdict"] == "inconclusive"
        assert "there is no table latency" in document["reason"]
        assert problems(document, "no-outcome")[0]["files"] == [f"before-{place}.json"]


def _subject(text):
    from runner.capture.condition import parse_subject

    return parse_subject(text, what="--primary")


def test_captures_without_a_recipe_or_a_host_are_compared_by_what_is_named():
    captures = [capture(drops(number)) for number in (1, 2)]
    document = compared(captures[:1], captures[1:], primaries=[_subject("drops.rate")])
    assert document["recipe"] == {"id": None, "variant": None, "digest": None}
    assert document["verdict"] == "inconclusive"
    with pytest.raises(ValueRefused) as refused:
        compared(captures[:1], captures[1:])
    assert "--primary" in refused.value.hint


def test_rate_is_what_the_recipe_declared():
    assert primary(compared(BEFORE, AFTER))["statistic"] == RATE["statistic"]

"""From captures to what is known of a cause: which evidence establishes, suggests, refutes, or decides nothing."""

import pytest

from runner.recipe.hypotheses import hypotheses
from runner.report.case import case_as_markdown
from runner.workflow.conclude import conclude, detail_steps, leading
from runner.workflow.judging import judged
from tests.captures import capture, count, latency, table

CPUS = {
    "hostname": "alpha",
    "kernel": "6.18",
    "arch": "x86_64",
    "cpus": 2,
    "bpftrace": "0.27.1",
    "boot_id": "b",
}


def hypothesis(name, *, signs=(), parts=(), shows_as=(), details=(), remedies=()):
    return {
        "id": name, "title": f"The cause {name}", "layer": "net", "description": "…", "signs": list(signs),
        "parts": list(parts), "shows_as": list(shows_as), "details": list(details), "remedies": list(remedies),
        "next": "ebpf-recipe run drops $target",
    }  # fmt: skip


def step(*rules, name="scan-drops", recipe="drops", scope="target", stage="scan", beside="any"):
    return {
        "name": name, "recipe": recipe, "layer": "net", "stage": stage, "beside": beside, "scope": scope,
        "arguments": [], "seconds": 10.0, "budget": "5%", "event_units": {},
        "rules": [
            {"hypothesis": cause, "says": says, "when": list(when), "reason": "because"}
            for cause, says, *when in rules
        ],
    }  # fmt: skip


def plan(*causes, scan=(), details=(), target=True, left_out=(), depth=2):
    return {
        "schema": "ebpf-recipe/case-plan/v1", "program": "0", "symptom": "timeouts", "title": "Late",
        "target": {"comm": ["nginx"]} if target else {}, "slo": "p99 <= 10ms", "budget": "5%", "depth": depth,
        "seconds": 10.0, "made_at": "2026-11-24T10:00:00Z", "bpftrace": "/usr/bin/bpftrace", "host": CPUS,
        "rates": {}, "scan": list(scan), "details": list(details), "left_out": list(left_out),
        "hypotheses": list(causes),
    }  # fmt: skip


def drops(number, **more):
    return capture(count("drops", {"nginx": number}, **more))


def status(taken, *causes, target=True):
    causes = causes or (hypothesis("loss"),)
    results = judged(plan(*causes, target=target), taken, None)
    return {each["id"]: each["status"] for each in results}


SHOWS = ("loss", "establishes", "drops.total >= 10")
HINTS = ("loss", "suggests", "drops.total >= 10")
EXCLUDES = ("loss", "refutes", "drops.total = 0")


AT_WORK = (step(name="scan-work", recipe="work"), capture(count("calls", {"nginx": 1})))
"""The target does something, whatever it is."""


def test_enough_of_it_establishes_and_none_of_it_refutes():
    one = step(SHOWS, EXCLUDES)
    assert status([(one, drops(10))]) == {"loss": "established"}
    assert status([(one, drops(9))]) == {"loss": "open"}
    assert status([(one, drops(0)), AT_WORK]) == {"loss": "refuted"}
    assert status([]) == {"loss": "not-measured"}


def test_all_conditions_have_to_be_met():
    one = step(("loss", "establishes", "drops.total >= 10", "latency.above(10ms) >= 1%"))
    slow = latency([20_000] * 5 + [10] * 95)
    fast = latency([10] * 100)
    assert status([(one, capture(count("drops", {"nginx": 10}), slow))]) == {"loss": "established"}
    assert status([(one, capture(count("drops", {"nginx": 10}), fast))]) == {"loss": "open"}


def test_what_is_likely_is_not_established():
    assert status([(step(HINTS), drops(1000))]) == {"loss": "open"}


def test_what_the_host_shows_is_not_the_targets():
    host = step(SHOWS, scope="host")
    assert status([(host, drops(1000))]) == {"loss": "open"}
    assert status([(host, drops(1000))], target=False) == {"loss": "established"}


def test_what_the_host_shows_and_the_target_suggests_is_established():
    host, own = step(SHOWS, scope="host"), step(HINTS, name="scan-own")
    assert status([(host, drops(1000)), (own, drops(11))]) == {"loss": "established"}
    assert status([(host, drops(1000)), (own, drops(9))]) == {"loss": "open"}


def test_evidence_that_contradicts_itself_leaves_it_open():
    for_it, against = step(SHOWS), step(EXCLUDES, name="scan-other")
    (result,) = judged(plan(hypothesis("loss")), [(for_it, drops(10)), (against, drops(0))], None)
    assert result["status"] == "open"
    assert "contradict" in result["why"]


def test_what_the_host_shows_and_the_target_excludes_contradicts_itself_too():
    host, own = step(SHOWS, scope="host"), step(HINTS, name="scan-own")
    against = step(EXCLUDES, name="scan-other")
    (result,) = judged(
        plan(hypothesis("loss")), [(host, drops(1000)), (own, drops(11)), (against, drops(0))], None
    )
    assert (result["status"], "contradict" in result["why"]) == ("open", True)


@pytest.mark.parametrize(
    "nothing",
    [
        drops(0),
        capture(table("drops", "count", [], "packets")),
        capture(table("drops", "count", [{"key": {"comm": None}, "value": 5, "unattributed": True}], "packets")),
    ],
    ids=["zero", "no-rows", "rows-of-nobody"],
)  # fmt: skip
def test_of_a_target_that_was_not_seen_nothing_is_excluded(nothing):
    """It may be spelt wrongly, or hang in a deadlock: its numbers are those of a healthy one."""
    one = step(("loss", "refutes", "drops.total < 10"))
    made = plan(hypothesis("loss"), scan=[one])
    case = conclude(made, [(one, nothing)], {}, is_complete=True)
    assert case["hypotheses"][0]["status"] == "not-measured"
    assert case["not_measured"][0]["what"] == "--comm nginx"
    assert "nothing of the target was seen" in case["hypotheses"][0]["why"]
    assert status([(one, nothing), AT_WORK]) == {"loss": "refuted"}
    assert status([({**one, "scope": "host"}, nothing)], target=False)["loss"] == "refuted"


def test_one_cause_does_not_hide_another():
    one = step(SHOWS)
    other = step(("wait", "establishes", "latency.above(10ms) >= 1%"), name="scan-wait")
    taken = [(one, drops(5000)), (other, capture(latency([20_000] * 50 + [10] * 50)))]
    assert status(taken, hypothesis("loss"), hypothesis("wait")) == {
        "loss": "established",
        "wait": "established",
    }


@pytest.mark.parametrize(
    ("window", "problems"),
    [
        ({"ended_by": "target"}, ()),
        ({"ended_by": "interrupt"}, ()),
        ({}, [("output-incomplete", 1)]),
    ],
)
def test_a_capture_that_proves_nothing_measures_nothing(window, problems):
    cut = capture(count("drops", {"nginx": 1000}), window=window, problems=problems)
    (result,) = judged(plan(hypothesis("loss")), [(step(SHOWS, EXCLUDES), cut)], None)
    assert result["status"] == "not-measured"
    assert "decides nothing" in result["why"]


def test_rows_without_an_owner_are_nobodys():
    rows = [
        {"key": {"comm": "nginx"}, "value": 5},
        {"key": {"comm": None}, "value": 500, "unattributed": True},
    ]
    total = table("drops_total", "count", [{"key": {}, "value": 505}], "packets", (), total_of="drops")
    strange = capture(table("drops", "count", rows, "packets"), total)
    both = step(SHOWS, ("loss", "refutes", "drops_total.total = 0"))
    (result,) = judged(plan(hypothesis("loss")), [(both, strange)], None)
    assert (result["status"], result["evidence"][0]["says"]) == ("open", "undecided")
    assert "owner" in result["evidence"][0]["conditions"][0]["reason"]
    (result,) = judged(plan(hypothesis("loss"), target=False), [({**both, "scope": "host"}, strange)], None)
    assert result["status"] == "established"


def test_events_that_are_missing_leave_open_what_they_could_decide():
    lost = capture(count("drops", {"nginx": 8}), problems=[("missed-events", 5)])
    (result,) = judged(plan(hypothesis("loss")), [(step(SHOWS, EXCLUDES), lost)], None)
    assert result["status"] == "open"
    assert result["evidence"][0]["says"] == "undecided"


def sign(name, establishes=True):
    return {"sign": name, "says": "establishes" if establishes else "suggests", "reason": "counted"}


def companion(name, before, after, **more):
    return {"name": name, "source": "/proc", "unit": "periods", "before": before, "after": after, **more}


def throttled(rise, **more):
    made = drops(0)
    made["companions"] = [companion("cpu_throttled_periods", 5, 5 + rise, **more)]
    return made


def test_what_the_kernel_counts_of_the_targets_group_is_the_targets():
    cause = hypothesis("quota", signs=[sign("cpu-throttled")])
    assert status([(step(), throttled(7, cgroup="/web"))], cause) == {"quota": "established"}
    assert status([(step(), throttled(7))], cause) == {"quota": "open"}
    assert status([(step(), throttled(0, cgroup="/web"))], cause) == {"quota": "refuted"}
    assert status([(step(), drops(0))], cause) == {"quota": "not-measured"}


def counted(*companions, window=None, seen=3):
    made = capture(count("calls", {"nginx": seen}), window=window or {})
    made["companions"] = list(companions)
    made["host"] = CPUS
    return made


def test_a_counter_that_was_not_read_everywhere_excludes_nothing():
    cause = hypothesis("quota", signs=[sign("cpu-throttled")])
    quiet = [companion("cpu_throttled_periods", 5, 5, cgroup=f"/{place}") for place in range(8)]
    gone = companion("cpu_throttled_periods", 5, None, cgroup="/gone")
    assert status([(step(), counted(*quiet[:2]))], cause) == {"quota": "refuted"}
    assert status([(step(), counted(*quiet[:2], gone))], cause) == {"quota": "not-measured"}
    assert status([(step(), counted(*quiet))], cause) == {"quota": "not-measured"}, "there may be a ninth"


def test_what_another_network_namespace_counts_excludes_nothing_of_the_target():
    cause = hypothesis("queue", signs=[sign("listen-drops")])
    none = [companion("tcp_listen_drops", 3, 3), companion("tcp_listen_overflows", 3, 3)]
    host = (step(scope="host"), counted(*none, window={"duration_seconds": 11.0}))
    assert status([host, AT_WORK], cause) == {"queue": "not-measured"}
    assert status([host], cause, target=False) == {"queue": "refuted"}
    assert status([host, (step(), counted(*none))], cause) == {"queue": "refuted"}
    assert status([(step(), counted(*none, seen=0))], cause) == {"queue": "not-measured"}


@pytest.mark.parametrize(
    ("name", "companions"),
    [
        ("tcp-retransmitted", lambda rise: [companion("tcp_out_segs", 0, 10_000), companion("tcp_retrans_segs", 0, rise)]),
        ("memory-pressure", lambda rise: [companion("memory_pressure_some", 0, rise * 100_000) | {"unit": "us"}]),
        ("cpu-steal", lambda rise: [companion("cpu_steal", 0, rise * 20_000) | {"unit": "us"}]),
    ],
)  # fmt: skip
def test_a_little_of_what_would_be_enough_excludes_nothing(name, companions):
    cause = hypothesis("loss", signs=[sign(name)])
    assert status([(step(), counted(*companions(0)))], cause) == {"loss": "refuted"}
    assert status([(step(), counted(*companions(4)))], cause) == {"loss": "not-measured"}


def test_the_rank_is_that_of_the_status_and_of_how_strong_the_evidence_is():
    causes = [hypothesis(name) for name in ("excluded", "weak", "strong", "likely", "silent")]
    rules = [
        ("excluded", "refutes", "drops.total >= 1"), ("weak", "establishes", "drops.total >= 10"),
        ("strong", "establishes", "drops.total >= 2"), ("likely", "suggests", "drops.total >= 1"),
        ("silent", "establishes", "drops.total >= 1000"),
    ]  # fmt: skip
    results = judged(plan(*causes), [(step(*rules), drops(20))], None)
    assert [each["id"] for each in results] == ["strong", "weak", "likely", "silent", "excluded"]
    assert [each["rank"] for each in results] == [1, 2, 3, 4, 5]


def test_a_cause_goes_before_what_it_shows_as():
    causes = [
        hypothesis("wait"),
        hypothesis("quota", shows_as=["wait"]),
        hypothesis("calm", shows_as=["wait"]),
    ]
    rules = [
        ("wait", "establishes", "drops.total >= 1"),
        ("quota", "establishes", "drops.total >= 20"),
        ("calm", "refutes", "drops.total >= 1"),
    ]
    results = judged(plan(*causes), [(step(*rules), drops(20))], None)
    assert [each["id"] for each in results] == ["quota", "wait", "calm"]
    assert [each["behind"] for each in results] == [[], ["quota"], []]


def test_the_cause_of_a_cause_goes_before_both():
    causes = [
        hypothesis("calls"), hypothesis("wait", shows_as=["calls"]), hypothesis("disk", shows_as=["wait", "calls"])
    ]  # fmt: skip
    rules = [
        ("calls", "establishes", "drops.total >= 1"),
        ("wait", "establishes", "drops.total >= 5"),
        ("disk", "establishes", "drops.total >= 20"),
    ]
    results = judged(plan(*causes), [(step(*rules), drops(20))], None)
    assert [each["id"] for each in results] == ["disk", "wait", "calls"]
    assert [each["behind"] for each in results] == [[], ["disk"], ["wait", "disk"]]


def test_details_are_those_of_what_leads_and_no_others():
    causes = [hypothesis("loss", details=["one", "two"]), hypothesis("calm", details=["three"])]
    details = [step(name=f"detail-{each}", recipe=each, stage="detail") for each in ("one", "two", "three")]
    scanned = step(SHOWS, ("calm", "establishes", "drops.total >= 1000"))
    made = plan(*causes, scan=[scanned], details=details)
    assert [each["recipe"] for each in detail_steps(made, [(scanned, drops(10))])] == ["one", "two"]
    assert detail_steps(made, [(scanned, drops(0))]) == []
    assert detail_steps({**made, "depth": 0}, [(scanned, drops(10))]) == []


def test_a_case_says_what_was_not_measured_and_why():
    left = {"recipe": "runqlat", "why": "it would take 12% of all processors", "hypotheses": ["loss"]}
    scanned = {**step(SHOWS), "shortened": "2.5 s in place of 10 s"}
    made = plan(hypothesis("loss"), scan=[scanned], left_out=[left])
    case = conclude(made, [], {"scan-drops": "bpftrace is gone"}, is_complete=True)
    assert case["verdict"] == "not-measured"
    assert {each["what"]: each["why"] for each in case["not_measured"]} == {
        "runqlat": "it would take 12% of all processors",
        "drops, for a part of the scan": "2.5 s in place of 10 s",
        "drops": "bpftrace is gone",
        "The cause loss": "nothing was measured that speaks for it or against it",
    }


def test_remedies_are_those_of_what_is_established_with_their_way_back():
    remedy = {"title": "Less", "commands": ["OLD=$$(cat x)"], "revert": ["echo $$OLD > x"], "caution": None}
    causes = [hypothesis("loss", remedies=[remedy]), hypothesis("calm", remedies=[remedy])]
    scanned = step(SHOWS, ("calm", "establishes", "drops.total >= 1000"))
    case = conclude(plan(*causes, scan=[scanned]), [(scanned, drops(10))], {}, is_complete=True)
    (found,) = case["remedies"]
    assert (found["hypothesis"], found["commands"], found["revert"]) == (
        "loss",
        ["OLD=$(cat x)"],
        ["echo $OLD > x"],
    )
    assert case["next"] == "ebpf-recipe run drops --comm nginx"
    assert leading(plan(*causes), case["hypotheses"])[0]["id"] == "loss"


def test_names_of_the_host_stand_quoted_in_commands():
    remedy = {
        "title": "More",
        "commands": ["cat /sys/fs/cgroup$cgroup/cpu.max"],
        "revert": [],
        "caution": None,
    }
    cause = hypothesis("quota", signs=[sign("cpu-throttled")], remedies=[remedy])
    made = plan(cause, scan=[step()])
    made["target"] = {"comm": ["a  b; $(c)"]}
    case = conclude(made, [(step(), throttled(7, cgroup="/a  b;reboot"))], {}, is_complete=True)
    assert case["remedies"][0]["commands"] == ["cat /sys/fs/cgroup'/a  b;reboot'/cpu.max"]
    assert case["next"] == "ebpf-recipe run drops --comm 'a  b; $(c)'"


def test_every_hypothesis_can_be_decided_by_something():
    from runner.recipe.catalogue import find_recipe, recipe_ids

    recipes = [find_recipe(name).recipe for name in recipe_ids()]
    for cause in hypotheses().values():
        for symptom in cause.symptoms:
            speaks = [
                recipe.id
                for recipe in recipes
                if recipe.stage == "scan"
                and symptom in recipe.symptoms
                and any(each.hypothesis == cause.id for each in recipe.supports)
            ]
            assert speaks or cause.signs, (cause.id, symptom)


def of_threads(step_, **nanoseconds):
    rows = [
        {"key": {"pid": 1, "comm": "nginx", "state": state}, "count": 9, "total": ns, "average": ns // 9}
        for state, ns in nanoseconds.items()
    ]
    keys = (("pid", "integer"), ("comm", "comm"), ("state", "string"))
    return {**step_, "recipe": "thread-time", "name": "scan-thread-time"}, capture(
        table("time", "stats", rows, "ns", keys)
    )


@pytest.mark.parametrize(
    ("nanoseconds", "says"),
    [
        ({"running": 3e9, "queued": 1e9}, ["suggests"]),
        ({"running": 4e9, "queued": 1e9}, []),
        # Of next to nothing even all of it says nothing.
        ({"running": 1e7, "queued": 3e7, "event": 9e9}, []),
    ],
)
def test_a_large_part_of_the_targets_time_speaks_for_its_cause_and_is_not_enough(nanoseconds, says):
    taken = [of_threads(step(), **{state: int(ns) for state, ns in nanoseconds.items()})]
    case = conclude(plan(hypothesis("wait", parts=["queued"])), taken, {}, is_complete=True)
    (result,) = case["hypotheses"]
    assert [each["says"] for each in result["evidence"]] == says
    assert result["status"] in ("open", "not-measured")


def test_what_is_enough_of_the_host_goes_before_what_is_likely():
    causes = [hypothesis("a-likely"), hypothesis("b-seen")]
    rules = [("a-likely", "suggests", "drops.total >= 1"), ("b-seen", "establishes", "drops.total >= 20")]
    own = step(name="scan-own")
    taken = [(step(*rules, scope="host"), drops(20)), (own, drops(1))]
    assert [each["id"] for each in judged(plan(*causes), taken, None)] == ["b-seen", "a-likely"]


def test_of_a_target_that_was_not_seen_the_case_says_so_first():
    case = conclude(
        plan(hypothesis("loss")), [(step(EXCLUDES), capture(count("drops", {})))], {}, is_complete=True
    )
    assert case["verdict"] == "not-measured"
    assert case_as_markdown(case).split("\n\n")[1].startswith("Nothing of the target was seen")


def test_the_files_of_a_limit_are_those_of_this_host():
    quota = "/sys/fs/cgroup/cpu/web/cpu.cfs_quota_us"
    made = throttled(7, cgroup="/web")
    made["companions"][0]["source"] = "/sys/fs/cgroup/cpu/web/cpu.stat"
    made["companions"].append({**companion("cpu_quota", 10, 10, cgroup="/web"), "source": quota})
    remedy = {
        "title": "More",
        "commands": ["echo $unlimited > $quota"],
        "revert": ["cat $throttled"],
        "caution": None,
    }
    causes = [hypothesis("quota", signs=[sign("cpu-throttled")], remedies=[remedy])]
    (found,) = conclude(plan(*causes), [(step(), made)], {}, is_complete=True)["remedies"]
    assert found["commands"] == [f"echo -1 > {quota}"]
    assert found["revert"] == ["cat /sys/fs/cgroup/cpu/web/cpu.stat"]

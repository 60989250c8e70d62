"""The command `investigate` without root: cases that were recorded, and everything that it has to refuse."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import jsonschema
import pytest

from runner.errors import NotWritten, ValueRefused
from runner.workflow.case_folder import CaseFolder
from runner.workflow.schema import case_schema
from tests.command import AS_NOBODY, EBPF_RECIPE, ebpf_recipe

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())


@pytest.fixture
def case(tmp_path):
    return Path(shutil.copytree(CASES[0], tmp_path / "case"))


@pytest.mark.parametrize("stored", CASES, ids=lambda each: each.name)
def test_a_stored_case_says_the_same_again_byte_for_byte(stored):
    done = ebpf_recipe("investigate", "--replay", str(stored), "-f", "json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == (stored / "case.json").read_bytes()
    assert "byte for byte" in done.stderr
    jsonschema.validate(json.loads(done.stdout), case_schema())


@pytest.mark.parametrize("stored", CASES, ids=lambda each: each.name)
def test_the_report_is_that_of_the_case(stored):
    done = ebpf_recipe("investigate", "--replay", str(stored), "-f", "markdown")
    assert done.stdout == (stored / "report.md").read_text()
    table = ebpf_recipe("investigate", "--replay", str(stored), "-f", "table").stdout
    for each in json.loads((stored / "case.json").read_bytes())["hypotheses"]:
        if each["status"] == "established":
            assert f"{each['rank']}. {each['title']}" in table


def test_nobody_repeats_conclusions_without_privilege(case):
    done = subprocess.run(
        [*AS_NOBODY, EBPF_RECIPE, "investigate", "--replay", str(case), "-f", "json"],
        capture_output=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (case / "case.json").read_bytes()


def test_a_capture_that_was_changed_shows(case):
    path = next((case / "captures").glob("scan-*.json"))
    path.unlink()
    done = ebpf_recipe("investigate", "--replay", str(case), "-f", "json")
    assert done.returncode == 1
    assert "not those that were stored" in done.stderr
    assert not json.loads(done.stdout)["complete"]


def test_what_was_not_concluded_says_what_it_says_so_far(case):
    (case / "case.json").unlink()
    done = ebpf_recipe("investigate", "--replay", str(case), "-f", "json")
    assert done.returncode == 0
    assert "was not concluded" in done.stderr


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (lambda case: (case / "plan.json").unlink(), 3, "there is no case in it"),
        (lambda case: (case / "plan.json").write_text("{"), 6, "is no JSON"),
        (lambda case: (case / "plan.json").write_text("[]"), 6, "its schema is None"),
        (
            lambda case: (case / "plan.json").write_text('{"schema": "ebpf-recipe/case-plan/v2"}'), 6,
            "its schema is 'ebpf-recipe/case-plan/v2', this release reads ebpf-recipe/case-plan/v1",
        ),
        (lambda case: (case / "plan.json").write_text('{"schema": "ebpf-recipe/case-plan/v1"}'), 6, "Field required"),
        (lambda case: (case / "case.json").write_text('{"schema": "x"}'), 6, "case.json: "),
        (lambda case: next((case / "captures").glob("*.json")).write_text("{}"), 6, "not a capture"),
        (shutil.rmtree, 3, "there is no case in it"),
    ],
    ids=["no-plan", "no-json", "a-list", "other-version", "empty-plan", "damaged-case", "damaged-capture", "gone"],
)  # fmt: skip
def test_a_case_that_is_none_is_refused(case, change, code, text):
    change(case)
    done = ebpf_recipe("investigate", "--replay", str(case))
    assert done.returncode == code, done.stderr
    assert text in done.stderr


def deep():
    found = []
    for _ in range(500):
        found = [found]
    return found


def no_condition(plan):
    next(step for step in plan["scan"] if step["rules"])["rules"][0]["when"] = []


def word_in(condition):
    def change(plan):
        next(step for step in plan["scan"] if step["rules"])["rules"][0]["when"] = [condition]

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda plan: plan["scan"][0].update(name="../../scan"), "'../../scan' is no name of a step"),
        (lambda plan: plan["scan"][0].update(name="scan-a/b", recipe="a/b"), "is no name of a step"),
        (lambda plan: plan["scan"].append(plan["scan"][0]), "two steps are called"),
        (lambda plan: plan["scan"][0].update(seconds=-1), "no window lasts -1 s"),
        (lambda plan: plan.update(seconds=1e300), "no window lasts 1e+300 s"),
        (lambda plan: plan.update(depth=-1), "depth: -1"),
        (lambda plan: plan["scan"][0].update(arguments=["--comm", "a\0b"]), "NUL"),
        (lambda plan: plan.update(target={"file": ["x"]}), "'file' is no filter"),
        (no_condition, "it has no condition"),
        (word_in("nonsense"), "rules.0: "),
        (word_in("drops change <= 5%"), "rules.0: "),
        (lambda plan: plan["hypotheses"][0].update(next="rm $x"), "'rm $x': what is filled in is"),
        (lambda plan: plan["host"].update(more=deep()), "cannot be written again"),
    ],
)
def test_a_plan_that_was_changed_so_that_it_cannot_be_one_is_refused(case, change, text):
    plan = json.loads((case / "plan.json").read_bytes())
    change(plan)
    (case / "plan.json").write_text(json.dumps(plan))
    done = ebpf_recipe("investigate", "--replay", str(case))
    assert done.returncode == 6, done.stderr
    assert text in done.stderr
    assert "begin a new case" in done.stderr


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def without_end(path):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("name", ["plan.json", "case.json", "captures/scan-biolatency.json"])
@pytest.mark.parametrize("change", [a_pipe, without_end])
def test_what_is_no_file_is_not_waited_for(case, name, change):
    change(case / name)
    done = ebpf_recipe("investigate", "--replay", str(case))
    assert done.returncode in (3, 6), done.stderr
    assert f"{case / name}: it is no file" in done.stderr


def test_a_capture_of_another_recipe_is_none_of_the_case(case):
    captures = case / "captures"
    shutil.copy(captures / "scan-thread-time.json", captures / "scan-biolatency.json")
    done = ebpf_recipe("investigate", "--replay", str(case))
    assert done.returncode == 6
    assert "a capture of the recipe 'thread-time', not of biolatency" in done.stderr


def test_an_event_that_took_no_number_counts_without_its_time(case):
    path = case / "captures" / "detail-fileslower.json"
    found = json.loads(path.read_bytes())
    found["events"][0]["fields"]["latency"] = "long"
    path.write_text(json.dumps(found))
    assert ebpf_recipe("investigate", "--replay", str(case)).returncode in (0, 1)


def test_without_privilege_it_says_how_it_is_started():
    words = [*AS_NOBODY, EBPF_RECIPE, "investigate", "timeouts"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 4
    assert "sudo ebpf-recipe investigate" in done.stderr
    assert "--sudo" not in done.stderr


def test_captures_that_may_not_be_read_are_named(case):
    (case / "captures").chmod(0o700)
    for path in case.parents:
        path.chmod(0o755) if path.name.startswith(("pytest-", "test_")) else None
    nobody = [*AS_NOBODY[:4], EBPF_RECIPE, "investigate", "--replay", str(case)]
    done = subprocess.run(nobody, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 3, done.stderr
    assert "Permission denied" in done.stderr


def test_what_somebody_else_may_have_written_is_not_run(case):
    folder = CaseFolder(case)
    folder.check_ours()
    for path in (case, case / "captures", case / "plan.json"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o002)
        with pytest.raises(ValueRefused, match="everybody may write to it"):
            folder.check_ours()
        path.chmod(mode)
    linked = case.with_name("link")
    linked.symlink_to(case)
    CaseFolder(linked).check_ours()
    (case / "plan.json").rename(case.with_name("plan.json"))
    (case / "plan.json").symlink_to(case.with_name("plan.json"))
    with pytest.raises(ValueRefused, match="a link"):
        folder.check_ours()


def test_what_was_interrupted_before_its_plan_can_be_begun_again(tmp_path):
    folder = CaseFolder(tmp_path / "case")
    for _ in range(2):
        folder.create()
        with folder.locked():
            folder.write("host.json", {})
    (tmp_path / "case" / "captures" / "scan-x.json").write_text("{}")
    with pytest.raises(ValueRefused, match="no empty directory"):
        folder.create()
    with pytest.raises(NotWritten, match="File name too long"):
        CaseFolder(tmp_path / ("x" * 300)).create()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"boot_id": "another"}, "was restarted since"),
        ({"hostname": "elsewhere"}, "was begun on elsewhere"),
    ],
)
def test_a_case_of_another_system_is_not_gone_on_with(case, change, text):
    (case / "case.json").unlink()
    plan = json.loads((case / "plan.json").read_bytes())
    plan["host"] = {**plan["host"], "hostname": socket.gethostname(), **change}
    (case / "plan.json").write_text(json.dumps(plan))
    done = ebpf_recipe("investigate", "--resume", "--case", str(case))
    assert done.returncode in (3, 4), done.stderr
    assert text in done.stderr or "needs root" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "which SYMPTOM?"),
        (["slow"], 3, "slow"),
        (["timeouts", "--slo", "p99"], 3, "not an objective of latency"),
        (["timeouts", "--budget", "1"], 3, "did you mean --budget 1%?"),
        (["timeouts", "--budget", "0%"], 3, "not a share"),
        (["timeouts", "--depth", "11"], 3, "from 0 to 10"),
        (["timeouts", "--depth", "-1"], 3, "from 0 to 10"),
        (["timeouts", "-d", "soon"], 3, "not a duration"),
        (["timeouts", "-d", "1ms"], 3, "exclude nothing"),
        (["timeouts", "--pid", "0"], 3, "--pid"),
        (["timeouts", "--depth", "9" * 5000], 3, "from 0 to 10"),
        (["timeouts", "--comm", "\udcff"], 3, "not UTF-8"),
        (["timeouts", "--comm", "a-name-that-is-too-long"], 3, "--comm"),
        (["timeouts", "--resume"], 2, "it needs --case DIR"),
        (["--resume"], 2, "it needs --case DIR"),
        (["--resume", "--case", "x", "--slo", "p99 <= 1s"], 2, "no --slo"),
        (["--replay", "x", "-d", "10s"], 2, "no --duration"),
        (["timeouts", "--replay", "x"], 2, "--replay DIR says it all"),
        (["timeouts", "-o", "/nowhere/x"], 8, "cannot be written"),
    ],
)
def test_words_that_cannot_be_right_are_refused(words, code, text):
    done = ebpf_recipe("investigate", *words)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert done.stdout == ""


def test_the_list_names_every_symptom_and_its_causes():
    done = ebpf_recipe("investigate", "--list")
    for word in ("tail-latency: ", "slow-files: ", "retransmits", "disk-wait", "run-queue"):
        assert word in done.stdout

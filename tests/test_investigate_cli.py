"""The command `investigate` without root: cases that were recorded, and everything that it has to refuse."""

import json
import shutil
import socket
import subprocess
from pathlib import Path

import jsonschema
import pytest

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
        (["timeouts", "--pid", "0"], 3, "--pid"),
        (["timeouts", "--comm", "a-name-that-is-too-long"], 3, "--comm"),
        (["timeouts", "--resume"], 2, "--resume goes on with --case DIR"),
        (["--resume"], 2, "--resume goes on with --case DIR"),
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

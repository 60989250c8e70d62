"""A case's remedy can be tried, and what the experiment says goes back into the case."""

import shutil
from pathlib import Path

import orjson
import pytest

from runner.errors import ValueRefused
from runner.report.case import case_as_markdown
from runner.workflow.case_folder import CaseFolder
from runner.workflow.investigate import concluded
from runner.workflow.proof import note_experiment, tried_of_case
from tests.command import ebpf_recipe

STORED = Path(__file__).parent / "cases" / "file-server"


@pytest.fixture
def case(tmp_path):
    """A concluded case of which two remedies can be tried."""
    path = tmp_path / "case"
    shutil.copytree(STORED, path)
    plan = orjson.loads((path / "plan.json").read_bytes())
    for hypothesis in plan["hypotheses"]:
        remedy = {"title": "T", "commands": [], "revert": [], "caution": None}
        if hypothesis["id"] == "disk-wait":
            hypothesis["remedies"] = [{**remedy, "remedy": "readahead", "given": {"device": "$device"}}]
        if hypothesis["id"] == "slow-files":
            given = {"interface": "INTERFACE", "mask": "MASK"}
            hypothesis["remedies"] = [{**remedy, "remedy": "rps", "given": given}]
        if hypothesis["id"] == "slow-device":
            hypothesis["remedies"] = []
    (path / "plan.json").write_bytes(orjson.dumps(plan))
    folder = CaseFolder(path)
    folder.write("case.json", concluded(folder, folder.read_plan()))
    return path


def result_of(verdict, exit_code=0, remedy="readahead"):
    return {
        "schema": "ebpf-recipe/experiment/v1", "id": remedy, "title": "T", "program": "0", "host": {},
        "directory": "/there", "case": "x", "hypothesis": "disk-wait", "started": "2026-11-28T22:00:00.000Z",
        "ended": None, "seconds": 1.0,
        "change": {"title": "T", "remedy": remedy, "parameters": {"device": "loop0", "kib": "2048"}, "netns": None,
                   "settings": [], "counters": {}},
        "design": {"order": "ABBA", "runs": 12, "warm_up": 1, "seconds_predicted": 1.0, "load": [],
                   "duration": "1s", "prepare": [], "settle_seconds": 0.0},
        "runs": [], "comparisons": [], "verdict": verdict, "reason": "it is so", "ending": "finished",
        "state": "as-before", "exit_code": exit_code, "next": None,
    }  # fmt: skip


def test_what_the_case_knows_is_filled_in_and_what_spoke_for_it_measures_it(case):
    tried = tried_of_case(case, "readahead", {"kib": "512"})
    device = next(iter(orjson.loads((case / "case.json").read_bytes())["remedies"]))["given"]["device"]
    assert device.startswith("loop")
    assert (tried.remedy, tried.given, tried.hypothesis) == (
        "readahead",
        {"device": device, "kib": "512"},
        "disk-wait",
    )
    assert [each["recipe"] for each in tried.measures] == ["thread-time"]
    assert tried.measures[0]["with"] == {"comm": ["file-server"], "above": ["10ms"]}


def test_what_the_case_does_not_know_is_asked_for(case):
    with pytest.raises(ValueRefused, match="the case does not know interface, mask") as raised:
        tried_of_case(case, "rps", {})
    assert raised.value.hint == "--with interface=… --with mask=…"
    assert tried_of_case(case, "rps", {"interface": "eth0", "mask": "3"}).given == {
        "interface": "eth0",
        "mask": "3",
    }


@pytest.mark.parametrize("remedy", [None, "io-scheduler"])
def test_a_remedy_that_the_case_does_not_propose_is_refused(case, remedy):
    with pytest.raises(ValueRefused, match=r"it proposes (rps, readahead|readahead, rps)"):
        tried_of_case(case, remedy, {})


def test_a_case_that_everybody_may_write_to_runs_nothing(case):
    (case / "plan.json").chmod(0o666)
    with pytest.raises(ValueRefused, match="everybody may write to it"):
        tried_of_case(case, "readahead", {})


@pytest.mark.parametrize(
    ("verdict", "code", "told"),
    [
        ("better", 0, "disk-wait: proven: with readahead device=loop0 kib=2048 it is better: it is so"),
        ("better", 1, "disk-wait: not proven: with readahead device=loop0 kib=2048 it is better"),
        ("same", 0, "disk-wait: not proven: with readahead device=loop0 kib=2048 it is same"),
        (None, 7, "disk-wait: no verdict: with readahead device=loop0 kib=2048 it is not known"),
    ],
)
def test_the_verdict_goes_back_into_the_case(case, verdict, code, told):
    folder = CaseFolder(case)
    noted = note_experiment(folder, result_of(verdict, code))
    (tried,) = noted["tried"]
    assert tried["proves"] is (verdict == "better" and code == 0)
    assert told in case_as_markdown(noted)
    # It is concluded from what is kept: a replay says the same, byte for byte.
    folder.write("case.json", noted)
    done = ebpf_recipe("investigate", "--replay", str(case), "-f", "json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == (case / "case.json").read_bytes()


def test_the_report_names_the_command_that_tries_it(case):
    text = case_as_markdown(CaseFolder(case).read_case()[0])
    assert "ebpf-recipe experiment --case DIR --remedy readahead -- LOAD" in text
    assert "ebpf-recipe experiment --case DIR --remedy rps --with interface=… --with mask=… -- LOAD" in text

"""What an experiment's file and options say, and what they may not."""

import json
import subprocess

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.errors import ValueRefused
from runner.recipe.finding import RecipeRefused
from runner.workflow.experiment.following import next_command
from runner.workflow.experiment.load import load_experiment
from runner.workflow.experiment.model import Experiment
from runner.workflow.experiment.prepare import prepare
from runner.workflow.experiment.schedule import order_in_words, schedule
from tests.command import AS_NOBODY, EBPF_RECIPE, ebpf_recipe

GOOD = """\
experiment: 1
id: reads
title: Read further ahead
change:
  remedy: readahead
  with: {device: sdb, kib: 1024}
load: [./load.sh, "1"]
measure:
  - recipe: fileslower
    with: {comm: backup}
    gates: ["slow.total <= 3 calls"]
  - recipe: runqlat
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "reads.yaml"
    path.write_text(GOOD)
    return path


def test_a_file_says_it_all(file):
    made = prepare(load_experiment(file), file.parent, "/usr/bin/bpftrace")
    (setting,) = made.change.settings
    assert (setting.file, setting.value) == ("/sys/block/sdb/queue/read_ahead_kb", "1024")
    assert [measure.words for measure, _ in made.measures] == [
        ("fileslower", "--bpftrace=/usr/bin/bpftrace", "--comm=backup"),
        ("runqlat", "--bpftrace=/usr/bin/bpftrace"),
    ]
    assert made.load.words == ["--", "./load.sh", "1"]
    assert order_in_words(made.runs) == "ABBA BAAB ABBA"


def test_a_text_is_for_a_shell(file):
    file.write_text(GOOD.replace('load: [./load.sh, "1"]', "load: ./load.sh | cat"))
    assert prepare(load_experiment(file), file.parent, None).load.argv == ("sh", "-ec", "./load.sh | cat")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("  remedy: readahead\n", "", ":4:1: ", "it has a remedy, or settings"),
        ('load: [./load.sh, "1"]', "", ":1:1: ", "it has a load, or a duration"),
        ('load: [./load.sh, "1"]', "load: x\nduration: 5s", ":1:1: ", "it has a load, or a duration"),
        ("recipe: runqlat", "recipe: fileslower", ":1:1: ", "a recipe stands there twice"),
        ("kib: 1024", "kib: [1]", ":6:", "with.kib"),
        ('load: [./load.sh, "1"]', "load: true", ":7:1: ", "load: Input should be a valid string"),
        ('load: [./load.sh, "1"]', "load: []", ":7:1: ", "load: List should have at least 1 item"),
        ("{comm: backup}", "{comm: {}}", ":10:", "with.comm: Input should be a valid string"),
        ("id: reads", "id: writes", ":2:1: ", "the file is called 'reads'"),
        ("title: Read", "tilte: Read", ":3:1: ", "tilte"),
        ("  with: {device: sdb, kib: 1024}", "  with: {device: sdb}\n  settings: [{file: /a, value: 1}]", ":4:", "it has a remedy, or settings"),
        ("  remedy: readahead\n  with: {device: sdb, kib: 1024}", "  settings: [{path: /a, value: 1}]", ":5:", "one of the keys file, sysctl, name"),
        ("  remedy: readahead\n  with: {device: sdb, kib: 1024}", "  settings: [{name: a, read: b, apply: c, revert: d}]", ":5:", "it puts back what was there before, which is in $BEFORE"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(file, old, new, place, said):
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeRefused) as raised:
        load_experiment(file)
    assert f"{file}{place}" in raised.value.message
    assert said in raised.value.message
    done = ebpf_recipe("lint", str(file))
    assert done.returncode == 1
    assert said in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("readahead", "readahaed", "there is no remedy 'readahaed': did you mean readahead?"),
        ("kib: 1024", "kib: 99999999", "readahead: kib: 99999999 is not from 0 to 65536"),
        ("device: sdb", "device: sdb;reboot", "'sdb;reboot' is not a name below /sys/block"),
        ("device: sdb, ", "", "readahead needs device=DISK"),
        ("kib: 1024", "kb: 1024", "readahead has no parameter kb"),
        ("recipe: runqlat", "recipe: runqlot", "there is no recipe 'runqlot'"),
        ("measure:", "rounds: 2\nmeasure:", "2 rounds of four runs cannot decide anything: 3 are the least"),
        ("slow.total", "slower.total", "there is no table 'slower'"),
        ("measure:", "settle: soon\nmeasure:", "'soon'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(file, old, new, said):
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(ValueRefused) as raised:
        prepare(load_experiment(file), file.parent, None)
    assert said in raised.value.message
    (found,) = json.loads(ebpf_recipe("lint", str(file), "-f", "json").stdout)
    assert (found["rule"], said in found["text"]) == ("experiment-value", True)


def test_more_outcomes_need_more_runs():
    assert len(schedule(None, 1)) == 12
    assert len(schedule(None, 4)) == 16
    assert {run.side for run in schedule(3, 1)} == {"before", "after"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "what is changed?"),
        (("--remedy", "readahead", "--set", "a=1"), "what is changed?"),
        (("--set", "vm.swappiness"), "it is NAME=VALUE"),
        (("--set", "vm.swappiness=1", "--with", "a=1"), "--with gives values to a --remedy"),
        (("--read", "x", "--apply", "y"), "has --read, --apply and --revert"),
        (("--set", "vm.swappiness=1"), "what measures it?"),
        (("--set", "vm.swappiness=1", "--measure", "runqlat"), "under which load?"),
        (("--set", "vm.swappiness=1", "--measure", "runqlat pid", "-d", "1s"), "'pid' is no option"),
        (("--set", "vm.swappiness=1", "--measure", "runqlat", "-d", "1s", "--netns", "a b"), "change.netns"),
        (("--remedy", "advice-nagle", "--measure", "runqlat", "-d", "1s"), "is advice"),
    ],
)  # fmt: skip
def test_options_that_say_too_little_or_too_much(words, said):
    done = ebpf_recipe("experiment", *words, "--dry-run")
    assert done.returncode == 3, done.stderr
    assert said in done.stderr


def test_beside_a_file_nothing_else_says_what_is_tried(file):
    done = ebpf_recipe("experiment", str(file), "--set", "a=1")
    assert (done.returncode, "beside it there is no --set" in done.stderr) == (3, True)


def test_a_dry_run_reads_and_does_nothing(tmp_path):
    value = tmp_path / "value"
    value.write_text("1\n")
    words = ["--set", f"{value}=2", "--measure", "runqlat --comm nginx", "--dry-run", "--", "sleep", "1"]
    done = ebpf_recipe("experiment", *words, env={"EBPF_RECIPE_STATE": str(tmp_path / "state")})
    assert done.returncode == 0, done.stderr
    assert f"change  echo 2 > {value}" in done.stdout
    assert f"revert  echo 1 > {value}" in done.stdout
    assert "measured by: runqlat --comm=nginx" in done.stdout
    assert (value.read_text(), (tmp_path / "state").exists()) == ("1\n", False)


def test_without_root_it_says_so(tmp_path):
    words = ["experiment", "--set", "vm.swappiness=1", "--measure", "runqlat", "-d", "1s"]
    argv = [*AS_NOBODY, EBPF_RECIPE, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 4
    assert "needs root" in done.stderr


def test_the_file_fits_its_schema(file):
    schema = orjson.loads(ebpf_recipe("schema", "experiment-file").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(GOOD))
    assert not Draft202012Validator(schema).is_valid({"experiment": 1})


TYPED = ["--set", "a=1", "--rounds", "3", "--dir=there", "--", "./load.sh", "--rounds", "9"]


def result(**more):
    outcome = {"runs_needed": 11}
    return {"state": "as-before", "ending": "finished", "verdict": "inconclusive", "exit_code": 0,
            "comparisons": [{"outcomes": [outcome]}], "design": {"runs": 12}, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ({}, "ebpf-recipe experiment --set a=1 --rounds 6 -- ./load.sh --rounds 9"),
        ({"design": {"runs": 24}}, None),
        ({"verdict": "better"}, "ebpf-recipe experiment --set a=1 --keep -- ./load.sh --rounds 9"),
        ({"verdict": "better", "exit_code": 1}, None),
        ({"verdict": "better", "state": "kept"}, None),
        ({"verdict": None, "ending": "interrupted"}, None),
        ({"state": "not-as-before", "ending": "failed"}, "ebpf-recipe experiment recover"),
    ],
)
def test_the_next_command(what, command):
    assert next_command(result(**what), TYPED) == command


def test_the_model_is_whole():
    assert json.loads(json.dumps(Experiment.model_json_schema(by_alias=True)))["required"]


def test_a_runbook_looks_at_the_file_before_its_first_step(file, tmp_path):
    book = tmp_path / "book.yaml"
    book.write_text(
        "runbook: 1\nid: book\ntitle: Try it\ndescription: Tries it.\nsteps:\n"
        f"  - {{name: mark, shell: touch {tmp_path}/mark}}\n  - {{name: try, experiment: {file}}}\n"
    )
    assert ebpf_recipe("runbook", str(book), "--dry-run").returncode == 0
    file.write_text(GOOD.replace("change:", "chance:"))
    done = ebpf_recipe("runbook", str(book), "--work", str(tmp_path / "work"))
    assert done.returncode == 3, done.stderr
    assert f"{book}:7:" in done.stderr
    assert "chance" in done.stderr
    assert not (tmp_path / "mark").exists()

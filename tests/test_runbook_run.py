"""A runbook is run: its steps in their order, what follows a failure, and how to go on."""

import json
import os
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.command import RECORDINGS, ebpf_recipe

RETRANSMITS = {
    "name": "retransmits",
    "run": "tcp-retrans",
    "with": {"comm": "nginx"},
    "replay": str(RECORDINGS[0]),
}
SECRET = "hunter2-correct-horse"  # noqa: S105


@pytest.fixture
def runbook(tmp_path):
    """Write a runbook of some steps, run it, and return the command's end and its document."""

    def run(*steps, parameters=(), words=(), env=None, work="work", form="json"):
        path = tmp_path / "own.yaml"
        document = {"runbook": 1, "id": "own", "title": "Own", "description": "Own."}
        path.write_text(yaml.safe_dump({**document, "parameters": list(parameters), "steps": list(steps)}))
        done = ebpf_recipe(
            "runbook", str(path), "--work", str(tmp_path / work), "-f", form, *words,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        return done, json.loads(done.stdout) if form == "json" and done.stdout else None

    return run


def shell(name, text, **more):
    return {"name": name, "shell": text, **more}


def outcomes(document):
    return [(each["name"], each["outcome"]) for each in document["steps"]]


def step(document, name):
    return [each for each in document["steps"] if each["name"] == name][-1]


def test_a_run_its_gate_and_its_numbers(runbook, tmp_path):
    done, document = runbook(
        {**RETRANSMITS, "measure": {"packets": "retransmits.total", "per_second": "retransmits.rate"}},
        {"name": "few", "gate": ["retransmits.total <= 33", "retransmits.total >= 33"], "of": "retransmits"},
        shell(
            "tell",
            "echo {{ steps.retransmits.packets }} {{ steps.few.verdict }}; wc -l < {{ steps.retransmits.capture }}",
        ),
        shell("count", ["test", "{{ steps.retransmits.packets.lower }}", "-eq", "33"]),
    )
    assert done.returncode == 0, done.stderr
    schema = json.loads(ebpf_recipe("schema", "runbook-run").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    assert document == json.loads((tmp_path / "work" / "runbook.json").read_text())
    assert (document["outcome"], document["exit_code"], document["next"]) == ("passed", 0, None)
    run, gate, tell, _ = document["steps"]
    assert run["outputs"]["packets"] == {"lower": 33, "upper": 33, "unit": "packets"}
    capture = json.loads((tmp_path / "work" / run["outputs"]["capture"]).read_text())
    assert capture["schema"] == "ebpf-recipe/capture/v1"
    assert [each["verdict"] for each in gate["outputs"]["gates"]] == ["pass", "pass"]
    assert tell["outputs"]["stdout"].startswith("33 packets pass\n")
    lines = [json.loads(line) for line in (tmp_path / "work" / "transcript.jsonl").read_text().splitlines()]
    (argv,) = [line["argv"] for line in lines if line["event"] == "command" and line["step"] == "retransmits"]
    assert argv[1:6] == ["-P", "-m", "runner", "run", "tcp-retrans"]
    text = (tmp_path / "work" / "transcript.txt").read_text()
    assert "$ ebpf-recipe run tcp-retrans --comm=nginx" in text
    assert "retransmits.total <= 33: pass (measured: 33 packets)" in text
    assert "  | 33 packets pass" in text


@pytest.mark.parametrize(
    ("steps", "code", "reason"),
    [
        ([RETRANSMITS, {"name": "few", "gate": "retransmits.total < 33", "of": "retransmits"}], 1, "few: retransmits.total < 33: fail (measured: 33 packets)"),
        ([shell("bad", "exit 9")], 7, "bad: exit 9"),
        ([shell("bad", "false; true")], 7, "bad: exit 1"),
        ([shell("bad", ["/no/such"])], 7, "bad: /no/such cannot be started: No such file or directory"),
        ([shell("bad", "kill -9 $$")], 7, "bad: exit 137"),
        ([shell("bad", "sleep 30", timeout="200ms")], 7, "it took longer than 200ms"),
        ([shell("a", "printf 5"), shell("bad", "true", timeout="{{ steps.a.stdout }}")], 3, "timeout '5': a duration has its unit (5s)"),
        ([{**RETRANSMITS, "replay": "/no/such"}], 6, "retransmits: /no/such"),
        ([{**RETRANSMITS, "with": {}}], 3, "another program"),
        ([RETRANSMITS, {"name": "few", "gate": "retransmits.total < {{ runbook.directory }}", "of": "retransmits"}], 3, "here stands a number"),
        ([shell("a", "echo 5"), shell("b", "true", when="steps.a.stdout")], 3, "neither true nor false but '5'"),
        ([shell("a", "true", when="1 == 2"), shell("b", "echo {{ steps.a.stdout }}")], 3, "steps.a.stdout has no value: a was skipped"),
    ],
)  # fmt: skip
def test_a_step_that_fails_stops_it_with_its_own_code(runbook, steps, code, reason):
    done, document = runbook(*steps, shell("never", "true"))
    assert done.returncode == code, done.stderr
    if document is None:
        assert reason in done.stderr
        return
    assert document["exit_code"] == code
    assert reason in document["reason"]
    assert "never" not in [each["name"] for each in document["steps"]]
    assert f"--from {steps[-1]['name']}" in document["next"]
    assert document["next"] in done.stderr


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('steps.go.answer == "drain"', False),
        ('steps.go.answer != "drain"', False),
        ('steps.go.answer in ["drain"]', False),
        ("steps.go.answer|length > 2", False),
        ('steps.go.answer == "drain" or steps.first.exit_code == 0', True),
        ('steps.go.outcome == "skipped"', True),
        ('not (steps.go.answer == "drain")', True),
    ],
)
def test_a_comparison_with_an_output_of_a_skipped_step_is_not_so(runbook, condition, holds):
    done, document = runbook(
        shell("first", "true"),
        {"name": "go", "ask": "Drain it?", "answer": ["drain", "leave"], "default": "leave", "when": "1 == 2"},
        shell("drain", "true", when=condition),
        {"name": "again", "repeat": {"steps": [shell("a", "true")], "until": condition, "at-most": 1}},
        words=("--yes",),
    )  # fmt: skip
    assert done.returncode == (0 if holds else 1), done.stderr
    assert step(document, "drain")["outcome"] == ("passed" if holds else "skipped")
    assert step(document, "drain")["reason"] == (None if holds else f"not so: {condition} (go skipped)")
    done, again = runbook(
        shell("first", "true"),
        {"name": "go", "ask": "Drain it?", "answer": ["drain", "leave"], "default": "leave", "when": "1 == 2"},
        shell("drain", "true", when=condition),
        words=("--yes", "--from", "drain"),
    )  # fmt: skip
    assert (done.returncode, step(again, "drain")["outcome"]) == (0, step(document, "drain")["outcome"])


def test_what_follows_a_failure(runbook):
    done, document = runbook(
        shell("ignored", "exit 1", **{"on-failure": "ignore"}),
        shell("goes-on", "exit 2", **{"on-failure": "continue"}),
        shell("fine", "true", **{"on-failure": {"steps": [shell("unneeded", "true")]}}),
        shell("looks", "exit 3", **{"on-failure": {"steps": [shell("look", "echo {{ steps.looks.exit_code }}")], "then": "continue"}}),
        shell("after", "echo {{ steps.look.stdout }} {{ steps.unneeded.outcome }}"),
        RETRANSMITS,
        {"name": "few", "gate": "retransmits.total = 0", "of": "retransmits", "on-failure": {"steps": [shell("undo", "true")]}},
        shell("never", "true"),
    )  # fmt: skip
    # What went wrong comes before what was found.
    assert done.returncode == 7
    assert outcomes(document) == [
        ("ignored", "failed"), ("goes-on", "failed"), ("fine", "passed"), ("unneeded", "skipped"),
        ("looks", "failed"), ("look", "passed"), ("after", "passed"), ("retransmits", "passed"),
        ("few", "failed"), ("undo", "passed"),
    ]  # fmt: skip
    assert step(document, "after")["outputs"]["stdout"] == "3 skipped"
    assert document["reason"].startswith("few: ")
    assert [each["name"] for each in document["steps"] if each["is_ignored"]] == ["ignored"]


def test_a_failure_that_is_ignored_is_none_in_the_end(runbook):
    done, document = runbook(shell("a", "exit 1", **{"on-failure": "ignore"}), shell("b", "true"))
    assert (done.returncode, document["outcome"]) == (0, "passed")
    done, document = runbook(
        shell("a", "exit 1", **{"on-failure": "continue"}), shell("b", "true"), work="other"
    )
    assert (done.returncode, document["outcome"], document["reason"]) == (7, "failed", "a failed")


def repeat(tmp_path, at_most, **more):
    count = tmp_path / "count"
    return {
        "name": "healthy",
        "repeat": {
            "steps": [shell("probe", f"echo x >> {count}; test $(wc -l < {count}) -ge 3", **more)],
            "until": "steps.probe.exit_code == 0",
            "every": "10ms",
            "at-most": at_most,
        },
    }


def test_steps_are_repeated_until_they_are_enough(runbook, tmp_path):
    done, document = runbook(repeat(tmp_path, 5), shell("rounds", "echo {{ steps.healthy.rounds }}"))
    assert done.returncode == 0, done.stderr
    assert [(each["round"], each["outcome"], each["within"]) for each in document["steps"][:3]] == [
        (1, "failed", "healthy"), (2, "failed", "healthy"), (3, "passed", "healthy"),
    ]  # fmt: skip
    assert step(document, "rounds")["outputs"]["stdout"] == "3"


def test_it_is_not_repeated_for_ever(runbook, tmp_path):
    done, document = runbook(repeat(tmp_path, 2))
    assert (done.returncode, document["reason"]) == (
        1,
        "healthy: not so after 2 rounds: steps.probe.exit_code == 0",
    )


def test_a_step_inside_may_end_it(runbook, tmp_path):
    done, document = runbook(repeat(tmp_path, 5, **{"on-failure": "stop"}))
    assert (done.returncode, document["reason"]) == (7, "healthy: probe: exit 1")


def test_a_run_that_is_repeated_keeps_each_capture(runbook, tmp_path):
    steps = [RETRANSMITS, {"name": "few", "gate": "retransmits.total = 0", "of": "retransmits"}]
    until = {"until": 'steps.few.outcome == "passed"', "every": "1ms", "at-most": 2}
    done, document = runbook({"name": "again", "repeat": {"steps": steps, **until}})
    assert done.returncode == 1
    captures = [each["outputs"]["capture"] for each in document["steps"] if each["kind"] == "run"]
    assert captures == ["retransmits.json", "retransmits-2.json"]
    assert all((tmp_path / "work" / name).is_file() for name in captures)


def test_groups_are_skipped_and_fail_as_a_whole(runbook):
    done, document = runbook(
        {"name": "left-out", "when": "1 == 2", "steps": [shell("a", "true"), {"name": "b", "steps": [shell("c", "true")]}]},
        {"name": "tried", "steps": [shell("d", "exit 4"), shell("e", "true")], "on-failure": "ignore"},
        shell("f", "echo {{ steps.c.outcome }} {{ steps.tried.outcome }}"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert step(document, "f")["outputs"]["stdout"] == "skipped failed"
    assert step(document, "tried")["reason"] == "d: exit 4"


PARAMETERS = [
    {"name": "service", "type": "comm", "required": True, "description": "The service."},
    {"name": "port", "type": "port", "repeatable": True, "description": "Its ports."},
    {"name": "token", "description": "A secret.", "secret": True, "environment": "TOKEN"},
]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "such as --service 'nginx*'"),
        ((), "the runbook needs --service NAME"),
        (("--service", "x" * 20), "the kernel keeps 15 bytes of a name"),
        (("--service", "x", "--port", "http"), "not a whole number"),
        (("--service", "x", "--service", "y"), "--service takes one value"),
    ],
)
def test_values_are_checked_before_anything_is_done(runbook, tmp_path, words, said):
    done, _ = runbook(shell("a", f"touch {tmp_path}/run"), parameters=PARAMETERS, words=words)
    assert done.returncode == 3
    assert said in done.stderr
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "work").exists()


def test_values_of_parameters_reach_recipes_as_they_are(runbook):
    given = {"comm": "{{ parameters.service }}", "port": "{{ parameters.port }}"}
    steps = ({**RETRANSMITS, "with": given},)
    words = ("--service", "a b", "--dry-run")
    done, _ = runbook(*steps, parameters=PARAMETERS, words=words, form="table")
    assert "$ ebpf-recipe run tcp-retrans '--comm=a b' --replay" in done.stdout
    done, _ = runbook(
        *steps, parameters=PARAMETERS, words=(*words, "--port", "80", "--port", "81"), form="table"
    )
    assert "'--comm=a b' --port=80 --port=81 " in done.stdout
    wrong = ({**RETRANSMITS, "with": {"remote": "{{ parameters.service }}"}},)
    done, _ = runbook(*wrong, parameters=PARAMETERS, words=words, form="table")
    assert done.returncode == 3
    assert "own.yaml:" in done.stderr
    assert "not an IPv4 or IPv6 address" in done.stderr


def test_gates_set_the_threshold_of_the_run_they_are_on(runbook):
    done, _ = runbook(
        {"name": "waits", "run": "runqlat", "measure": {"slow": "latency.above({{ parameters.slow }})"}},
        {"name": "short", "gate": "latency.above({{ parameters.slow }}) <= 1%", "of": "waits"},
        parameters=[{"name": "slow", "type": "duration", "default": "7ms", "description": "Slow."}],
        words=("--dry-run",),
        form="table",
    )
    assert "$ ebpf-recipe run runqlat --above=7ms" in done.stdout


def test_a_wrong_value_is_named_at_the_gate_that_has_it(runbook):
    done, _ = runbook(
        {"name": "waits", "run": "runqlat"},
        {"name": "short", "gate": "latency.p99 <= {{ parameters.limit }}", "of": "waits"},
        parameters=[{"name": "limit", "required": True, "description": "Limit."}],
        words=("--dry-run", "--limit", "7parsecs"),
        form="table",
    )
    assert done.returncode == 3
    assert "own.yaml:11:3: short: " in done.stderr
    assert done.stderr.count("column 16") == 1


def test_a_dry_run_does_nothing_and_says_all(runbook, tmp_path):
    done, _ = runbook(
        shell("a", f"touch {tmp_path}/run", description="Makes a file."),
        shell("b", "echo {{ steps.a.stdout }} {{ runbook.directory }}", when='steps.a.outcome == "passed"'),
        {"name": "c", "ask": "Go on?"},
        words=("--dry-run",),
        form="table",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "a (shell): Makes a file.",
        f"  $ touch {tmp_path}/run",
        "b (shell)",
        '  when steps.a.outcome == "passed"',
        "  $ echo {{ steps.a.stdout }} {{ runbook.directory }}",
        "c (ask)",
        "  Go on? [yes/no]",
    ]
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "work").exists()


def test_bytes_that_are_no_text_arrive_and_are_shown(runbook):
    done, document = runbook(
        shell("a", "printf %s {{ parameters.x }} | od -An -tx1; printf '\\0\\377'"),
        shell("b", "echo {{ steps.a.stdout }}"),
        parameters=[{"name": "x", "description": "Any."}],
        words=("--x", "a\udcff"),
    )
    assert done.returncode == 3
    assert document["parameters"] == {"x": "a\ufffd"}
    assert step(document, "a")["outputs"]["stdout"] == " 61 ff\n\0\ufffd"
    assert "a value has a NUL in it" in document["reason"]


def test_a_secret_is_shown_nowhere(runbook, tmp_path):
    done, document = runbook(
        shell(
            "env",
            "echo to $T; echo $T | cut -c1-9; printf $T >&2",
            environment={"T": "{{ parameters.token }}"},
        ),
        {
            "name": "talk",
            "expect": ["sh", "-c", "printf 'token? '; read t; echo got $t; exit 3"],
            "dialog": [
                {"pattern": r"token\?", "answer": "{{ parameters.token }}"},
                {"pattern": "got (?P<back>.*)\n"},
            ],
        },
        parameters=PARAMETERS,
        words=("--service", "x", "--junit", str(tmp_path / "junit.xml")),
        env={"TOKEN": SECRET},
    )
    assert done.returncode == 7
    assert step(document, "env")["outputs"]["stdout"] == "to ***\nhunter2-c"
    assert step(document, "talk")["outputs"]["back"].strip() == "***"
    assert document["parameters"]["token"] == "***"  # noqa: S105
    everything = [
        done.stdout,
        done.stderr,
        *(path.read_text() for path in tmp_path.rglob("*") if path.is_file()),
    ]
    assert not [text for text in everything if SECRET in text]


def test_a_run_is_gone_on_with(runbook, tmp_path):
    steps = (
        {**RETRANSMITS, "measure": {"packets": "retransmits.total"}},
        shell("one", "echo first {{ parameters.service }}"),
        shell("two", f"test -e {tmp_path}/mended"),
        {"name": "few", "gate": "retransmits.total <= 33", "of": "retransmits"},
        shell("three", "echo {{ steps.one.stdout }} {{ steps.retransmits.packets }}"),
    )
    done, document = runbook(*steps, parameters=PARAMETERS, words=("--service", "x y", "--port", "80"))
    assert (done.returncode, document["outcome"]) == (7, "failed")
    assert document["next"].endswith(f"--work {tmp_path}/work --from two")
    (tmp_path / "mended").touch()
    done, again = runbook(*steps, parameters=PARAMETERS, words=("--from", "two"))
    assert done.returncode == 0, done.stderr
    assert outcomes(again) == [(name, "passed") for name in ("retransmits", "one", "two", "few", "three")]
    assert step(again, "three")["outputs"]["stdout"] == "first x y 33 packets"
    assert (again["id"], again["started"]) == (document["id"], document["started"])
    transcript = (tmp_path / "work" / "transcript.txt").read_text()
    assert transcript.index("two: failed: exit 1") < transcript.index("runbook own from two")


def test_what_cannot_be_gone_on_with_is_refused(runbook, tmp_path):
    steps = (
        shell("one", "exit 1"),
        shell("two", "echo 2"),
        {"name": "group", "steps": [shell("inside", "echo {{ steps.two.stdout }}")]},
    )
    done, _ = runbook(*steps, words=("--from", "two"))
    assert (done.returncode, "holds none" in done.stderr) == (3, True)
    assert not (tmp_path / "work").exists()
    assert runbook(*steps)[0].returncode == 7
    for name, said in (
        ("none", "there is no such step"),
        ("inside", "it is a part of group"),
        ("group", "the steps from there need two, which the earlier run did not come to"),
    ):
        done, _ = runbook(*steps, words=("--from", name))
        assert done.returncode == 3
        assert said in done.stderr
    done, _ = runbook(*steps)
    assert (done.returncode, "holds a run already" in done.stderr) == (3, True)
    (tmp_path / "work" / "runbook.json").write_text('{"schema": "other"}')
    done, _ = runbook(*steps, words=("--from", "two"))
    assert (done.returncode, "is no ebpf-recipe/runbook-run/v1" in done.stderr) == (6, True)


def test_other_parameters_are_another_run(runbook):
    steps = (shell("one", "true"), shell("two", "true"))
    assert runbook(*steps, parameters=PARAMETERS, words=("--service", "x"))[0].returncode == 0
    done, _ = runbook(*steps, parameters=PARAMETERS, words=("--service", "y", "--from", "two"))
    assert done.returncode == 3
    assert "--service is y now, and was x in the earlier run" in done.stderr


NEEDS = (
    shell("one", "true"),
    shell("two", "test $T = new", environment={"T": "{{ parameters.token }}"}),
    shell("three", "true"),
)


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_secret_that_a_step_needs_is_asked_for_before_the_first(runbook, tmp_path, words):
    done, _ = runbook(*NEEDS, parameters=PARAMETERS, words=("--service", "x", *words))
    assert done.returncode == 3
    assert "own.yaml:21:5: needs --token or $TOKEN: A secret." in done.stderr
    assert not (tmp_path / "work").exists()


def test_a_secret_is_given_anew_to_go_on(runbook):
    words = ("--service", "x")
    done, _ = runbook(*NEEDS, parameters=PARAMETERS, words=words, env={"TOKEN": "old"})
    assert done.returncode == 7
    done, _ = runbook(*NEEDS, parameters=PARAMETERS, words=("--from", "two"))
    assert (done.returncode, "needs --token or $TOKEN" in done.stderr) == (3, True)
    done, _ = runbook(*NEEDS, parameters=PARAMETERS, words=("--from", "two"), env={"TOKEN": "new"})
    assert done.returncode == 0, done.stderr
    # What comes behind it needs none, though the run before had one.
    done, _ = runbook(*NEEDS, parameters=PARAMETERS, words=("--from", "three"))
    assert done.returncode == 0, done.stderr


def test_what_no_step_needs_is_not_asked_for(runbook):
    region = {"name": "region", "type": "comm", "environment": "REGION", "description": "A region."}
    done, document = runbook(
        {**RETRANSMITS, "with": {"comm": "{{ parameters.region }}"}, "when": "1 == 2"},
        shell("a", "echo {{ parameters.region }}", when="parameters.region != none"),
        shell("b", "echo {{ parameters.region or 'none' }} {{ parameters.region|default('all', true) }}"),
        parameters=[region],
    )
    assert done.returncode == 0, done.stderr
    assert step(document, "b")["outputs"]["stdout"] == "none all"


def test_junit_has_every_step(runbook, tmp_path):
    path = tmp_path / "junit.xml"
    runbook(
        shell("fine", "true"),
        shell("left-out", "true", when="1 == 2"),
        RETRANSMITS,
        {"name": "few", "gate": "retransmits.total = 0", "of": "retransmits", "on-failure": "continue"},
        {"name": "known", "gate": "retransmits.total = 0", "of": "retransmits", "on-failure": "ignore"},
        shell("bad", "exit 3"),
        words=("--junit", str(path)),
    )
    (suite,) = ET.fromstring(path.read_bytes())  # noqa: S314
    cases = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases == {
        "fine (shell)": [], "left-out (shell)": ["skipped"], "retransmits (run)": [], "few (gate)": ["failure"],
        "known (gate)": ["system-out"], "bad (shell)": ["error"],
    }  # fmt: skip


def test_the_table_says_how_each_step_ended(runbook):
    done, _ = runbook(
        {**RETRANSMITS, "measure": {"packets": "retransmits.total"}}, shell("bad", "exit 3"), form="table"
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert any(
        line.startswith("retransmits run passed") and line.endswith("packets: 33 packets") for line in lines
    )
    assert any(line.startswith("bad shell failed") and line.endswith("exit 3") for line in lines)
    assert lines[-1].startswith("to go on: ebpf-recipe runbook ")
    # Said once, wherever both are seen; who reads JSON is told on stderr.
    both = (done.stdout + done.stderr).splitlines()
    assert [line for line in both if line.startswith("failed: ")] == ["failed: bad: exit 3"]
    assert len([line for line in both if "to go on: " in line]) == 1


def test_a_work_directory_that_cannot_be_written(runbook, tmp_path):
    (tmp_path / "work").write_text("a file")
    done, _ = runbook(shell("a", "true"))
    assert done.returncode == 8
    assert "cannot be written" in done.stderr

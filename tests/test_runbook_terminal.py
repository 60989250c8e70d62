"""Who talks back: programs that are answered, the operator who is asked, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import pexpect
import pytest
import yaml

from tests.command import EBPF_RECIPE, ebpf_recipe

ASKS = """\
import sys
name = input("Really restart web-1? [y/N] ")
print("restarted" if name == "y" else "left alone")
sys.exit(name != "y")
"""


@pytest.fixture
def written(tmp_path):
    def write(*steps, parameters=()):
        path = tmp_path / "own.yaml"
        document = {"runbook": 1, "id": "own", "title": "Own", "description": "Own."}
        path.write_text(yaml.safe_dump({**document, "parameters": list(parameters), "steps": list(steps)}))
        return str(path)

    return write


def talk(program, dialog, **more):
    return {"name": "talk", "expect": [sys.executable, "-c", program], "dialog": dialog, **more}


def run(path, tmp_path, *words):
    done = ebpf_recipe("runbook", path, "--work", str(tmp_path / "work"), "-f", "json", *words)
    return done, json.loads(done.stdout) if done.stdout else None


def test_a_program_gets_its_answer_and_its_groups_are_outputs(written, tmp_path):
    path = written(
        talk(ASKS, [{"pattern": r"restart (?P<what>[\w-]+)\?", "answer": "{{ parameters.sure }}"}, {"pattern": "restarted"}]),
        {"name": "tell", "shell": "echo {{ steps.talk.what }} {{ steps.talk.exit_code }}"},
        parameters=[{"name": "sure", "default": "y", "description": "What is answered."}],
    )  # fmt: skip
    done, document = run(path, tmp_path)
    assert done.returncode == 0, done.stderr
    talked, told = document["steps"]
    assert talked["outputs"]["output"] == "Really restart web-1? [y/N] restarted"
    assert told["outputs"]["stdout"] == "web-1 0"
    # The answer is told as given, and not what it was.
    lines = [json.loads(line) for line in (tmp_path / "work" / "transcript.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines if line["event"] == "answered"] == [
        r"answered pattern 1 of 2 (restart (?P<what>[\w-]+)\?)"
    ]


@pytest.mark.parametrize(
    ("program", "dialog", "reason"),
    [
        (ASKS, [{"pattern": "restart", "answer": "n"}], "exit 1"),
        ("import time; print('Starting'); time.sleep(60)", [{"pattern": "Done"}], "pattern 1 of 1 (Done) did not come in 3s; it printed last: Starting"),
        ("print('a'); print('b')", [{"pattern": "b"}, {"pattern": "c"}], "it ended before pattern 2 of 2 (c); it printed last: a / b"),
        ("import time; print('b', flush=True); time.sleep(60)", [{"pattern": "b"}], "it did not end within 3s after its last pattern"),
        ("import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('b', flush=True); time.sleep(60)", [{"pattern": "c"}], "did not come"),
        ("while True: print('y' * 500)", [{"pattern": "c"}], "it printed more than 1024 KiB"),
        ("import os, time; [os.close(fd) for fd in (0, 1, 2)]; time.sleep(60)", [{"pattern": "c"}], "it ended before pattern 1"),
        ("import os; os.kill(os.getpid(), 9)", [{"pattern": "c"}], "it ended before pattern 1 of 1 (c); it printed last: nothing"),
    ],
)  # fmt: skip
def test_a_program_that_talks_otherwise_is_told_with_what_it_said(written, tmp_path, program, dialog, reason):
    path = written(talk(program, dialog, timeout="3s" if "sleep" in program else "20s"))
    done, document = run(path, tmp_path)
    assert done.returncode == 7
    assert reason in document["steps"][0]["reason"]


def test_a_program_that_is_not_there(written, tmp_path):
    path = written({"name": "talk", "expect": ["no-such-program"], "dialog": [{"pattern": "x"}]})
    done, document = run(path, tmp_path)
    assert done.returncode == 7
    assert "no-such-program cannot be started" in document["reason"]


ASK = {"name": "go", "ask": "Restart it?", "default": "no"}
TELL = {"name": "tell", "shell": "echo told {{ steps.go.answer }}"}


def test_nobody_is_asked_where_nobody_is(written, tmp_path):
    mark = {"name": "mark", "shell": f"touch {tmp_path}/mark"}
    done, _ = run(written(mark, ASK), tmp_path)
    assert done.returncode == 4
    assert "the step go asks, and there is no terminal to ask on" in done.stderr
    assert not (tmp_path / "mark").exists()
    assert not (tmp_path / "work").exists()
    done, document = run(written(ASK, TELL), tmp_path, "--yes")
    assert done.returncode == 0
    assert document["steps"][1]["outputs"]["stdout"] == "told no"


def test_yes_needs_a_default(written, tmp_path):
    done, _ = run(written({"name": "go", "ask": "Restart it?"}), tmp_path, "--yes")
    assert done.returncode == 3
    assert "own.yaml:6:3: the step go asks, and has no default for --yes" in done.stderr


@pytest.mark.parametrize(
    ("ask", "typed", "answer"),
    [
        (ASK, ["y"], "yes"),
        (ASK, ["maybe", "No"], "no"),
        (ASK, [""], "no"),
        ({"name": "go", "ask": "Which?", "answer": ["left", "right"]}, ["", "r"], "right"),
        ({"name": "go", "ask": "Why?", "answer": "text"}, ["", "it is slow"], "it is slow"),
    ],
)
def test_the_operator_answers(written, tmp_path, ask, typed, answer):
    path = written(ask, {"name": "tell", "shell": "echo told {{ steps.go.answer }}"})
    words = ["runbook", path, "--work", str(tmp_path / "work")]
    child = pexpect.spawn(EBPF_RECIPE, words, encoding="utf-8", timeout=30, dimensions=(40, 120))
    for line in typed:
        child.expect(r"\?  ?\[|one of|at least one")
        child.sendline(line)
    child.expect(f"told {answer}")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


@pytest.mark.parametrize(
    ("key", "code", "said"),
    [("\x03", 130, "SIGINT came during go"), ("\x04", 4, "the terminal is at its end")],
)
def test_the_operator_gives_up(written, tmp_path, key, code, said):
    words = ["runbook", written(ASK, TELL), "--work", str(tmp_path / "work")]
    child = pexpect.spawn(EBPF_RECIPE, words, encoding="utf-8", timeout=30, dimensions=(40, 400))
    child.expect(r"Restart it\? \[")
    child.send(key)
    child.expect(said)
    child.expect("to go on: ebpf-recipe runbook .* --from go")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == code
    transcript = (tmp_path / "work" / "transcript.txt").read_text()
    why = "SIGINT interrupted the question" if code == 130 else "the terminal is at its end"
    assert f"go: failed: {why}" in transcript
    assert "result was being written" not in transcript


TRAPS = "trap 'echo cleaned up; exit 5' INT TERM; echo ready; while :; do sleep 0.05; done"
STEPS = {
    "shell": {"name": "long", "shell": TRAPS},
    "expect": {"name": "long", "expect": ["sh", "-c", TRAPS], "dialog": [{"pattern": "never"}]},
    "group": {"name": "outer", "steps": [{"name": "long", "shell": TRAPS}]},
    "repeat": {
        "name": "outer",
        "repeat": {"steps": [{"name": "long", "shell": TRAPS}], "until": "1 == 2", "at-most": 9},
    },
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("kind", STEPS)
def test_a_signal_ends_the_step_and_then_the_runbook(written, tmp_path, kind, number):
    path = written({"name": "first", "shell": "echo 1"}, STEPS[kind], {"name": "never", "shell": "true"})
    command = [EBPF_RECIPE, "runbook", path, "--work", str(tmp_path / "work"), "-f", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "| ready" in line:
                break
        other = ebpf_recipe(*command[1:])
        assert (other.returncode, "a run is under way in" in other.stderr) == (3, True)
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    document = json.loads(out)
    top = STEPS[kind]["name"]
    assert (document["outcome"], document["reason"]) == ("interrupted", f"{number.name} came during {top}")
    assert document["next"].endswith(f"--from {top}")
    assert "| cleaned up" in said
    assert [each["name"] for each in document["steps"]] == ["first", "long"]
    assert "cleaned up" in (tmp_path / "work" / "transcript.txt").read_text()
    assert json.loads((tmp_path / "work" / "runbook.json").read_text()) == document


def test_a_signal_ends_the_wait_between_rounds(written, tmp_path):
    until = {"until": "1 == 2", "every": "50s", "at-most": 9}
    path = written({"name": "outer", "repeat": {"steps": [{"name": "a", "shell": "true"}], **until}})
    command = [EBPF_RECIPE, "runbook", path, "--work", str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "a: passed" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_killed_one_leaves_a_transcript_and_can_be_gone_on_with(written, tmp_path):
    last = {"name": "last", "shell": f"test -e {tmp_path}/quick || {{ echo $$; sleep 60; }}"}
    path = written({"name": "first", "shell": "echo 1"}, last)
    words = ["runbook", path, "--work", str(tmp_path / "work")]
    with subprocess.Popen(
        [EBPF_RECIPE, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = iter(process.stderr)
        pid = next(
            int(line.split("|")[1]) for line in lines if line.startswith("  | ") and line.strip() != "| 1"
        )
        descriptor = os.pidfd_open(pid)
        process.kill()
        process.communicate()
    # What it ran does not outlive it.
    assert _ends(descriptor)
    assert json.loads((tmp_path / "work" / "runbook.json").read_text())["outcome"] == "running"
    (tmp_path / "quick").touch()
    done = ebpf_recipe(*words, "--from", "last", "-f", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "passed"


def test_shells_complete_runbooks_and_their_parameters(written, tmp_path):
    def completed(words):
        environment = {
            **os.environ, "_EBPF_RECIPE_COMPLETE": "complete_bash", "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
        }  # fmt: skip
        return ebpf_recipe(env=environment).stdout.split()

    assert completed("ebpf-recipe runbook tcp") == ["tcp-loss"]
    path = written(TELL | {"shell": "true"}, parameters=[{"name": "unit", "description": "Unit."}])
    assert "--unit" in completed(f"ebpf-recipe runbook {path} --")
    written(TELL | {"shell": "true"}, parameters=[{"name": "service", "description": "Service."}])
    assert "--service" in completed(f"ebpf-recipe runbook {path} --")


def _ends(descriptor):
    import select

    return bool(select.select([descriptor], [], [], 20)[0])

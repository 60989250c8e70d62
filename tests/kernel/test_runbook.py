"""Runbooks on the real kernel: a shipped one with a program that asks, and Ctrl-C while a recipe runs."""

import json
import signal
import subprocess
import sys

import pexpect
import pytest

from tests.command import EBPF_RECIPE, ebpf_recipe
from tests.laboratory.children import child
from tests.laboratory.network import lose_packets, stop_losing_packets
from tests.laboratory.nginx import load
from tests.laboratory.releases import paths

pytestmark = pytest.mark.kernel

# A service whose one thread sleeps a thousand times a second, and waits for a processor each time it wakes up.
SERVICE = """
import time
open("/proc/self/comm", "w").write("pay-svc")
while True:
    time.sleep(0.001)
"""
# A program that asks before it restarts something, and says what it was answered.
RESTART = """
import sys
if input(f"Really restart {sys.argv[1]}? [y/N] ") != "yes":
    raise SystemExit(3)
open(sys.argv[2], "w").close()
print("restarted")
"""


@pytest.fixture
def service():
    with child([sys.executable, "-c", SERVICE]) as process:
        yield process


def test_a_shipped_runbook_asks_answers_and_measures_before_and_after(bpftrace, service, tmp_path, figure):
    (tmp_path / "restart.py").write_text(RESTART)
    mark, work = tmp_path / "restarted", tmp_path / "work"
    words = [
        "runbook", "service-restart", "--comm", "pay-svc", "--program", sys.executable,
        *("--argument", str(tmp_path / "restart.py"), "--argument", "pay-svc", "--argument", str(mark)),
        "--health", f"test -e {mark}", "--duration", "1s", "--slow", "1s",
        "--bpftrace", bpftrace, "--work", str(work), "--junit", str(tmp_path / "junit.xml"),
    ]  # fmt: skip
    operator = pexpect.spawn(EBPF_RECIPE, words, encoding="utf-8", timeout=90, dimensions=(60, 200))
    operator.expect(
        r"pay-svc: (\d+) events(?: to \d+ events)?, p99 .*, gate: pass\. Restart it\? \[yes/no, Enter is no\]"
    )
    assert not mark.exists()
    operator.sendline("y")
    operator.expect(pexpect.EOF)
    operator.wait()
    assert operator.exitstatus == 0, operator.before
    document = json.loads((work / "runbook.json").read_text())
    assert document["outcome"] == "passed"
    steps = {each["name"]: each for each in document["steps"]}
    assert steps["program"]["outputs"]["output"].endswith("restarted")
    for name in ("before", "after"):
        capture = json.loads((work / steps[name]["outputs"]["capture"]).read_text())
        assert (capture["recipe"]["id"], capture["target"]) == ("runqlat", {"comm": ["pay-svc"]})
        # The gate's threshold was counted in the kernel.
        assert capture["parameters"] == {"above": "1s"}
        assert steps[name]["outputs"]["waits"]["lower"] > 100
    assert steps["waits-are-short-again"]["outputs"]["verdict"] == "pass"
    assert "answered pattern 1 of 1" in (work / "transcript.txt").read_text()
    figure(
        f"{[steps[name]['outputs']['waits']['lower'] for name in ('before', 'after')]} waits before and after"
    )


def test_nobody_restarts_anything_with_yes(service, tmp_path):
    words = ("--comm", "pay-svc", "--program", "false", "--health", "true", "--duration", "500ms")
    done = ebpf_recipe(
        "runbook", "service-restart", *words, "--yes", "--work", str(tmp_path / "work"), "-f", "json"
    )
    assert done.returncode == 0, done.stderr
    outcomes = {each["name"]: each["outcome"] for each in json.loads(done.stdout)["steps"]}
    assert (outcomes["before"], outcomes["restart"], outcomes["program"]) == ("passed", "skipped", "skipped")


def test_what_was_measured_until_ctrl_c_is_kept_and_it_can_be_gone_on_with(tmp_path):
    quick = tmp_path / "quick"
    path = tmp_path / "own.yaml"
    path.write_text(f"""\
runbook: 1
id: own
title: Own
description: Own.
steps:
  - name: switches
    run: sched-switches
    command: [sh, -c, "test -e {quick} || {{ echo attached; sleep 60; }}"]
    measure: {{switches: switches.total}}
  - {{name: tell, shell: "echo {{{{ steps.switches.switches }}}} {{{{ steps.switches.ended_by }}}}"}}
""")
    words = ["runbook", str(path), "--work", str(tmp_path / "work"), "-f", "json"]
    with subprocess.Popen(
        [EBPF_RECIPE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if "| attached" in line:
                break
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    document = json.loads(out)
    (run,) = document["steps"]
    assert (document["outcome"], run["outcome"]) == ("interrupted", "failed")
    assert run["outputs"]["ended_by"] == "interrupt"
    assert json.loads((tmp_path / "work" / run["outputs"]["capture"]).read_text())["tables"]
    assert document["next"].endswith("--from switches")
    quick.touch()
    again = ebpf_recipe(*words, "--from", "switches")
    assert again.returncode == 0, again.stderr
    run, tell = json.loads(again.stdout)["steps"]
    assert run["outputs"]["capture"] == "switches-2.json"
    assert tell["outputs"]["stdout"].endswith("workload")


def test_a_recipe_that_cannot_run_has_its_own_code(tmp_path):
    done = ebpf_recipe(
        "runbook",
        "tcp-loss",
        "--work",
        str(tmp_path / "work"),
        "--bpftrace",
        "/no/such/bpftrace",
        "-f",
        "json",
    )
    assert done.returncode == 4
    (run,) = json.loads(done.stdout)["steps"]
    assert "/no/such/bpftrace" in run["reason"]


def test_a_quiet_service_passes_and_needs_no_more(tmp_path):
    words = ("runbook", "tcp-loss", "--comm", "nobody-at-all", "--duration", "500ms")
    done = ebpf_recipe(*words, "--work", str(tmp_path / "work"), "-f", "json")
    assert done.returncode == 0, done.stderr
    outcomes = {each["name"]: each["outcome"] for each in json.loads(done.stdout)["steps"]}
    assert (outcomes["few-retransmits"], outcomes["why"], outcomes["drops"]) == (
        "passed",
        "skipped",
        "skipped",
    )


def test_a_disk_without_requests_or_with_quick_ones_is_no_reason_to_look_on(tmp_path):
    words = ("runbook", "slow-disk-check", "--duration", "500ms", "--slow", "60s")
    done = ebpf_recipe(*words, "--work", str(tmp_path / "work"), "-f", "json")
    assert done.returncode == 0, done.stderr
    outcomes = {each["name"]: each["outcome"] for each in json.loads(done.stdout)["steps"]}
    assert outcomes["few-are-slow"] in ("passed", "skipped")
    assert (outcomes["none-failed"], outcomes["whose"]) == ("passed", "skipped")


def test_lost_packets_fail_it_and_have_it_look_on(hosts, nginx_host, tmp_path, figure):
    server, client = hosts
    # So long that one connection that has to be asked for several times is not all that is seen.
    words = ("runbook", "tcp-loss", "--comm", "nginx", "--duration", "6s", "--most", "0")
    lose_packets(client, 0.2)
    try:
        with child(load(client, server.ipv4, 1000)):
            done = ebpf_recipe(*words, "--work", str(tmp_path / "work"), "-f", "json")
    finally:
        stop_losing_packets(client)
    assert done.returncode == 1, done.stderr
    steps = {each["name"]: each for each in json.loads(done.stdout)["steps"]}
    lost = steps["retransmits"]["outputs"]["packets"]
    assert lost["lower"] > 0
    assert steps["few-retransmits"]["outputs"]["verdict"] == "fail"
    assert [steps[name]["outcome"] for name in ("connects", "drops", "why")] == ["passed"] * 3
    figure(
        f"{lost['lower']} packets sent again, {steps['connects']['outputs']['attempts']['lower']} attempts to connect"
    )


TRIED = """
runbook: 1
id: tried
title: Try a change of nothing
description: Tries it.
parameters:
  - {{name: value, type: text, description: What it is changed to., default: "4096"}}
steps:
  - name: try
    experiment:
      - --set
      - {value}={{{{ parameters.value }}}}
      - --measure
      - runqlat
      - --settle
      - 0s
      - --
      - sleep
      - "0.7"
    on-failure: continue
  - name: say
    shell: echo {{{{ steps.try.verdict }}}} {{{{ steps.try.state }}}} {{{{ steps.try.exit_code }}}}
"""


def test_an_experiment_is_a_step_whose_verdict_later_steps_know(tmp_path, monkeypatch):
    monkeypatch.setenv("EBPF_RECIPE_STATE", str(tmp_path / "state"))
    value, work, path = tmp_path / "value", tmp_path / "work", tmp_path / "tried.yaml"
    value.write_text("128\n")
    path.write_text(TRIED.format(value=value))
    newest = paths()[-1]
    done = ebpf_recipe("runbook", str(path), "--bpftrace", newest, "--work", str(work), "-f", "json")
    assert done.returncode in (0, 1), done.stderr
    one, other = json.loads(done.stdout)["steps"]
    assert one["outputs"]["state"] == "as-before"
    assert one["outputs"]["verdict"] in ("same", "inconclusive", "better", "worse")
    assert other["outputs"]["stdout"] == f"{one['outputs']['verdict']} as-before {done.returncode}"
    assert json.loads((work / "try.json").read_text())["runs"][12]["number"] == 12
    assert value.read_text() == "128\n"
    # A change that cannot be tried fails the step, with the reason.
    again = tmp_path / "again"
    done = ebpf_recipe(
        "runbook", str(path), "--value", "128", "--bpftrace", newest, "--work", str(again), "-f", "json"
    )
    assert done.returncode == 3
    assert "there is nothing to try" in json.loads(done.stdout)["steps"][0]["reason"]

"""Each rule of runbooks: one change to a good one breaks it, at the place that is named; all of it at once."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.recipe.finding import RULES
from runner.workflow.runbook.catalogue import runbook_paths
from runner.workflow.runbook.load import lint_runbook
from tests.command import ebpf_recipe

GOOD = """\
runbook: 1
id: good
title: A service and its disk
description: Looks at a service and its disk.
parameters:
  - {name: comm, type: comm, description: The service.}
  - {name: slow, type: duration, description: A long wait.}
  - {name: most, type: integer, default: "1", description: Percent of waits.}
  - {name: limit, description: Any amount.}
  - {name: quantile, type: integer, description: A quantile.}
  - {name: token, description: For the program., secret: true, environment: TOKEN}
steps:
  - name: waits
    run: runqlat
    with: {comm: "{{ parameters.comm }}"}
    duration: 5s
    measure: {p99: latency.p99}
  - name: short
    gate: latency.above(5ms) <= 1%
    of: waits
    on-failure:
      steps:
        - {name: look, shell: echo short}
      then: continue
  - name: restart
    when: steps.short.verdict == "fail"
    expect: [restart, "{{ parameters.comm }}"]
    dialog:
      - {pattern: "token for (?P<who>.*):", answer: "{{ parameters.token }}"}
  - name: healthy
    repeat:
      steps:
        - {name: probe, shell: "test {{ steps.waits.p99.upper }} -lt 9"}
      until: steps.probe.exit_code == 0
      at-most: 3
  - name: tell
    shell: [echo, "{{ steps.healthy.rounds }}", "{{ steps.look.outcome }}"]
"""

# Rule, what is replaced, by what, what stands at the place that is named, what is said.
CASES = [
    ("yaml-duplicate-key", "    of: waits\n", "    of: waits\n    of: waits\n", "of: waits", "'of' stands twice"),
    ("yaml-expansion", "shell: [echo,", "shell: &a [*a, echo,", "&a", "an alias leads to what it stands in"),
    ("yaml-syntax", "duration: 5s", "duration: [5s", ": {p99", "expected"),
    ("unreadable", "runbook: 1", "runbook: 1\n#" + "x" * 300_000, "", "larger than 256 KiB"),
    ("model", "runbook: 1", "runbook: 2", "runbook: 2", "runbook: Input should be 1"),
    ("model", "      at-most: 3\n", "", "repeat:", "steps[3].repeat.at-most: Field required"),
    ("model", '      - {pattern: "token for (?P<who>.*):", answer: "{{ parameters.token }}"}', "      []", "dialog:", "at least 1 item"),
    ("model", "(?P<who>.*)", "(?P<who>.*", "pattern: ", "it is no regular expression"),
    ("model", "  - name: short\n", "  - name: short\n    shell: x\n", "name: short", "a step has one of the keys"),
    ("model", "    gate: latency.above(5ms) <= 1%\n    of: waits\n", "", "name: short", "a step has one of the keys"),
    ("model", "look, shell: echo", "look, shel: echo", "shel:", "a step has one of the keys run, shell, expect, ask, gate, experiment, repeat, steps: did you mean shell?"),
    ("model", "then: continue", "then: retry", "then: retry", "steps[1].on-failure.then: Input should be 'stop' or 'continue'"),
    ("model", "duration: 5s", "during: 5s", "during: 5s", "Extra inputs are not permitted"),
    ("model", "name: comm, type: comm", "name: comm, type: command", "type: command", "no such parameter type"),
    ("model", "name: comm, type", "name: work, type", "name: work", "--work is an option of the command itself"),
    ("model", "secret: true,", "secret: true, default: x,", "{name: token", "a secret has no default"),
    ("id-file-name", "id: good", "id: better", "id: better", "id is 'better', the file is called 'good'"),
    ("runbook-name", "{name: look,", "{name: probe,", 'name: probe, shell: "test', "the step probe stands twice, first in line 23"),
    ("runbook-template", "echo short", "\"echo '{{ parameters.comm }}'\"", "{{ parameters.comm }}'\"", "inside quotation marks"),
    ("runbook-template", "echo short", "'{% for a in b %}{% endfor %}'", "shell: '{%", "no statements"),
    ("runbook-template", 'verdict == "fail"', "verdict ==", "when:", "unexpected"),
    ("runbook-template", "echo short", "'echo {{ parameters.comm }} \"$(echo {{ parameters.most }})\"'", "{{ parameters.most", "behind $(: where that ends cannot be told; give the value under `environment: {NAME: …}`"),
    ("runbook-template", "{name: look, shell: echo short}", '{name: look, shell: "echo {{ parameters.comm }}\\n\n         # {{ parameters.most }}"}', "{{ parameters.most", "in a comment"),
    ("runbook-template", "exit_code == 0", "exit_code = 0", "until:", "unexpected '=' behind a whole expression: write == to compare"),
    ("runbook-template", 'verdict == "fail"', 'verdict == "fail" or (1 = 2)', "when:", "write == to compare"),
    ("runbook-template", "exit_code == 0", "exit_code == 0 0", "until:", "unexpected '0' behind a whole expression"),
    ("runbook-reference", "steps.waits.p99", "steps.wait.p99", 'shell: "test', "there is no step wait: did you mean waits?"),
    ("runbook-reference", "steps.waits.p99", "steps.waits.p98", 'shell: "test', "has the outputs outcome, capture, grade, ended_by, exit_code, p99: did you mean p99?"),
    ("runbook-reference", "steps.waits.p99.upper", "steps.waits.p99.top", 'shell: "test', "what was measured has lower, upper, unit"),
    ("runbook-reference", "steps.waits.p99.upper", "steps.tell.stdout", 'shell: "test', "the step tell (line 36) has not ended by then"),
    ("runbook-reference", "steps.waits.p99.upper", "steps.healthy.rounds", 'shell: "test', "the step healthy (line 30) has not ended by then"),
    ("runbook-reference", "steps.short.verdict", "steps.restart.exit_code", "when:", "a step does not know its own outcome"),
    ("runbook-reference", "steps.waits.p99.upper", "steps.waits", 'shell: "test', "say which output"),
    ("runbook-reference", 'parameters.comm }}"]', 'parameters.com }}"]', '"{{ parameters.com ', "there is no such parameter: did you mean comm?"),
    ("runbook-reference", 'parameters.comm }}"]', 'env.HOME }}"]', '"{{ env', "there is no such name; there are parameters, steps, runbook"),
    ("runbook-reference", "of: waits", "of: probe", "of: probe", "there is no run step probe before this gate; before it there are waits"),
    ("runbook-secret", "echo short", "'echo {{ parameters.token }}'", "shell:", "token is secret"),
    ("runbook-secret", "echo short", "\"echo {{ parameters['token']|trim }}\"", "shell:", "token is secret"),
    ("runbook-recipe", "run: runqlat", "run: runqlen", "run: runqlen", "there is no recipe 'runqlen' (did you mean runqlat?)"),
    ("runbook-recipe", "with: {comm:", "with: {port: 80, comm:", "port: 80", "runqlat has no port; it takes above, cgroup"),
    ("runbook-recipe", "run: runqlat\n    with: {comm:", "run: packet-drops\n    with: {comm:", 'comm: "{{', "packet-drops cannot honour comm"),
    ("runbook-recipe", "with: {comm:", "with: {above: soon, comm:", "above: soon", "not a duration with its unit"),
    ("runbook-recipe", 'run: runqlat\n    with: {comm: "{{ parameters.comm }}"}', "run: function-calls", "run: function-calls", "function-calls needs function"),
    ("runbook-gate", "latency.above(5ms)", "latencies.above(5ms)", "gate:", "there is no table 'latencies': did you mean latency?"),
    ("runbook-gate", "latency.above(5ms)", "latensy.above({{ parameters.slow }})", "gate:", "there is no table 'latensy': did you mean latency?"),
    ("runbook-gate", "latency.above(5ms) <= 1%", "latency.above(5ms) <= {{ parameters.most }}us", "gate:", "us"),
    ("runbook-gate", "{p99: latency.p99}", '{p99: latency.p99, slow: "latensy.above({{ parameters.slow }})"}', "slow:", "did you mean latency?"),
    ("runbook-gate", "latency.p99}", "latency.total}", "p99: latency.total", "latency is a histogram and has no total"),
    ("runbook-gate", "latency.above(5ms) <= 1%", "latency.p99 not worse by 10%", "gate:", "compares two sets of captures"),
    ("runbook-gate", "with: {comm:", "with: {above: 7ms, comm:", "run: runqlat", "do not go together"),
    ("runbook-value", "duration: 5s", "duration: soon", "duration: soon", "not a duration"),
    ("runbook-value", "duration: 5s", "duration: 5", "duration: 5", "duration '5': a duration has its unit (5s)"),
    ("runbook-value", "echo short", "echo short, timeout: 1.5", "timeout: 1.5", "timeout '1.5': a duration has its unit (1.5s)"),
    ("runbook-value", "      at-most: 3", "      at-most: 3\n      every: 2", "every: 2", "a duration has its unit (2s)"),
    ("runbook-value", "duration: 5s", "budget: much", "budget: much", "budget"),
]  # fmt: skip

BY_EACH = [f"{rule}-{number}" for number, (rule, *_) in enumerate(CASES)]


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def test_the_good_one_has_nothing(good):
    assert lint_runbook(good) == ()
    schema = json.loads(ebpf_recipe("schema", "runbook").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize(
    "gate",
    [
        # Nobody knows what will be given, and two thresholds may be given as one.
        '"{{ parameters.limit }}"',
        "latency.p99 <= {{ parameters.limit }}",
        '["latency.above({{ parameters.slow }}) <= {{ parameters.most }}%", latency.above(5ms) <= 1%]',
        "latency.{{ parameters.limit }} <= 5ms",
        "latency.p{{ parameters.quantile }} <= 5ms",
        "latency.above({{ parameters.slow }}) <= {{ steps.waits.p99.upper }}%",
    ],
)
def test_what_hangs_on_what_is_given_is_left_to_the_run(good, gate):
    good.write_text(GOOD.replace("latency.above(5ms) <= 1%", gate, 1))
    assert lint_runbook(good) == ()


@pytest.mark.parametrize(("rule", "old", "new", "place", "text"), CASES, ids=BY_EACH)
def test_a_change_breaks_a_rule_at_its_place(good, rule, old, new, place, text):
    assert old in GOOD
    good.write_text(GOOD.replace(old, new, 1))
    found = lint_runbook(good)
    matching = [each for each in found if each.rule == rule and text in each.text]
    assert matching, found
    assert all(each.rule in RULES for each in found)
    lines = good.read_text().split("\n")
    assert any(lines[each.line - 1][each.column - 1 :].startswith(place) for each in matching), matching


def test_all_mistakes_come_at_once_before_anything_is_run(good, tmp_path):
    text = GOOD.replace("run: runqlat", "run: runqlen").replace("echo short", f"touch {tmp_path}/run")
    good.write_text(text.replace("steps.probe.exit_code", "steps.prob.exit_code"))
    for words in (("lint",), ("runbook",), ("lint", "-f", "json")):
        done = ebpf_recipe(*words[:1], str(good), *words[1:])
        assert done.returncode == (3 if words == ("runbook",) else 1)
        said = done.stdout + done.stderr
        assert "there is no recipe 'runqlen'" in said
        assert "there is no step prob" in said
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob("good-*"))


@pytest.mark.parametrize("content", [b"\0", b"runbook: [", b"\xff\xfe", b"runbook: 1\nrunbook: 1\n"])
def test_what_is_no_yaml_is_not_understood(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    done = ebpf_recipe("runbook", str(path))
    assert done.returncode == 6
    assert f"{path}:" in done.stderr


def test_what_is_shipped_is_good_and_no_recipe():
    assert set(runbook_paths()) >= {"tcp-loss", "slow-disk-check", "service-restart"}
    for path in runbook_paths().values():
        assert lint_runbook(path) == ()
    listed = ebpf_recipe("runbook", "--list").stdout
    assert all(f"{name} " in listed for name in runbook_paths())
    assert not {"tcp-loss"} & {line.split()[0] for line in ebpf_recipe("list").stdout.splitlines()}
    done = ebpf_recipe("lint", "-f", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_a_directory_may_hold_runbooks_alone_or_with_recipes(good, tmp_path):
    assert ebpf_recipe("lint", str(tmp_path)).returncode == 0
    good.write_text(GOOD.replace("run: runqlat", "run: runqlen"))
    own = tmp_path / "own" / "recipes" / "runbooks"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text(GOOD.replace("id: good", "id: mine"))
    done = ebpf_recipe("lint", str(tmp_path))
    assert "good.yaml:14:5: error: there is no recipe" in done.stdout
    assert "2 files: 1 error" in done.stderr
    assert "mine " in ebpf_recipe("runbook", "--recipes", str(tmp_path / "own"), "--list").stdout
    recipe = Path(__file__).parents[1] / "recipes" / "net" / "tcp-retrans.yaml"
    assert "2 files: 1 error" in ebpf_recipe("lint", str(recipe), str(good)).stderr


@pytest.mark.parametrize("named", ["tcp-los", "none.yaml", "./none"])
def test_what_is_not_there_is_named(named):
    done = ebpf_recipe("runbook", named)
    assert done.returncode == 3
    assert named in done.stderr

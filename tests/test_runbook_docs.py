"""The example of docs/runbooks.md is good, and its output is real."""

import os
import re
from pathlib import Path

from runner.workflow.runbook import model
from runner.workflow.runbook.load import lint_runbook
from tests.command import ebpf_recipe

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "runbooks.md").read_text()
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(SHOWN,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def settled(line):
    """Without what differs from run to run: times, the host, directories."""
    line = re.sub(r"· \S+ · \S+Z ·", "· HOST · TIME ·", line)
    line = re.sub(r"(passed|failed) +\d+\.\d", r"\1 0.0", line)
    return " ".join(re.sub(r"transcript: .*/", "transcript: …/run/", line).split())


def test_the_example_is_good_and_its_output_is_real(tmp_path, monkeypatch):
    path = tmp_path / "restart-if-lossy.yaml"
    path.write_text(EXAMPLE)
    assert lint_runbook(path) == ()
    monkeypatch.chdir(ROOT)
    command, *shown = SHOWN.splitlines()
    assert command.startswith("$ RESTART_TOKEN=t0k3n ebpf-recipe runbook restart-if-lossy.yaml --yes")
    done = ebpf_recipe(
        "runbook", str(path), "--yes", "--work", str(tmp_path / "run"), "-f", "table",
        env={**os.environ, "RESTART_TOKEN": "t0k3n", "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [settled(line) for line in done.stdout.splitlines()] == [settled(line) for line in shown]


def test_every_kind_and_output_is_explained():
    rows = dict(re.findall(r"^\| `(\w+):.*?` \|.*\| ([^|]*) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == set(model.KINDS)
    for name, outputs in (
        ("run", model.RUN_OUTPUTS),
        ("shell", model.SHELL_OUTPUTS),
        ("expect", model.EXPECT_OUTPUTS),
    ):
        assert all(f"`{each}`" in rows[name] for each in outputs)


def test_the_shown_commands_have_these_options():
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ebpf_recipe("runbook", "tcp-loss", "--help").stdout))
    listed = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ebpf_recipe("runbook", "--help").stdout))
    commands = "\n".join(re.findall(r"^ebpf-recipe runbook .*$", PAGE, re.MULTILINE))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", commands)) <= shown | listed

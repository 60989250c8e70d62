"""The README says what there is: each command, each exit code, each make target."""

import os
import re
from pathlib import Path

from runner.errors import ExitCode
from tests.command import RECORDINGS, ebpf_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_command_is_shown():
    commands = re.findall(
        r"^  (\w+)  +[A-Z]", ebpf_recipe("--help").stdout.split("Commands:")[1], re.MULTILINE
    )
    assert len(commands) >= 5
    for command in commands:
        assert f"ebpf-recipe {command}" in README, command


def test_every_exit_code_is_explained():
    rows = re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)
    assert {int(code) for row in rows for code in row.split(",")} == {int(code) for code in ExitCode}


def test_its_make_targets_are_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_shown_output_is_real():
    done = ebpf_recipe(
        "run",
        "tcp-retrans",
        "--comm",
        "nginx",
        "--replay",
        str(RECORDINGS[0]),
        "-f",
        "table",
        env={**os.environ, "COLUMNS": "120"},
    )
    measured = done.stdout.removeprefix("RECORDED, not measured now · ")
    real = [" ".join(line.split()) for line in measured.splitlines()]
    shown = README.split("-f table\n", 1)[1].split("```")[0].splitlines()
    table = [" ".join(line.split()) for line in shown if line.strip() and line != "…"]
    assert len(table) > 5
    for line in table:
        assert line in real, line

"""docs/authoring.md is true: every command on it, from an empty directory, prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import EBPF_RECIPE

pytestmark = pytest.mark.kernel

PAGE = (Path(__file__).parents[2] / "docs" / "authoring.md").read_text()
RECIPE, TEMPLATE = "my-recipes/recipes/app/read-sizes.yaml", "my-recipes/templates/app/read-sizes.bt.j2"


def blocks():
    return re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands(text):
    """Return each command with what is printed after it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def replaced(text, changes):
    """Return a recipe with the fields of another text in place of its own."""
    for change in re.findall(r"^\w+:.*\n(?:[ ].*\n)*", changes, re.MULTILINE):
        field = change.partition(":")[0]
        pattern = re.compile(rf"^{field}:.*\n(?:[ ].*\n)*", re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(lambda _, change=change: change, text)
        else:
            text = text.replace("description:", f"{change}description:", 1)
    return text


def agree(shown, printed):
    """Whether lines are those shown; `…` stands for any number of lines, or for the rest of one."""
    lines = [
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in shown.splitlines()
    ]
    return re.fullmatch("".join(lines), printed) is not None


def test_every_command_on_the_page(bpftrace, tmp_path):
    path = f"{Path(EBPF_RECIPE).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ, "PATH": path, "EBPF_RECIPE_BPFTRACE": str(bpftrace), "COLUMNS": "100", "NO_COLOR": "1",
    }  # fmt: skip
    followed = 0
    for language, text in blocks():
        if language == "yaml":
            recipe = tmp_path / RECIPE
            recipe.write_text(replaced(recipe.read_text(), text))
        elif language == "python":
            (tmp_path / "test_read_sizes.py").write_text(text)
        elif text.startswith("{% import"):
            assert (tmp_path / TEMPLATE).read_text() == text
        for command, shown in commands(text) if language == "console" else ():
            if command.startswith("export "):
                environment["EBPF_RECIPE_PATH"] = f"{tmp_path}/my-recipes"
                continue
            done = subprocess.run(
                ["sh", "-c", command.replace("python3 -m", f"{sys.executable} -m")], cwd=tmp_path, env=environment, text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert agree(shown, done.stdout), f"{command}\n{done.stdout}"
            followed += 1
    assert followed > 10

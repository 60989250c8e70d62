"""The examples of docs/ci.md: YAML that parses, shell that runs, commands that exist."""

import re
import shlex
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.command import ebpf_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "ci.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DOCUMENTS = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
SCRIPTS = [text for language, text in BLOCKS if language == "sh"]
SIDES, LOAD, RECORD, BASELINE = SCRIPTS


def steps(document):
    """What the jobs of a document run."""
    for job in document.get("jobs", document).values():
        yield from job.get("script", [])
        yield from (step["run"] for step in job.get("steps", ()) if "run" in step)


SHELL = [*SCRIPTS, *(step for document in DOCUMENTS for step in steps(document))]


def test_both_services_have_an_example():
    github, gitlab = DOCUMENTS
    # YAML 1.1 takes `on` for a boolean.
    assert {True, "jobs"} <= github.keys()
    (job,) = gitlab.values()
    assert job["artifacts"]["reports"]["junit"] == "comparison.xml"
    for document in DOCUMENTS:
        words = "\n".join(steps(document))
        assert all(f"sh ci/{script}.sh" in words for script in ("sides", "record"))
        assert "--junit comparison.xml" in words


@pytest.mark.parametrize("script", SHELL)
def test_shell_is_understood(script):
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def commands():
    """Each `ebpf-recipe` of the page as its words, comments and line ends put aside."""
    spans = [each for each in re.findall(r"`(ebpf-recipe [^`]+)`", PAGE) if "…" not in each]
    blocks = [text for language, text in BLOCKS if not language]
    text = "\n".join([*SHELL, *spans, *blocks]).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines() if "ebpf-recipe " in line]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_options_exist(words):
    name = words[1]
    if name == "compare" and not re.search("^  compare ", ebpf_recipe("--help").stdout, re.MULTILINE):
        pytest.skip("compare is not among the commands")
    own = words[: words.index("--")] if "--" in words else words
    asked = ("run", words[2]) if name == "run" else (name,)
    shown = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", ebpf_recipe(*asked, "--help").stdout))
    assert {word for word in own if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= shown


def test_gates_are_conditions():
    from runner.capture.condition import parse_condition

    gates = {words[place + 1] for words in commands() for place, word in enumerate(words) if word == "--gate"}
    assert gates
    for gate in gates:
        parse_condition(gate)


def fake(folder, name, script):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_runs_are_recorded_in_turns(tmp_path):
    fake(tmp_path / "bin", "ebpf-recipe", 'echo "$@" >> asked')
    done = run(RECORD, tmp_path)
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in asked] == ["before", "after", "after", "before"] * 3
    files = [re.search(r"-o (\S+)", line)[1] for line in asked]
    assert len(set(files)) == 12
    assert all((tmp_path / file).parent.is_dir() for file in files)
    for line, file in zip(asked, files, strict=True):
        assert file.startswith(f"captures/{line.rsplit(' ', 1)[1]}/")


def test_a_run_that_fails_ends_the_recording(tmp_path):
    fake(tmp_path / "bin", "ebpf-recipe", 'echo "$@" >> asked; exit 7')
    assert run(RECORD, tmp_path).returncode == 7
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def run(script, folder, *arguments, **env):
    path = f"{folder}/bin:/usr/bin:/bin"
    return subprocess.run(
        ["sh", "-s", *arguments], input=script, text=True, capture_output=True, check=False,
        cwd=folder, env={"PATH": path, "HOME": str(folder), **env},
    )  # fmt: skip


def test_both_sides_are_built_of_their_commits_and_old_captures_are_gone(tmp_path):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for version in ("base", "head"):
        (tmp_path / "version").write_text(version)
        (tmp_path / "Makefile").write_text("all:\n\tcp version built\n")
        git("add", "-A")
        git("commit", "-q", "-m", version)
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "old.json").write_text("{}")
    for _ in range(2):  # the second job on one machine
        done = run(SIDES, tmp_path, "HEAD^1")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "before" / "built").read_text() == "base"
        assert (tmp_path / "after" / "built").read_text() == "head"
    assert not (tmp_path / "captures").exists()


def test_the_load_says_what_it_did_and_leaves_no_server(tmp_path):
    fake(tmp_path / "after" / "build", "server", "echo $$ > starting; mv starting pid; exec sleep 60")
    fake(tmp_path / "bin", "curl", "until [ -e pid ]; do sleep 0.01; done")
    fake(tmp_path / "bin", "vegeta", """case $1 in report) echo '{"requests": 12000}';; esac""")
    fake(tmp_path / "bin", "jq", "sed 's/.*: \\(.*\\)}/\\1 requests/'")
    work = tmp_path / "work"
    done = run(LOAD, tmp_path, "after", EBPF_RECIPE_WORK=str(work))
    assert done.returncode == 0, done.stderr
    assert work.read_text() == "12000 requests\n"
    pid = (tmp_path / "pid").read_text().strip()
    until = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_alive(pid)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_exit_codes_are_those_of_the_command():
    from runner.errors import ExitCode

    rows = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert rows
    assert set(rows) <= {int(code) for code in ExitCode}

"""The command line without a kernel: help, lists, bad input, completion; each with its exit code."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from jsonschema import Draft202012Validator

from tests.command import AS_NOBODY, EBPF_RECIPE, FAKE_BPFTRACE, RECORDINGS, ebpf_recipe


def test_help_names_the_commands():
    text = ebpf_recipe("--help").stdout
    assert all(f"  {name} " in text for name in ("list", "show", "run", "report", "schema"))


def test_each_recipe_has_help_of_its_own():
    done = ebpf_recipe("run", "tcp-retrans", "--help")
    assert done.returncode == 0
    for words in (
        "--port PORT",
        "1 to 65535",
        "may be repeated",
        "--remote ADDRESS",
        "--comm NAME",
        "default:",
    ):
        assert words in done.stdout
    assert "--thread" not in done.stdout


def test_the_list():
    assert "tcp-retrans" in ebpf_recipe("list").stdout
    rows = json.loads(ebpf_recipe("list", "--json", "--symptom", "timeouts", "--layer", "net").stdout)
    (row,) = [row for row in rows if row["id"] == "tcp-retrans"]
    assert set(row) == {"id", "title", "layer", "stage", "symptoms", "status", "overhead", "cost"}
    assert "tcp-retrans" not in ebpf_recipe("list", "--layer", "cpu").stdout


def test_show_says_what_matters():
    text = ebpf_recipe("show", "tcp-retrans").stdout
    for words in ("Caveats", "--thread is refused", "kprobe", "of packets by pid, comm", "Cost"):
        assert words in text
    assert json.loads(ebpf_recipe("show", "tcp-retrans", "--json").stdout)["id"] == "tcp-retrans"
    assert "has no windows" in ebpf_recipe("show", "offcpu").stdout
    assert "has no windows" not in text


def test_the_schema_is_one():
    Draft202012Validator.check_schema(json.loads(ebpf_recipe("schema", "capture").stdout))


RUN = ("run", "tcp-retrans")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "tcp-retrnas"), 3, "did you mean tcp-retrans"),
        (("run", "\x1b[31mred"), 3, "there is no recipe"),
        (("show", "nothing-like-it"), 3, "`ebpf-recipe list`"),
        (("run", "--nothing"), 2, "--nothing"),
        (("nothing",), 2, "No such command"),
        (("list", "--symptom", "tail-latncy"), 3, "did you mean tail-latency?"),
        ((*RUN, "--nothing", "x"), 2, "No such option"),
        ((*RUN, "443"), 2, "unexpected extra argument"),
        ((*RUN, "--port"), 2, "requires an argument"),
        ((*RUN, "--port", "70000"), 3, "outside 1 to 65535"),
        ((*RUN, "--port", "http"), 3, "not a whole number"),
        ((*RUN, "--remote", "example.org"), 3, "not an IPv4 or IPv6 address"),
        ((*RUN, "--comm", "x" * 300), 3, "15 bytes of a name, this has 300"),
        ((*RUN, "--comm", ""), 3, "at least one byte"),
        ((*RUN, "--thread", "worker"), 3, "cannot honour --thread: a retransmit runs in no thread"),
        ((*RUN, "--pid", "0"), 3, "outside 1 to 4194304"),
        ((*RUN, "--duration", "0"), 3, "not a duration above 0"),
        ((*RUN, "--duration", "-3s"), 3, "not a duration above 0"),
        ((*RUN, "--duration", "10 parsecs"), 3, "10s, 500ms, 2m or 1h"),
        ((*RUN, "--duration", "9999h"), 3, "up to 7 days"),
        ((*RUN, "-f", "xml"), 2, "xml"),
        ((*RUN, "--max-map-keys", "0"), 3, "outside 1 to 10000000"),
        ((*RUN, "-d", "0s", "--", "true"), 3, "not a duration above 0"),
        ((*RUN, "--"), 2, "no COMMAND"),
        ((*RUN, "--", "no-such-command-at-all"), 7, "no command 'no-such-command-at-all'"),
        ((*RUN, "-o", "/no/such/folder/x.json"), 8, "cannot be written: No such file"),
        ((*RUN, "-o", "/"), 8, "cannot be written: Is a directory"),
        ((*RUN, "--bpftrace", "/no/bpftrace"), 4, "there is no bpftrace at '/no/bpftrace'"),
        ((*RUN, "--bpftrace", "/etc/passwd"), 4, "is not an executable file"),
        ((*RUN, "--bpftrace", "/etc"), 4, "is not an executable file"),
        ((*RUN, "--bpftrace", "/bin/true"), 4, "does not answer as bpftrace does"),
    ],
)
def test_bad_input(arguments, code, words):
    done = ebpf_recipe(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "tcp-retrans"), ("schema", "capture"), ("--help",), RUN]
)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_stdout_that_takes_nothing(arguments, redirection, tmp_path):
    if arguments == RUN:
        recorded = next(path for path in RECORDINGS if "0.17" in path.name)
        arguments = (*RUN, "--comm", "nginx", "--replay", str(recorded))
    command = f"{shlex.join([EBPF_RECIPE, *arguments])} {redirection}"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 8, done.stderr
    assert "stdout" in done.stderr
    assert "Traceback" not in done.stderr
    for kept in re.findall(r"kept in (\S+)", done.stderr):
        Path(kept).unlink()


def test_closed_descriptors_do_not_get_into_the_result():
    recorded = next(path for path in RECORDINGS if "0.17" in path.name)
    arguments = [EBPF_RECIPE, *RUN, "--comm", "nginx", "--replay", str(recorded)]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(arguments)} <&- 2>&-"], stdout=subprocess.PIPE, check=False
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["recipe"]["id"] == "tcp-retrans"


@pytest.mark.parametrize("columns", ["0", "1", "abc"])
def test_odd_widths_are_no_widths(columns):
    recorded = next(path for path in RECORDINGS if "0.17" in path.name)
    done = ebpf_recipe(
        *RUN, "--comm", "nginx", "--replay", str(recorded), "-f", "table", env={"COLUMNS": columns}
    )
    assert "nginx" in done.stdout


def test_no_bpftrace_at_all(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    done = ebpf_recipe(*RUN)
    assert done.returncode == 4
    assert "bpftrace is not installed" in done.stderr
    assert "apt-get install bpftrace" in done.stderr


def test_a_bpftrace_that_is_too_old():
    done = ebpf_recipe(
        *RUN, "--bpftrace", FAKE_BPFTRACE, env={**os.environ, "FAKE_VERSION": "bpftrace v0.11.2"}
    )
    assert done.returncode == 4
    assert "0.17 is the oldest supported" in done.stderr


@pytest.mark.parametrize("name", ['q"uote', "new\nline", "{brace}", "{{ 1 }}", "a,b", "*/exit()/*", "\\"])
def test_any_name_is_harmless_in_a_program(name):
    done = ebpf_recipe(*RUN, "--comm", name, "--replay", "/dev/null")
    assert done.returncode == 6, done.stderr


def test_a_file_that_may_not_be_written_is_known_before(tmp_path):
    target = tmp_path / "kept.json"
    target.write_text("mine")
    target.chmod(0o400)
    prefix = AS_NOBODY if os.geteuid() == 0 else ()
    command = [*prefix, EBPF_RECIPE, *RUN, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 8, done.stderr
    assert "Permission denied" in done.stderr
    assert target.read_text() == "mine"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    setting = "PS1='ready> '; TERM=dumb; "
    setting += "autoload -Uz compinit; compinit -D; " if shell == "zsh" else ""
    arguments = ["-f", "-i"] if shell == "zsh" else ["--norc", "--noprofile", "-i"]
    environment = {"PATH": f"{Path(EBPF_RECIPE).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"}
    terminal = pexpect.spawn(
        shell, arguments, env=environment, encoding="utf-8", timeout=20, dimensions=(24, 200)
    )
    try:
        terminal.sendline(f'{setting}eval "$(ebpf-recipe --show-completion {shell})"; echo set"-up"')
        terminal.expect("set-up")
        terminal.expect("ready> ")
        for typed, completed in (
            ("ebpf-recipe sche", "schema"),
            ("ebpf-recipe run tcp-ret", "tcp-retrans"),
            ("ebpf-recipe run tcp-retrans --rem", "--remote"),
            ("ebpf-recipe show tcp-ret", "tcp-retrans"),
        ):
            terminal.send(f"{typed}\t")
            terminal.expect_exact(completed.removeprefix(typed.split()[-1]))
            # A key, and no signal: that may meet the shell while it still completes, and be lost with what
            # is typed after it.
            terminal.sendcontrol("u")
    finally:
        terminal.close(force=True)


def completed(words, cache, shell="bash", **more):
    environment = {
        "_EBPF_RECIPE_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words, "XDG_CACHE_HOME": str(cache), **more,
    }  # fmt: skip
    done = ebpf_recipe(env={**os.environ, **environment})
    assert done.stderr == ""
    return done.returncode, done.stdout.split("\n")


def test_a_completion_is_answered_again_from_the_cache(tmp_path):
    for words, expected in (
        ("ebpf-recipe r", {"run", "report"}), ("ebpf-recipe run tcp", {"tcp-retrans"}),
        ("ebpf-recipe run tcp-retrans --po", {"--port"}), ("ebpf-recipe list --", {"--symptom", "--layer", "--json"}),
        ("ebpf-recipe run tcp-retrans -f ", {"auto", "table", "json"}), ("ebpf-recipe run tcp-retrans --comm 'a b", set()),
    ):  # fmt: skip
        first = completed(words, tmp_path)
        assert first == completed(words, tmp_path)
        assert expected <= set(first[1]), words
    kept = json.loads((tmp_path / "ebpf-recipe" / "completion.json").read_text())
    assert '["run", ""]' in kept["answers"]
    kept["answers"]['["run", ""]'] = [["from-the-cache", ""]]
    (tmp_path / "ebpf-recipe" / "completion.json").write_text(json.dumps(kept))
    assert completed("ebpf-recipe run f", tmp_path)[1][0] == "from-the-cache"
    (tmp_path / "ebpf-recipe" / "completion.json").write_text(json.dumps({**kept, "stamp": "older"}))
    assert completed("ebpf-recipe run tcp-r", tmp_path)[1][0] == "tcp-retrans"
    (tmp_path / "ebpf-recipe" / "completion.json").write_text("{")
    assert completed("ebpf-recipe run tcp-r", tmp_path)[1][0] == "tcp-retrans"
    assert completed("ebpf-recipe run tcp-r", "/proc/nowhere")[1][0] == "tcp-retrans"


def test_fish_asks_whether_there_is_anything(tmp_path):
    for words, code in (("ebpf-recipe run t", 0), ("ebpf-recipe run zzz", 1)):
        assert completed(words, tmp_path, "fish", _TYPER_COMPLETE_FISH_ACTION="is-args")[0] == code
    _, lines = completed("ebpf-recipe run tcp-r", tmp_path, "fish", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert lines[0].startswith("tcp-retrans\t")


def test_a_table_on_stdout_beside_json_in_a_file(tmp_path):
    target = tmp_path / "kept.json"
    done = ebpf_recipe(
        *RUN, "--comm", "nginx", "--replay", str(RECORDINGS[0]), "-f", "table", "-o", str(target)
    )
    assert done.returncode == 0, done.stderr
    assert "retransmits: 33 packets" in done.stdout
    assert json.loads(target.read_text())["schema"] == "ebpf-recipe/capture/v1"
    # A pipe of captures between hosts. The environment that Python has: readline puts COLUMNS into another one.
    shown = subprocess.run(
        [EBPF_RECIPE, "report", "-"],
        input=target.read_bytes(),
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    assert shown.stdout.decode() == done.stdout


def test_nothing_is_cut_in_two_where_nobody_looks_at_a_width(tmp_path):
    capture = json.loads(ebpf_recipe(*RUN, "--comm", "nginx", "--replay", str(RECORDINGS[0])).stdout)
    name = "a_function_with_a_name_" + "x" * 200
    row = {"key": {"kernel": [{"symbol": name}]}, "value": 1}
    keys = [{"name": "kernel", "type": "kernel-stack"}]
    capture["tables"] = [
        {"name": "s", "map": "@s", "kind": "count", "unit": "samples", "keys": keys, "rows": [row]}
    ]
    path = tmp_path / "capture.json"
    path.write_text(json.dumps(capture))
    without = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    assert name in ebpf_recipe("report", str(path), env=without).stdout
    assert name not in ebpf_recipe("report", str(path), env={**without, "COLUMNS": "100"}).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "/dev/zero"),
        ("render", "tcp-retrans", "--host", "/dev/zero"),
        ("run", "tcp-retrans", "--replay", "/dev/zero"),
    ],
)
def test_a_file_without_end_is_refused(arguments):
    done = ebpf_recipe(*arguments)
    assert done.returncode == 6, done.stderr
    assert "more than 1024 MiB" in done.stderr


@pytest.mark.parametrize("command", ["run", "list", "compare"])
def test_a_command_loads_none_of_the_others(command):
    """A start takes as long as what it loads: one process that is not forked from this one."""
    script = f"""
import sys
from runner.cli.main import main
main([{command!r}, "--help"])
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    own = {f"runner.cli.{name}" for name in ("run", "list", "compare", "investigate", "experiment", "doctor")}
    assert loaded & own == {f"runner.cli.{command}"}


def test_a_run_loads_nothing_of_a_terminal_that_is_not_there():
    script = """
import sys
from runner.cli.main import main
main(["run", "tcp-retrans", "--dry-run"])
import runner.run, runner.trace
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "runner.plan" in loaded
    for name in ("rich", "runner.outcome", "runner.windows", "runner.host.target_cgroups", "runner.host.elf"):
        assert name not in loaded, name


def test_a_command_that_was_meant():
    done = ebpf_recipe("lst")
    assert done.returncode == 2
    assert "Did you mean 'list'?" in done.stderr

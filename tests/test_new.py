"""What `new` writes lints clean and renders; ids that would hide or overwrite something are refused."""

import json
import os

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.errors import ValueRefused
from runner.recipe.one_liner import parse_one_liner
from tests.command import ebpf_recipe

ONE_LINERS = {
    "calls": None,
    "sizes": "tracepoint:syscalls:sys_exit_read /args->ret > 0/ { @bytes[comm] = hist(args->ret); }",
    "stacks": "t:sched:sched_switch { @[kstack, comm, args.prev_prio] = count() }",
    "lines": "tracepoint:syscalls:sys_enter_read { @ = lhist(args->count, 0, 1000, 10); }",
    "sums": "tracepoint:syscalls:sys_enter_read,tracepoint:syscalls:sys_enter_write { @bytes[pid] = sum(args->count); }",
    "averages": "tracepoint:syscalls:sys_enter_read { @size[pid, args->fd] = avg(args->count); }",
    "functions": "kprobe:vfs_read /arg2 > 4096/ { @[tid, cpu] = count(); }",
}


@pytest.mark.parametrize("name", ONE_LINERS)
def test_what_it_writes_lints_clean_and_renders(tmp_path, name):
    options = () if ONE_LINERS[name] is None else ("--from", ONE_LINERS[name])
    made = ebpf_recipe("new", name, "--directory", str(tmp_path), *options)
    assert made.returncode == 0, made.stderr
    recipe, template = made.stdout.splitlines()
    assert os.path.relpath(template, tmp_path / "templates") == os.path.relpath(
        recipe.replace(".yaml", ".bt.j2"), tmp_path / "recipes"
    )
    linted = ebpf_recipe("lint", str(tmp_path))
    assert (linted.returncode, linted.stdout) == (0, ""), linted.stdout
    shown = ebpf_recipe("--recipes", str(tmp_path), "show", name)
    assert shown.stdout.startswith(f"{name}: ")


def test_editors_find_the_schema(tmp_path):
    recipe = ebpf_recipe("new", "mine", "--directory", str(tmp_path)).stdout.splitlines()[0]
    text = (tmp_path / recipe).read_text()
    schema = (tmp_path / recipe).parent / text.split("$schema=")[1].split("\n")[0]
    document = json.loads(json.dumps(yaml.safe_load(text), default=str))
    validator = Draft202012Validator(json.loads(schema.read_text()))
    validator.validate(document)
    assert not validator.is_valid({**document, "colour": "blue"})


def test_the_next_commands_are_said_on_stderr(tmp_path):
    made = ebpf_recipe("new", "mine", "--directory", str(tmp_path))
    for command in (f"lint {tmp_path}", "run mine --dry-run", "run mine -d 5s -f table"):
        assert command in made.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../x",), "'../x' is no id"),
        (("My Recipe",), "ebpf-recipe new my-recipe"),
        (("a" * 41,), "40 at most"),
        (("-x",), "No such option"),
        (("tcp-retrans",), "there is a recipe tcp-retrans already"),
        (("mine", "--layer", "network"), "did you mean net?"),
        (("mine", "--from", "kprobe:vfs_* { @ = count(); }"), "kprobe:vfs_* cannot be translated"),
    ],
)
def test_what_is_refused(tmp_path, arguments, message):
    done = ebpf_recipe("new", *arguments, "--directory", str(tmp_path))
    assert done.returncode == (2 if "option" in message else 3)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    assert ebpf_recipe("new", "mine", "--directory", str(tmp_path)).returncode == 0
    again = ebpf_recipe("new", "mine", "--directory", str(tmp_path))
    assert again.returncode == 3
    assert "there is a recipe mine already" in again.stderr
    (tmp_path / "recipes/app/mine.yaml").unlink()
    template = tmp_path / "templates/app/mine.bt.j2"
    template.write_text("kept")
    again = ebpf_recipe("new", "mine", "--directory", str(tmp_path))
    assert again.returncode == 3
    assert f"{template} would be overwritten" in again.stderr
    assert template.read_text() == "kept"
    assert not (tmp_path / "recipes/app/mine.yaml").exists()


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    done = ebpf_recipe("new", "mine", "--directory", str(tmp_path / "file"))
    assert done.returncode == 8
    assert "Not a directory" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "it is not one probe with one map"),
        ("BEGIN { @ = count(); }", "BEGIN cannot be translated"),
        ("kprobe:a { @x = count(); @y = count(); }", "it is not one probe with one map"),
        ("kprobe:a { @x[str(arg0)] = count(); }", "a key is a text"),
        ("kprobe:a { @x[probe] = count(); }", "a key is a text"),
        ("kprobe:a { @x = max(arg0); }", "max() cannot be translated"),
        ("kprobe:a { @x = count(arg0); }", "count() has 1 arguments"),
        ("kprobe:a { @x = sum(); }", "sum() has 0 arguments"),
        ("kprobe:a { @x = lhist(arg0, 1, 2); }", "lhist() takes a value, a minimum, a maximum and a step"),
        ("kprobe:a { @x = lhist(arg0, 0, 10, 3); }", "whole steps"),
        ("kprobe:a /1 {{ x }}/ { @x = count(); }", "it is not one probe with one map"),
    ],
)
def test_a_one_liner_that_cannot_be_taken_apart(text, message):
    with pytest.raises(ValueRefused) as refused:
        parse_one_liner(text)
    assert message in refused.value.message
    assert refused.value.hint.startswith("what can be: ")


def test_a_one_liner_taken_apart():
    found = parse_one_liner(
        "k:vfs_read, kr:vfs_read /a / b > 1/ { @Big[pid,  comm, (args.x >> 3), ustack(3)] = hist(args.y) }"
    )
    assert found.probes == ("kprobe:vfs_read", "kretprobe:vfs_read")
    assert found.condition == "a / b > 1"
    assert found.map == "big"
    assert [(key.name, key.type, key.expression) for key in found.keys] == [
        ("pid", "integer", "pid"),
        ("comm", "comm", ""),
        ("x", "integer", "(args->x >> 3)"),
        ("user_stack", "user-stack", ""),
    ]
    assert (found.kind, found.value) == ("histogram", "args->y")

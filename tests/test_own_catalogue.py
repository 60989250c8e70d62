"""Recipes of one's own stand beside ours everywhere, and never hide one."""

import json
import os
import shutil
from pathlib import Path

import pytest

from runner.errors import ValueRefused
from runner.recipe.catalogue import find_recipe, recipe_ids
from tests.command import ebpf_recipe
from tests.test_lint import BOMB, RECIPE, TEMPLATE, VALID, change, facts

EXACT = Path(__file__).parent / "catalogue"


@pytest.fixture
def catalogue(tmp_path):
    return Path(shutil.copytree(VALID, tmp_path / "catalogue"))


def environment(*directories):
    return {**os.environ, "EBPF_RECIPE_PATH": ":".join(map(str, directories))}


def test_list_has_them_beside_ours():
    for done in (
        ebpf_recipe("--recipes", str(VALID), "list"),
        ebpf_recipe("list", "--recipes", str(VALID)),
        ebpf_recipe("list", env=environment(VALID)),
        ebpf_recipe("list", env=environment("", VALID, VALID, "")),
    ):
        assert {line.split()[0] for line in done.stdout.splitlines()} == {"seeks", *recipe_ids()}, done.stderr


def test_several_directories():
    done = ebpf_recipe("--recipes", str(VALID), "list", "--json", env=environment(EXACT))
    assert [each["id"] for each in json.loads(done.stdout)] == sorted(["exact", "seeks", *recipe_ids()])


@pytest.mark.parametrize("command", ["run", "render"])
def test_they_are_subcommands_with_their_own_parameters(command):
    for words in (
        ("--recipes", str(VALID), command, "seeks", "--help"),
        (command, "--recipes", str(VALID), "seeks", "--help"),
        (command, "seeks", "--help", f"--recipes={VALID}"),
        (command, "seeks", "--recipes", str(VALID), "--help"),
    ):
        done = ebpf_recipe(*words)
        assert done.returncode == 0, done.stderr
        assert "--to-fd PORT" in done.stdout
    assert "  seeks " in ebpf_recipe("--recipes", str(VALID), command, "--help").stdout


def test_what_stands_behind_two_dashes_is_another_commands():
    done = ebpf_recipe("run", "seeks", "--", "x", "--recipes", str(VALID))
    assert done.returncode == 3
    assert "there is no recipe 'seeks'" in done.stderr


def test_show():
    assert ebpf_recipe("show", "seeks", env=environment(VALID)).stdout.startswith("seeks: Seeks by process")


def test_their_includes_are_their_own_and_then_ours(catalogue):
    host = str(facts(catalogue))
    text = ebpf_recipe("--recipes", str(catalogue), "render", "seeks", "--host", host).stdout
    assert "$leader_words = (uint64*)(curtask->group_leader->comm);" in text
    own = catalogue / "templates/include/words.bt.j2"
    own.write_text("{% macro read_leader(variable) -%}\n$leader_0 = 1; $leader_1 = 2;\n{%- endmacro %}\n")
    text = ebpf_recipe("--recipes", str(catalogue), "render", "seeks", "--host", host).stdout
    assert "$leader_0 = 1; $leader_1 = 2;" in text
    assert "group_leader" not in text


def test_completion_knows_them_and_notices_new_ones(catalogue):
    def complete(line):
        asked = {
            "_EBPF_RECIPE_COMPLETE": "complete_bash", "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }  # fmt: skip
        return ebpf_recipe(env={**os.environ, **asked}).stdout.split()

    for line in (
        f"ebpf-recipe --recipes {catalogue} run see",
        f"ebpf-recipe run --recipes {catalogue} see",
        f"ebpf-recipe show --recipes {catalogue} see",
    ):
        assert complete(line) == ["seeks"], line
    assert complete(f"ebpf-recipe run seeks --recipes {catalogue} --to") == ["--to-fd"]
    assert complete("ebpf-recipe run see") == []
    sought = catalogue / "recipes/app/sought.yaml"
    sought.write_text((catalogue / RECIPE).read_text())
    shutil.copy(catalogue / TEMPLATE, catalogue / "templates/app/sought.bt.j2")
    # One that has a mistake is no reason not to complete the others.
    assert complete(f"ebpf-recipe --recipes {catalogue} run see") == ["seeks"]
    change(catalogue, "recipes/app/sought.yaml", "id: seeks", "id: sought")
    assert complete(f"ebpf-recipe --recipes {catalogue} run see") == ["seeks"]
    assert complete(f"ebpf-recipe --recipes {catalogue} run sou") == ["sought"]


def test_an_id_of_ours_hides_nothing_and_is_refused(catalogue):
    (catalogue / RECIPE).rename(catalogue / "recipes/app/tcp-retrans.yaml")
    for words in (
        ("list",),
        ("show", "tcp-retrans"),
        ("run", "tcp-retrans", "--dry-run"),
        ("render", "tcp-retrans"),
    ):
        done = ebpf_recipe("--recipes", str(catalogue), *words)
        assert done.returncode == 3
        assert "the recipe tcp-retrans stands twice: " in done.stderr
        assert "recipes/net/tcp-retrans.yaml and " in done.stderr
        assert f"{catalogue}/recipes/app/tcp-retrans.yaml" in done.stderr


def test_a_directory_twice_is_one(catalogue):
    link = catalogue.with_name("link")
    link.symlink_to(catalogue)
    done = ebpf_recipe("--recipes", str(catalogue), "--recipes", str(link), "show", "seeks")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("directory", "message"),
    [("none", "none: there is no such directory"), (".", "it has no folder recipes")],
)
def test_a_directory_without_recipes_is_refused(tmp_path, directory, message):
    for done in (
        ebpf_recipe("--recipes", str(tmp_path / directory), "list"),
        ebpf_recipe("list", env=environment(tmp_path / directory)),
    ):
        assert done.returncode == 3
        assert message in done.stderr
        assert "DIR/recipes/<layer>/ID.yaml" in done.stderr
    assert ebpf_recipe("schema", "recipe", env=environment(tmp_path / directory)).returncode == 0


@pytest.mark.parametrize("recipe_id", ["../net/tcp-retrans", "net/tcp-retrans", "..", "/etc/passwd", ""])
def test_an_id_is_no_path(recipe_id):
    with pytest.raises(ValueRefused, match="there is no recipe"):
        find_recipe(recipe_id)
    assert ebpf_recipe("show", recipe_id).returncode == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (RECIPE, "schema: 1\n", f"schema: 1\n{BOMB}", "seeks.yaml:1:1: with its aliases followed it has"),
        (RECIPE, "layer: app", f"layer: {'[' * 200_000}", "nested more than 40 levels deep"),
        (RECIPE, "", "\0" * 300_000, "it is larger than 256 KiB"),
        (RECIPE, "layer: app", "layer: app\nid: x\nlayer: fs", "seeks.yaml:6:1: the key 'id' stands twice"),
        (TEMPLATE, "include/own.bt.j2", "app/seeks.bt.j2", "circle: app/seeks.bt.j2 → app/seeks.bt.j2"),
        (
            TEMPLATE,
            "include/own.bt.j2",
            "../../secret.bt.j2",
            "seeks.bt.j2:2:12: '../../secret.bt.j2' cannot",
        ),
        (TEMPLATE, "{% import", "{{ '{{' * 3 }}{{ x.y.z }}{% import", "x is not defined"),
    ],
)
def test_bad_input_is_refused_with_its_place_before_anything_starts(catalogue, file, old, new, message):
    change(catalogue, file, old, new)
    done = ebpf_recipe(
        "--recipes", str(catalogue), "render", "seeks", "--host", str(facts(catalogue)),
        env={**os.environ, "PATH": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert message in done.stderr
    assert done.stdout == ""


def test_a_link_that_leads_outside_is_refused(catalogue, tmp_path):
    host = str(facts(catalogue))
    secret = tmp_path / "secret"
    shutil.move(catalogue / TEMPLATE, secret)
    (catalogue / TEMPLATE).symlink_to(secret)
    done = ebpf_recipe("--recipes", str(catalogue), "render", "seeks", "--host", host)
    assert done.returncode == 3
    assert f"{catalogue / TEMPLATE}:1:1: it is a link that leads out of its catalogue" in done.stderr

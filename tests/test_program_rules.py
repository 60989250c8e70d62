"""What no template may do by hand is refused before anything runs, all of it at once, with its place."""

import dataclasses

import pytest

from runner.errors import ValueRefused
from runner.recipe.load import LoadedRecipe
from runner.recipe.program_rules import broken_rules
from runner.recipe.render import render_program
from tests.laboratory.exact import exact_recipe
from tests.test_catalogue import NOWHERE


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("\n@own = min($x);", 2, "min() is not exact on every bpftrace"),
        ("@own[1]=max ($x);", 1, "max() is not exact"),
        ("@own = stats($x);", 1, "stats() is not exact"),
        ("@own = hist($x, 2);", 1, "hist() is not exact"),
        ("@own = lhist($x, 0, 1, 1);", 1, "lhist() is not exact"),
        ("@own = tseries($x, 1s, 3);", 1, "tseries() is not exact"),
        ("@out[1] = count();", 1, "@out is an output"),
        ("if (@out > 3) {}", 1, "@out is an output"),
        ("print(@own);", 1, "print() of a map is the runner's"),
        ("clear( @own );", 1, "clear() of a map is the runner's"),
        ("BEGIN { @own = 1; }", 1, "BEGIN is the runner's own"),
        ("\n\n  END { }", 3, "END is the runner's own"),
        ("/* @out\n */ @out = count();", 2, "@out is an output"),
    ],
)
def test_what_is_refused(source, line, message):
    ((place, text),) = broken_rules(source, ["@out"])
    assert place == line
    assert message in text


@pytest.mark.parametrize(
    "source",
    [
        "// @out = max(3)",
        "{# BEGIN @out #}",
        "@output = count();",
        "@own = count();",
        "$x = $max; minimum($y);",
        "delete(@own[1]);",
    ],
)
def test_what_is_not(source):
    assert list(broken_rules(source, ["@out"])) == []


def test_all_mistakes_of_a_template_come_at_once(tmp_path):
    loaded = exact_recipe()
    path = tmp_path / "templates" / "app" / "exact.bt.j2"
    path.parent.mkdir(parents=True)
    path.write_text("interval:s:1 {\n  @seeks[1] = count();\n  @mine = min(3);\n}\n")
    facts = dataclasses.replace(NOWHERE, probes={"tracepoint:syscalls:sys_enter_lseek": ()})
    with pytest.raises(ValueRefused) as refused:
        render_program(LoadedRecipe(loaded.recipe, loaded.path, path), {}, facts)
    lines = refused.value.message.splitlines()
    assert [line.split("exact.bt.j2:")[1][0] for line in lines] == ["2", "3", "3"]

"""A template cannot put a value into a program but through its typed form."""

import pytest

from runner.errors import ValueRefused
from runner.recipe import render
from runner.recipe.catalogue import find_recipe
from runner.recipe.load import LoadedRecipe
from runner.recipe.parameters import PARAMETER_TYPES, parse_values
from tests.test_catalogue import hosts

VALUES = {"port": parse_values("port", PARAMETER_TYPES["port"], ["443"])}


def rendered(tmp_path, monkeypatch, template):
    loaded = find_recipe("tcp-retrans")
    folder = tmp_path / "templates" / "net"
    folder.mkdir(parents=True)
    path = folder / "tcp-retrans.bt.j2"
    path.write_text(template)
    monkeypatch.setattr(render, "data_dir", lambda name: tmp_path / name)
    return render.render_program(
        LoadedRecipe(loaded.recipe, loaded.path, path), VALUES, next(hosts(loaded))
    ).text


def test_a_condition(tmp_path, monkeypatch):
    text = rendered(tmp_path, monkeypatch, '/{{ params.port.matches("a", "b") }}/ {{ "x"|code }}')
    assert text == "/((a == 443 || b == 443))/ x"


@pytest.mark.parametrize(
    "template",
    [
        "{{ params.port }}",
        "{{ params.port|code }}",
        '{{ (params.port ~ "")|code }}',
        '{{ "%s"|format(params.port)|code }}',
        "{{ params.port|string|code }}",
        "{{ params.prot }}",
        '{{ has("unknown-feature") }}',
        "{{ params.port._values }}",
        "{{ ''.__class__.__mro__ }}",
        "{% if %}",
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, template):
    with pytest.raises(ValueRefused, match=r"tcp-retrans\.bt\.j2"):
        rendered(tmp_path, monkeypatch, template)

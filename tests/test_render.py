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


KEYS = 'pid="1", comm=["1", "2"], socket="3", local_port="4", remote_address="$a", remote_port="5"'
RECORDED = "".join(
    f'\n{{{{ record("{table}", {KEYS}) }}}}' for table in ("retransmits", "synack_retransmits")
)


def test_a_condition(tmp_path, monkeypatch):
    text = rendered(tmp_path, monkeypatch, '/{{ params.port.matches("a", "b") }}/ {{ "x"|code }}' + RECORDED)
    assert text.startswith("/((a == 443 || b == 443))/ x\n@retransmits[")


def test_a_word_is_the_integer_that_carries_it(tmp_path, monkeypatch):
    text = rendered(tmp_path, monkeypatch, '{{ word("read") }} {{ word("discard") }}' + RECORDED)
    first, second = text.split()[:2]
    assert first == f"(uint64){int.from_bytes(b'read', 'little')}"
    assert second == f"(uint64){int.from_bytes(b'discard', 'little')}"


@pytest.mark.parametrize("given", ['""', '"12345678"', '"\u00e9"', "5", "params.port"])
def test_what_is_no_word(tmp_path, monkeypatch, given):
    with pytest.raises(ValueRefused, match="a word is an ASCII text of up to 7 letters"):
        rendered(tmp_path, monkeypatch, f"{{{{ word({given}) }}}}" + RECORDED)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n\n{{ record('retransmits') }}", "tcp-retrans.bt.j2:3:1: record('retransmits'): it has no comm"),
        ("\n{{ params.prot }}", "tcp-retrans.bt.j2:2:4: params.prot: the recipe declares no such parameter: did you mean port?"),
        ("\n{{ params.port }}", "through its matches"),
        (RECORDED.splitlines()[1], "@synack_retransmits is an output that nothing is recorded into"),
        (RECORDED + "\n@mine = count();", "@mine is no output and no scratch map"),
        ("{{ record('retransmits', pid=pid, comm=1, socket=1, local_port=1, remote_address=1, remote_port=1) }}",
         "pid is not defined: what belongs into the program stands in quotes"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path, monkeypatch, template, message):
    with pytest.raises(ValueRefused) as refused:
        rendered(tmp_path, monkeypatch, template)
    assert message in refused.value.message


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

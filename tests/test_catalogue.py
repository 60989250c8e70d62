"""What holds for every recipe of the catalogue, without a kernel."""

import dataclasses
import itertools
import re

import pytest

from runner.bpftrace.dialect import Dialect
from runner.bpftrace.evidence import Evidence
from runner.bpftrace.frame import END_MAP
from runner.bpftrace.messages import read_messages
from runner.bpftrace.tables import Context, decode_tables
from runner.host.facts import HostFacts
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.recipe.given import parse_given
from runner.recipe.parameters import TARGET_FILTERS, parse_values
from runner.recipe.render import render_program

EXAMPLES = {
    "integer": "7",
    "duration": "7ms",
    "port": "443",
    "network": "10.0.0.0/9",
    "pid": "1",
    "comm": "nginx*",
    "thread": "worker",
}
NOWHERE = HostFacts(
    "h",
    "6.1",
    "x86_64",
    2,
    "b",
    "little",
    btf=True,
    probes={},
    bpftrace="0.17.0",
    bpftrace_features=frozenset(),
)

recipes = pytest.mark.parametrize("loaded", [find_recipe(name) for name in recipe_ids()], ids=recipe_ids())


def hosts(loaded):
    """Every host that the recipe's guards can tell apart and that it can run on."""
    recipe = loaded.recipe
    optional = [*recipe.features.values(), *(g for v in recipe.variants for g in v.when)]
    for choice in itertools.product([False, True], repeat=len(optional)):
        probes = dict.fromkeys(recipe.requires.probes, ())
        features = set()
        for guard, is_there in zip(optional, choice, strict=True):
            if guard.bpftrace is not None:
                features |= {guard.bpftrace} if is_there else set()
            elif guard.field is not None:
                probes[guard.probe] = (guard.field,) if is_there else ()
            else:
                probes.setdefault(guard.probe, () if is_there else None)
        facts = dataclasses.replace(NOWHERE, probes=probes, bpftrace_features=frozenset(features))
        if any(all_hold(variant.when, facts) for variant in recipe.variants):
            yield facts


def all_hold(guards, facts):
    return all(
        guard.bpftrace in facts.bpftrace_features
        if guard.bpftrace
        else facts.has_field(guard.probe, guard.field)
        if guard.field
        else facts.has_probe(guard.probe)
        for guard in guards
    )


def defaults(recipe):
    return parse_given(recipe, {})


def all_values(recipe):
    values = {
        p.name: parse_values(p.name, p.kind, [EXAMPLES[p.type]] * (1 + p.repeatable))
        for p in recipe.parameters
    }
    return values | {
        name: parse_values(name, TARGET_FILTERS[name], [EXAMPLES[name]]) for name in recipe.target.honours
    }


@recipes
def test_it_renders_for_every_host_with_and_without_values(loaded):
    variants = set()
    for facts in hosts(loaded):
        for values in (defaults(loaded.recipe), all_values(loaded.recipe)):
            program = render_program(loaded, values, facts)
            variants.add(program.variant.id)
            assert program.text.count("{") == program.text.count("}")
    assert variants == {variant.id for variant in loaded.recipe.variants}


@recipes
def test_program_and_declaration_name_the_same_maps(loaded):
    for facts in hosts(loaded):
        text = re.sub(r"//.*", "", render_program(loaded, all_values(loaded.recipe), facts).text)
        assert set(re.findall(r"@\w*", text)) == loaded.recipe.map_names()


@recipes
def test_the_end_mark_is_printed_after_all_its_maps(loaded):
    assert all(name < END_MAP for name in loaded.recipe.map_names())


@recipes
def test_probes_of_the_program_are_asked_for(loaded):
    for facts in hosts(loaded):
        text = re.sub(r"//.*", "", render_program(loaded, defaults(loaded.recipe), facts).text)
        for probe in re.findall(r"^(?:tracepoint:\w+:\w+|kprobe:\w+)", text, re.MULTILINE):
            assert facts.has_probe(probe), probe


@recipes
def test_every_value_given_changes_the_program(loaded):
    facts = next(hosts(loaded))
    before = defaults(loaded.recipe)
    without = render_program(loaded, before, facts).text
    for name, values in all_values(loaded.recipe).items():
        assert render_program(loaded, {**before, name: values}, facts).text != without, name


@recipes
def test_an_empty_run_decodes_to_empty_tables(loaded):
    declarations = [output.declaration() for output in loaded.recipe.outputs]
    tables, problems = decode_tables(
        declarations, read_messages(b"", Evidence()), Context(Dialect(), "little", 4096)
    )
    assert problems == []
    for table in tables:
        assert all(row["key"] == {} and not row.get("value", row.get("count")) for row in table["rows"])


@pytest.mark.parametrize("name", [name for name in recipe_ids() if find_recipe(name).recipe.requires.probes])
def test_it_refuses_a_host_that_lacks_what_it_needs(name):
    from runner.errors import HostRefused

    loaded = find_recipe(name)
    facts = next(hosts(loaded))
    missing = loaded.recipe.requires.probes[0]
    with pytest.raises(HostRefused, match=f"the kernel has no {missing}"):
        render_program(
            loaded,
            defaults(loaded.recipe),
            dataclasses.replace(facts, probes={**facts.probes, missing: None}),
        )


def test_the_variant_and_its_reason():
    loaded = find_recipe("tcp-retrans")
    chosen = {}
    for facts in hosts(loaded):
        program = render_program(loaded, {}, facts)
        chosen[program.variant.id] = program.variant_reason
        assert ("kprobe:tcp_sendmsg" in program.text) == (program.variant.id == "kprobe")
    assert chosen["kprobe"] == "kprobe: kprobe:tcp_sendmsg"
    assert chosen["tracepoint"].endswith("not kprobe: missing here: kprobe:tcp_sendmsg")

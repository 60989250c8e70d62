"""What holds for every recipe of the catalogue, without a kernel."""

import dataclasses
import re
from pathlib import Path

import pytest

from runner.bpftrace.dialect import Dialect
from runner.bpftrace.evidence import Evidence
from runner.bpftrace.frame import END_MAP
from runner.bpftrace.messages import read_messages
from runner.bpftrace.names import Names
from runner.bpftrace.tables import Context, decode_tables
from runner.host.facts import HostFacts
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.recipe.examples import EXAMPLES, example_values
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts
from runner.recipe.lint.check import lint
from runner.recipe.parameters import PARAMETER_TYPES, TARGET_FILTERS
from runner.recipe.render import choose_variant, render_program

TRUTH = Path(__file__).parents[1] / "docs" / "truth.md"

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
    return distinguishable_hosts(loaded.recipe)


def test_every_type_has_an_example():
    assert EXAMPLES.keys() >= PARAMETER_TYPES.keys() | TARGET_FILTERS.keys()


def test_what_is_shipped_has_nothing_that_lint_finds():
    report = lint()
    assert report.files > len(recipe_ids())
    assert report.findings == ()


@recipes
def test_program_and_declaration_name_the_same_maps(loaded):
    outputs = {output.map for output in loaded.recipe.outputs}
    optional = {output.map for output in loaded.recipe.outputs if output.unreturned_of}
    used = set()
    for facts in hosts(loaded):
        program = render_program(loaded, example_values(loaded.recipe), facts)
        maps = set(re.findall(r"@\w*", re.sub(r"//.*", "", program.text)))
        assert maps | optional == outputs | set(program.scratch_maps)
        used |= maps
    assert used == loaded.recipe.map_names()


@recipes
def test_the_end_mark_is_printed_after_all_its_maps(loaded):
    assert all(name < END_MAP for name in loaded.recipe.map_names())


@recipes
def test_an_empty_run_decodes_to_empty_tables(loaded):
    declarations = [output.declaration() for output in loaded.recipe.outputs]
    tables, problems = decode_tables(
        declarations, read_messages(b"", Evidence()), Context(Dialect(), Names("little"), 4096)
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
            parse_given(loaded.recipe, {}),
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


@recipes
def test_the_leader_is_not_looked_for_where_ids_say_who_it_is(loaded):
    for facts in hosts(loaded):
        newer = dataclasses.replace(facts, bpftrace_features=facts.bpftrace_features | {"cheap-ids"})
        before, after = (
            render_program(loaded, example_values(loaded.recipe), each).text for each in (facts, newer)
        )
        by_task = "include/task.bt.j2" in loaded.template_path.read_text()
        assert "(uint64[2]*)" not in before
        assert after.count("$leader_process != (uint64)tid") == (
            before.count("(uint64*)(curtask->group_leader->comm)") if by_task else 0
        )


def test_a_tested_recipe_has_its_truth_on_every_release():
    rows = [line.split(" | ") for line in TRUTH.read_text().splitlines() if line.startswith("| ")]
    proven = {}
    for row in rows[1:]:
        proven.setdefault(row[0].removeprefix("| "), set()).add(row[3])
    for name in recipe_ids():
        if find_recipe(name).recipe.status != "experimental":
            assert proven.get(name) == {"0.17.0", "0.23.2", "0.27.1"}, name


@pytest.mark.parametrize("name", recipe_ids())
def test_every_variant_is_the_choice_of_some_host(name):
    loaded = find_recipe(name)
    chosen = {choose_variant(loaded.recipe, facts)[0].id for facts in hosts(loaded)}
    assert chosen == {variant.id for variant in loaded.recipe.variants}


def test_what_cannot_run_names_what_measures_the_like():
    from runner.errors import HostRefused

    loaded = find_recipe("vfs-read-latency")
    facts = next(hosts(loaded))
    nothing = dataclasses.replace(facts, probes=dict.fromkeys(facts.probes))
    with pytest.raises(HostRefused, match="has no variant for this host") as refused:
        render_program(loaded, {}, nothing)
    assert "syscall-latency --syscall read" in refused.value.hint


def test_a_function_is_probed_around_by_programs_where_it_can_be():
    loaded = find_recipe("vfs-read-latency")
    for facts in hosts(loaded):
        program = render_program(loaded, parse_given(loaded.recipe, {}), facts)
        is_around = facts.probes["fentry:vfs_read"] is not None
        assert program.variant.id == ("fentry" if is_around else "kprobe")
        assert ("kretfunc:vfs_read" in program.text) == is_around
        assert ("@unreturned" in program.maps) != is_around

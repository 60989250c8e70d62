"""Rules about the programs that a recipe makes for the hosts that its guards tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.recipe.function import Function
from runner.recipe.hosts import are_all_tried
from runner.recipe.parameters import HONOURED_AS
from runner.recipe.probe_heads import is_too_broad, is_wildcard, probes_of
from runner.recipe.program_rules import bare_code, used_maps
from runner.recipe.template_names import asked_features

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.finding import Finding
    from runner.recipe.lint.subject import Programs

_GUARDED = ("tracepoint", "kprobe", "kretprobe", "fentry", "fexit")
"""Kinds of probes that a guard can ask for."""


def render(programs: Programs) -> Iterator[Finding]:
    """It renders for every host, without values and with an example of each."""
    yield from programs.findings


def program_braces(programs: Programs) -> Iterator[Finding]:
    """Every brace that opens is closed."""
    for _, program in programs.rendered:
        code = bare_code(program.text)
        opened, closed = code.count("{"), code.count("}")
        if opened != closed:
            text = f"the program of variant {program.variant.id} opens {opened} braces and closes {closed}"
            yield programs.at("program-braces", "", text)


def probe_unguarded(programs: Programs) -> Iterator[Finding]:
    """Every probe of a program was asked for, and is there where the program uses it."""
    # Somebody named it, and it is looked for before it is used.
    given = {
        name
        for values in programs.examples.values()
        for value in values
        if isinstance(value, Function) and value.probe is not None
        for name in (value.probe, value.probe.replace("kprobe:", "kretprobe:"))
    }
    for facts, program in programs.rendered:
        for probe in probes_of(program.text):
            if is_wildcard(probe) or probe.partition(":")[0] not in _GUARDED or probe in given:
                continue
            # Where a function's entry can be probed, so can its return.
            names = (probe, probe.replace("kretprobe:", "kprobe:"), probe.replace("fexit:", "fentry:"))
            asked = [name for name in names if name in facts.probes]
            near = probe.partition(":")[2]
            if not asked:
                text = f"{probe} is asked for nowhere: name it under requires, or guard a variant or feature"
                yield programs.at("probe-unguarded", near, text)
            elif not any(facts.has_probe(name) for name in asked):
                text = f"variant {program.variant.id} uses {probe} on hosts that do not have it"
                yield programs.at("probe-unguarded", near, text)


def probe_wildcard(programs: Programs) -> Iterator[Finding]:
    """No wildcard matches thousands of probes; others are counted on the host before they run."""
    for probe in {each for _, program in programs.rendered for each in probes_of(program.text)}:
        near = probe.partition(":")[2]
        if is_too_broad(probe):
            text = f"{probe} matches thousands of probes: write out those that are meant"
            yield programs.at("probe-wildcard", near, text)
        elif is_wildcard(probe):
            text = f"what {probe} matches is another thing on each kernel, and is refused where it is much"
            yield programs.at("wildcard-counted", near, text)


def value_unused(programs: Programs) -> Iterator[Finding]:
    """Every parameter and filter that is offered changes the program."""
    recipe = programs.subject.recipe
    parameters = [parameter.name for parameter in recipe.parameters]
    told = set()
    for name, values in programs.examples.items():
        changes = (
            (program := programs.render({name: values}, facts)) is not None and program.text != text
            for facts, text in programs.without_values
        )
        if any(changes):
            continue
        is_parameter = name in parameters
        honoured = ("target", "honours", HONOURED_AS.get(name, name))
        location = ("parameters", parameters.index(name)) if is_parameter else honoured
        # Cgroups, containers and pods are honoured as one.
        if location not in told:
            told.add(location)
            text = f"--{name} is offered, and the program is the same with and without it"
            yield programs.subject.finding("value-unused", location, text)


def variant_unreachable(programs: Programs) -> Iterator[Finding]:
    """Every variant is the first that holds on some host."""
    recipe = programs.subject.recipe
    if not are_all_tried(recipe) or programs.findings:
        return
    used = {program.variant.id for _, program in programs.rendered}
    for place, variant in enumerate(recipe.variants):
        if variant.id not in used:
            text = f"no host gets the variant {variant.id}: one before it holds wherever it does"
            yield programs.subject.finding("variant-unreachable", ("variants", place), text)


def map_unused(programs: Programs) -> Iterator[Finding]:
    """A scratch map is used by some program (an output by all of them: rendering checks it)."""
    used = {name for _, program in programs.rendered for name in used_maps(program.text)}
    for place, name in enumerate(programs.subject.recipe.scratch_maps):
        if name not in used and programs.rendered:
            text = f"{name} is a scratch map that no program uses"
            yield programs.subject.finding("map-unused", ("scratch_maps", place), text)


def feature_unused(programs: Programs) -> Iterator[Finding]:
    """What is looked for on the host is asked by the template."""
    asked = asked_features(programs.sources)
    for name in programs.subject.recipe.features:
        if asked is not None and name not in asked:
            text = f'no template asks has("{name}")'
            yield programs.subject.finding("feature-unused", ("features", name), text)


PROGRAM_RULES = (
    render, program_braces, probe_unguarded, probe_wildcard, value_unused, variant_unreachable, map_unused,
    feature_unused,
)  # fmt: skip

"""Names in templates that mean nothing: all of them at once, before any is looked up."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from runner.recipe.templates import included_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from runner.recipe.finding import Finding
    from runner.recipe.model import Recipe
    from runner.recipe.templates import Source, Sources


def undefined_names(sources: Sources, recipe: Recipe, context: Mapping[str, Any]) -> Iterator[Finding]:
    """Return a finding for each name that neither the recipe nor the templates declare.

    :param context: What the recipe's own template is rendered with.
    """
    for source in sources.sources.values():
        if source.tree is not None:
            yield from _of_source(source, source.tree, sources, recipe, context)


def _of_source(
    source: Source, tree: nodes.Template, sources: Sources, recipe: Recipe, context: Mapping[str, Any]
) -> Iterator[Finding]:
    environment = sources.environment
    known = set(environment.globals) | (set(context) if source.has_context else set())
    for kind, table in (("filter", environment.filters), ("test", environment.tests)):
        wanted = nodes.Filter if kind == "filter" else nodes.Test
        for use in source.all(wanted):
            if use.name not in table:
                text = f"Jinja2 has no {kind} {use.name}{_nearest(use.name, table)}"
                yield source.finding("undefined-name", use.lineno, text, near=use.name)
                # The tree is for looking only; with a filter that is unknown Jinja2 would stop here.
                use.name = next(iter(table))
    try:
        unknown = find_undeclared_variables(tree) - known
    except TemplateSyntaxError as error:
        yield source.finding("template-syntax", error.lineno, str(error.message))
        return
    modules = _modules(source, sources)
    for each in source.all(nodes.Name):
        if each.name in unknown and each.ctx == "load":
            near = _nearest(each.name, known) or ": what belongs into the program stands in quotes"
            if not source.has_context and each.name in context:
                near = ": a template that is imported sees only what it is given"
            yield source.finding(
                "undefined-name", each.lineno, f"{each.name} is not defined{near}", near=each.name
            )
    for node, owner, name in _members(source):
        if owner in modules:
            if name not in modules[owner]:
                text = f"{owner}.{name}: {owner} has {_list(modules[owner])}"
                yield source.finding("undefined-name", node.lineno, text, near=f"{owner}.{name}")
        elif owner in ("params", "target") and source.has_context and name not in context[owner]:
            text = _undeclared(recipe, owner, name, context[owner])
            yield source.finding("undefined-name", node.lineno, text, near=f"{owner}.{name}")
    for imported in source.all(nodes.FromImport):
        offered = _offered(imported, sources)
        for pair in imported.names:
            name = pair[0] if isinstance(pair, tuple) else pair
            if offered is not None and name not in offered:
                text = f"the imported template has no {name}: it has {_list(offered)}"
                yield source.finding("undefined-name", imported.lineno, text, near=name)
    if source.has_context:
        yield from _arguments(source, recipe)


def _arguments(source: Source, recipe: Recipe) -> Iterator[Finding]:
    """Check what `has("…")`, `record("…")` and `variant == "…"` are asked for."""
    tables = [output.name for output in recipe.outputs]
    asked: dict[str, tuple[str, Collection[str]]] = {
        "has": ("under features", recipe.features.keys()),
        "record": ("as an output", tables),
    }
    for call in source.all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        if name not in asked or not call.args or not isinstance(call.args[0], nodes.Const):
            continue
        where, declared = asked[name]
        given = call.args[0].value
        if not isinstance(given, str) or given not in declared:
            text = (
                f'{name}("{given}"): the recipe declares no {given} {where}{_nearest(str(given), declared)}'
            )
            yield source.finding("undefined-name", call.lineno, text, near=str(given))
    variants = [variant.id for variant in recipe.variants]
    for compare in source.all(nodes.Compare):
        if not (isinstance(compare.expr, nodes.Name) and compare.expr.name == "variant"):
            continue
        for operand in compare.ops:
            given = operand.expr.value if isinstance(operand.expr, nodes.Const) else None
            if isinstance(given, str) and given not in variants:
                text = f"the recipe has no variant {given!r}: it has {', '.join(variants)}"
                yield source.finding("undefined-name", compare.lineno, text, near=given)


def _members(source: Source) -> Iterator[tuple[nodes.Node, str, str]]:
    """Return each `owner.name` and `owner["name"]` of a plain name."""
    for node in source.all(nodes.Getattr):
        if isinstance(node.node, nodes.Name):
            yield node, node.node.name, node.attr
    for item in source.all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and isinstance(item.arg, nodes.Const):
            yield item, item.node.name, str(item.arg.value)


def _undeclared(recipe: Recipe, owner: str, name: str, known: Collection[str]) -> str:
    if owner == "params":
        return f"params.{name}: the recipe declares no such parameter{_nearest(name, known)}"
    if name in recipe.target.refuses:
        return f"target.{name}: the recipe refuses --{name}, so that its program cannot honour it"
    return f"target.{name}: there is no such filter{_nearest(name, known)}"


def _modules(source: Source, sources: Sources) -> dict[str, set[str]]:
    """Return what each imported template offers, by the name it has here."""
    found = {}
    for node in source.all(nodes.Import):
        offered = _offered(node, sources)
        if offered is not None:
            found[node.target] = offered
    return found


def _offered(node: nodes.Node, sources: Sources) -> set[str] | None:
    for name in included_names(node):
        source = sources.sources.get(name)
        if source is not None and source.tree is not None:
            macros = {macro.name for macro in source.all(nodes.Macro)}
            names = {each.name for each in source.all(nodes.Name) if each.ctx == "store"}
            return {each for each in macros | names if not each.startswith("_")}
    return None


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f": did you mean {near[0]}?"
    return ""


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def asked_features(sources: Sources) -> set[str] | None:
    """Return what the templates ask the host for with `has("…")`; None where that is only known later."""
    asked = set()
    for source in sources.sources.values():
        for call in source.all(nodes.Call):
            if not isinstance(call.node, nodes.Name) or call.node.name != "has":
                continue
            if not call.args or not isinstance(call.args[0], nodes.Const):
                return None
            asked.add(str(call.args[0].value))
    return asked

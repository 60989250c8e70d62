"""The templates that a program is made of: the recipe's own and what it includes, read in its catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from jinja2 import BaseLoader, Environment, TemplateNotFound, TemplateSyntaxError, nodes

from runner.recipe.finding import Finding
from runner.recipe.load import OUTSIDE
from runner.recipe.small_file import read_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_Node = TypeVar("_Node", bound=nodes.Node)


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no program has, or what turns the order of a text around on a terminal."""


class _Refused(TemplateNotFound):
    """A template that may not be read; its message says why."""


class CatalogueLoader(BaseLoader):
    """Finds templates below the first of some folders that has them, and nowhere else."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = roots

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return text and file of a template.

        :raises TemplateNotFound: There is none, or it lies outside.
        """
        del environment
        if template.startswith("/") or ".." in template.split("/") or "\\" in template or "\0" in template:
            raise _Refused(template, "templates are named from their folder down: include/words.bt.j2")
        for root in self.roots:
            path = root / template
            try:
                if not path.is_file():
                    continue
                if not path.resolve().is_relative_to(root.resolve()):
                    raise _Refused(template, OUTSIDE)
                text = read_small(path).decode()
            except (OSError, RuntimeError) as error:
                # pathlib says that links lead in a circle with a RuntimeError.
                why = getattr(error, "strerror", None) or "links that lead in a circle"
                raise _Refused(template, f"{path}: {why}") from error
            except UnicodeDecodeError as error:
                raise _Refused(template, f"{path} is not UTF-8") from error
            control = _CONTROL.search(text)
            if control is not None:
                line = text.count("\n", 0, control.start()) + 1
                raise _Refused(template, f"{path}:{line}: a control character ({control[0]!r})")
            return text, str(path), lambda: True
        raise TemplateNotFound(template)


@dataclass(frozen=True, slots=True)
class Source:
    """One template file.

    :param name: As templates name it: `include/words.bt.j2`.
    :param path: Its file.
    :param tree: Its syntax tree; None where its syntax is wrong.
    :param has_context: It sees the names that a recipe's own template sees.
    """

    name: str
    path: str
    text: str
    tree: nodes.Template | None
    has_context: bool
    _nodes: dict[type[nodes.Node], list[nodes.Node]] = field(default_factory=dict)

    def all(self, kind: type[_Node]) -> list[_Node]:
        """Return all nodes of a kind: the tree is walked once, however many kinds are asked for."""
        if not self._nodes and self.tree is not None:
            for node in _walk(self.tree):
                self._nodes.setdefault(type(node), []).append(node)
        return cast("list[_Node]", self._nodes.get(kind, []))

    def finding(self, rule: str, line: int, text: str, *, near: str = "") -> Finding:
        """Return a finding in a line.

        :param near: What the line holds at the place.
        """
        lines = self.text.splitlines()
        column = lines[line - 1].find(near) if near and 0 < line <= len(lines) else 0
        return Finding(self.path, line, max(column, 0) + 1, rule, text)

    def place_of(self, text: str) -> tuple[int, int] | None:
        """Return line and column of the first place where a text stands, from 1."""
        at = self.text.find(text)
        if at < 0:
            return None
        return self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)


_DEEPEST = 100
"""Nodes in one another: Jinja walks its trees by recursion, and no recipe is half as deep."""


def _is_deep(root: nodes.Node) -> bool:
    level: list[nodes.Node] = [root]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return False
    return True


def _walk(root: nodes.Node) -> Iterator[nodes.Node]:
    """Return every node below one, however deep: Jinja's own walk ends with Python's stack."""
    left = list(root.iter_child_nodes())[::-1]
    while left:
        node = left.pop()
        yield node
        left += list(node.iter_child_nodes())[::-1]


class Sources:
    """A template and all that it includes or imports.

    :ivar sources: By name, the recipe's own first.
    :ivar findings: Includes that lead in a circle, to nowhere or outside; wrong syntax.
    """

    def __init__(self, environment: Environment, name: str) -> None:
        self.environment = environment
        self.sources: dict[str, Source] = {}
        self.findings: list[Finding] = []
        self._read(name, [], has_context=True)

    @property
    def own(self) -> Source | None:
        """The recipe's own template; None where it could not be read."""
        return next(iter(self.sources.values()), None)

    def _read(self, name: str, above: list[str], *, has_context: bool) -> None:
        assert self.environment.loader is not None
        text, file, _ = self.environment.loader.get_source(self.environment, name)
        path = str(file)
        try:
            tree = self.environment.parse(text, name, path)
            if _is_deep(tree):
                raise RecursionError
        except TemplateSyntaxError as error:
            source = Source(name, path, text, None, has_context)
            self.findings.append(source.finding("template-syntax", error.lineno, str(error.message)))
            self.sources[name] = source
            return
        except RecursionError:
            source = Source(name, path, text, None, has_context)
            self.findings.append(source.finding("template-syntax", 1, "it is nested too deep"))
            self.sources[name] = source
            return
        source = self.sources[name] = Source(name, path, text, tree, has_context)
        for kind in (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends):
            for node in source.all(kind):
                self._follow(source, node, [*above, name], has_context=has_context)

    def _follow(self, source: Source, node: nodes.Node, above: list[str], *, has_context: bool) -> None:
        names = list(included_names(node))
        if not names:
            text = "what is included is named by a text, so that it can be checked before it runs"
            self.findings.append(source.finding("include-dynamic", node.lineno, text))
        for name in names:
            if name in above:
                circle = " → ".join([*above[above.index(name) :], name])
                text = f"templates include each other in a circle: {circle}"
                self.findings.append(source.finding("include-cycle", node.lineno, text, near=name))
                continue
            if name in self.sources:
                continue
            sees = has_context and getattr(node, "with_context", True)
            try:
                self._read(name, above, has_context=sees)
            except _Refused as error:
                text = f"{name!r} cannot be included: {error.message}"
                self.findings.append(source.finding("path-outside", node.lineno, text, near=name))
            except TemplateNotFound:
                text = f"there is no template {name!r}"
                self.findings.append(source.finding("include-missing", node.lineno, text, near=name))


def included_names(node: nodes.Node) -> Iterator[str]:
    """Return the names of templates that an import or include names by a text; none where it does not."""
    template = getattr(node, "template", None)
    parts = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
    for part in parts:
        if not isinstance(part, nodes.Const) or not isinstance(part.value, str):
            return
    yield from (part.value for part in parts if isinstance(part, nodes.Const))

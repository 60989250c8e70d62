"""YAML that nobody need trust: read within limits, with the place of everything in it.

Deep nesting ends libyaml's Python binding with a segmentation fault, aliases of aliases stand for more nodes
than fit into memory, and of a key that stands twice PyYAML silently takes the last. All of it is found in the
stream of events and in the nodes, before an object is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from runner.recipe.finding import Finding
from runner.recipe.small_file import read_small

if TYPE_CHECKING:
    from pathlib import Path

DEEPEST = 40
MOST_NODES = 20_000
"""Nodes that a document may have once its aliases are followed; the largest recipe has some hundred."""

TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
CIRCLE = "an alias leads to what it stands in"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file that was read.

    :param node: The root of its nodes; None where it is empty or no YAML.
    :param document: What it says; None where there are findings.
    :param findings: Everything that is wrong with it as YAML.
    :param text: As it was read.
    """

    path: Path
    node: yaml.Node | None
    document: Any
    findings: tuple[Finding, ...] = ()
    text: str = ""

    def place_in(self, location: tuple[Any, ...], what: str, number: int) -> tuple[int, int]:
        """Return line and column of an occurrence of something in the text at a location, from 1.

        :param number: Which occurrence, from 0; where there are fewer, the location's place is returned.
        """
        line, column = self.place(location)
        lines = self.text.split("\n")[line - 1 :]
        at, rest = column - 1, number
        for below, each in enumerate(lines):
            while (at := each.find(what, at)) >= 0:
                if rest == 0:
                    return line + below, at + 1
                at, rest = at + len(what), rest - 1
            at = 0
        return line, column

    def place(self, location: tuple[Any, ...]) -> tuple[int, int]:
        """Walk as far into the document as the location leads; return line and column reached, from 1."""
        node = self.node
        if node is None:
            return 1, 1
        mark = node.start_mark
        for part in location:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == part), None)
                if found is None:
                    break
                mark, node = found[0].start_mark, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
            else:
                break
        return mark.line + 1, mark.column + 1

    def finding(self, rule: str, location: tuple[Any, ...], text: str) -> Finding:
        """Return a finding at a place of the document."""
        return Finding(str(self.path), *self.place(location), rule, text)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file; what is wrong with it is among its findings, all at once."""
    problem = _Problems(path)
    try:
        text = read_small(path).decode()
    except OSError as error:
        return problem.file("unreadable", str(error.strerror))
    except UnicodeDecodeError as error:
        return problem.file(
            "unreadable", f"it is not UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        )
    loader = _Loader(text)
    try:
        deep = _too_deep(text) if _may_crash(text) else None
        if deep is not None:
            return problem.at(deep, "yaml-expansion", TOO_DEEP)
        node = loader.get_single_node()
        if node is None:
            return YamlFile(path, None, None)
        findings = [*problem.expansion(node), *problem.keys(node)]
        if findings:
            return YamlFile(path, node, None, tuple(findings))
        return YamlFile(path, node, _construct(loader, node), text=text)
    except yaml.MarkedYAMLError as error:
        # The parser of PyYAML 6.0.4 has a limit of its own, which is higher.
        if "maximum nesting depth" in (error.problem or ""):
            return problem.at(error.problem_mark, "yaml-expansion", TOO_DEEP)
        return problem.at(error.problem_mark or error.context_mark, "yaml-syntax", _text_of(error))
    except yaml.YAMLError as error:
        return problem.file("yaml-syntax", " ".join(str(error).split()))
    finally:
        loader.dispose()


def _text_of(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.problem, error.context) if part)


def _may_crash(text: str) -> bool:
    """Whether composing may recurse until the stack ends; no recipe comes near.

    A level takes one of these characters, or a deeper indentation: a file has room for 700 of those.
    """
    return sum(map(text.count, "[{-?:")) > 3000


def _too_deep(text: str) -> Any:
    """Return where it nests too deep: the parser's events come one by one, composing them recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > DEEPEST:
                return event.start_mark
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
    return None


def _construct(loader: Any, node: yaml.Node) -> Any:
    """Return what the nodes say.

    :raises yaml.MarkedYAMLError: A scalar looks like a date or a number and is none.
    """
    original = loader.construct_object

    def construct_object(each: yaml.Node, deep: bool = False) -> Any:
        try:
            return original(each, deep=deep)
        except (ValueError, OverflowError, TypeError, KeyError, AttributeError) as error:
            # PyYAML's own: `!!bool abc` is a KeyError there, `!!timestamp abc` an AttributeError.
            raise yaml.constructor.ConstructorError(None, None, str(error), each.start_mark) from error

    loader.construct_object = construct_object
    return loader.construct_document(node)


class _Problems:
    """What is wrong with one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, rule: str, text: str) -> YamlFile:
        return YamlFile(self._path, None, None, (Finding(str(self._path), 1, 1, rule, text),))

    def at(self, mark: yaml.Mark | None, rule: str, text: str) -> YamlFile:
        return YamlFile(self._path, None, None, (self._finding(mark, rule, text),))

    def _finding(self, mark: yaml.Mark | None, rule: str, text: str) -> Finding:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Finding(str(self._path), line, column, rule, text)

    def expansion(self, root: yaml.Node) -> list[Finding]:
        """Return a finding where aliases lead in a circle, or stand for too many nodes."""
        sizes: dict[int, int] = {}

        def size(node: yaml.Node, depth: int) -> int:
            if isinstance(node, yaml.ScalarNode):
                return 1
            known = sizes.get(id(node))
            if known == 0:
                raise yaml.composer.ComposerError(None, None, CIRCLE, node.start_mark)
            if depth > DEEPEST:
                raise yaml.composer.ComposerError(None, None, TOO_DEEP, node.start_mark)
            if known is None:
                sizes[id(node)] = 0
                known = 1 + sum(size(each, depth + 1) for each in _children(node))
                sizes[id(node)] = known
            return known

        try:
            total = size(root, 1)
        except yaml.composer.ComposerError as error:
            return [self._finding(error.problem_mark, "yaml-expansion", str(error.problem))]
        if total <= MOST_NODES:
            return []
        text = f"with its aliases followed it has {total} nodes, {MOST_NODES} are the most"
        return [self._finding(root.start_mark, "yaml-expansion", text)]

    def keys(self, root: yaml.Node) -> list[Finding]:
        """Return a finding for each key that stands twice in a mapping, or is no text."""
        findings = []
        seen: set[int] = set()
        nodes = [root]
        while nodes:
            node = nodes.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            nodes += [each for each in _children(node) if not isinstance(each, yaml.ScalarNode)]
            if not isinstance(node, yaml.MappingNode):
                continue
            first: dict[tuple[str, str], yaml.Mark] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    findings.append(self._finding(key.start_mark, "yaml-syntax", "a key is a text"))
                    continue
                mark = first.setdefault((key.tag, key.value), key.start_mark)
                if mark is not key.start_mark:
                    text = f"the key {key.value!r} stands twice, first in line {mark.line + 1}"
                    findings.append(self._finding(key.start_mark, "yaml-duplicate-key", text))
        return findings


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []

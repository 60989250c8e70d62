"""Values in a runbook's texts, `{{ … }}`, and its conditions: read once, told what they refer to, filled in.

What is put into the text of a shell is quoted for it, always; what is no text or number is refused.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from runner.errors import ValueRefused
from runner.workflow.runbook.values import Measured, OutputOfSkipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOTS = ("parameters", "steps", "runbook")


class NotATemplate(ValueError):
    """A text with values that cannot be read."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What an expression names: `steps.check.verdict` is `("steps", "check", "verdict")`."""

    path: tuple[str, ...]

    @property
    def step(self) -> str | None:
        """Return the step that it is of, as steps are called; None where it is none's."""
        is_step = self.path[0] == "steps" and len(self.path) > 1
        return self.path[1].replace("_", "-") if is_step else None

    def __str__(self) -> str:
        return ".".join(self.path)


class Template:
    """A text with values in it.

    :ivar references: What the values name.
    :ivar said: Those that are values by themselves, or through filters: one that was not given is an error.
    :ivar pieces: Its parts in order: text, or None where a value stands.
    """

    def __init__(self, text: str, *, is_shell: bool = False) -> None:
        """Read it.

        :raises NotATemplate: It cannot be read, or has more than values in it.
        """
        self.text = text
        environment = _SHELL if is_shell else _PLAIN
        try:
            tree = environment.parse(text)
            self._template = environment.from_string(text)
        except TemplateSyntaxError as error:
            raise NotATemplate(_said_of(error)) from error
        except RecursionError as error:
            raise NotATemplate("it is nested too deep") from error
        if not all(isinstance(each, nodes.Output) for each in tree.body):
            raise NotATemplate("there are values in it, {{ … }}, and no statements: `when` decides")
        parts = [part for output in tree.body for part in output.nodes]  # type: ignore[attr-defined]
        self.pieces = [part.data if isinstance(part, nodes.TemplateData) else None for part in parts]
        self.references = tuple(each for part in parts for each in references(part))
        self.said = tuple(each for part in parts for each in _said(part))
        self._single = _expression_of(environment, parts[0]) if self.pieces == [None] else None

    def render(self, context: Mapping[str, Any]) -> str:
        """Return the text with its values.

        :raises ValueRefused: A value is not there, or has no such form.
        """
        return str(_evaluated(lambda: self._template.render(context), self.text))

    def value(self, context: Mapping[str, Any]) -> Any:
        """Return the value itself where the text is nothing but one; else the text with its values."""
        if self._single is None:
            return self.render(context)
        single = self._single
        return _evaluated(lambda: _defined(single(context)), self.text)


class Expression:
    """A condition of `when` and `until`.

    :ivar references: What it names.
    """

    def __init__(self, text: str) -> None:
        """Read it.

        :raises NotATemplate: It cannot be read.
        """
        self.text = text
        try:
            self.references = tuple(references(_parsed(text)))
            _PLAIN.compile_expression(text)
        except TemplateSyntaxError as error:
            raise NotATemplate(_said_of(error)) from error
        except RecursionError as error:
            raise NotATemplate("it is nested too deep") from error

    def skipped(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the steps that were skipped and have no such output as it compares with."""
        found = [each.step for each in self.references if _is_of_skipped(each, context)]
        return tuple(dict.fromkeys(step for step in found if step is not None))

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Return whether it is true; a comparison with an output of a step that was skipped is not.

        :raises ValueRefused: It is neither true nor false, or a value is not there.
        """
        expression = _parsed(self.text)
        for comparison in nodes.Tuple([expression], "load").find_all(nodes.Compare):
            if any(_is_of_skipped(each, context) for each in references(comparison)):
                comparison.expr, comparison.ops = nodes.Const(False), []
        evaluate = _expression_of(_PLAIN, expression)
        found = _evaluated(lambda: _defined(evaluate(context)), self.text)
        if not isinstance(found, bool):
            raise ValueRefused(
                f"`{self.text}` is neither true nor false but {found!r}",
                hint='compare it with something: … == "yes"',
            )
        return found


def _parsed(text: str) -> nodes.Expr:
    """Return a condition as a tree.

    :raises TemplateSyntaxError: It is none, or something stands behind it.
    """
    parser = Parser(_PLAIN, text, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail(f"unexpected {str(parser.stream.current.value)!r} behind a whole expression")
    return expression


def _said_of(error: TemplateSyntaxError) -> str:
    message = str(error.message)
    is_assignment = "got '='" in message or message.startswith("unexpected '='")
    return f"{message}: write == to compare" if is_assignment else message


def _is_of_skipped(reference: Reference, context: Mapping[str, Any]) -> bool:
    """Whether it names an output of a step that was skipped."""
    if reference.step is None or len(reference.path) < 3:
        return False
    try:
        getattr(getattr(context["steps"], reference.path[1]), reference.path[2])
    except OutputOfSkipped:
        return True
    except (ValueRefused, AttributeError):
        # Whoever evaluates it says so.
        return False
    return False


def references(node: nodes.Node) -> Iterator[Reference]:
    """Return everything that an expression names, each as far as it is written out."""
    path: list[str] = []
    below = node
    while isinstance(below, nodes.Getattr) or (
        isinstance(below, nodes.Getitem)
        and isinstance(below.arg, nodes.Const)
        and isinstance(below.arg.value, str)
    ):
        path.insert(0, below.attr if isinstance(below, nodes.Getattr) else below.arg.value)  # type: ignore[attr-defined]
        below = below.node
    if isinstance(below, nodes.Name):
        yield Reference((below.name, *path))
        return
    for child in node.iter_child_nodes():
        yield from references(child)


def _said(node: nodes.Node) -> Iterator[Reference]:
    """Return what a value is, where it is nothing but what was named; `default` needs none."""
    while isinstance(node, nodes.Filter) and node.node is not None and node.name not in ("default", "d"):
        node = node.node
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        yield from references(node)


class _Environment(SandboxedEnvironment):
    def __init__(self, finalize: Callable[[Any], str]) -> None:
        super().__init__(undefined=StrictUndefined, finalize=finalize, keep_trailing_newline=True)
        # A runbook's values are its parameters and outputs, and nothing else.
        self.globals.clear()


def _word(value: Any) -> str:
    """Return a value as a text.

    :raises TypeError: It has none.
    """
    if isinstance(value, Undefined):
        return str(value)  # raises, and says what is missing
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | Measured):
        what = "was not given" if value is None else f"is a {type(value).__name__}, no text or number"
        raise TypeError(f"a value {what}")
    text = str(value)
    if "\0" in text:
        raise TypeError("a value has a NUL in it, which no command can be given")
    return text


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(shlex.quote(_word(each)) for each in value)
    return shlex.quote(_word(value))


_PLAIN = _Environment(_word)
_SHELL = _Environment(_quoted)


def _expression_of(environment: SandboxedEnvironment, node: nodes.Expr) -> TemplateExpression:
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), node, lineno=1)]
    template = environment.from_string(nodes.Template(body, lineno=1))
    return TemplateExpression(template, undefined_to_none=False)


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is missing
    return value


def _evaluated(evaluate: Callable[[], Any], text: str) -> Any:
    try:
        return evaluate()
    except ValueRefused:
        raise
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueRefused(f"`{text.strip()}`: {error}") from error

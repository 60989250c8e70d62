"""From a recipe, its values and the host's facts to a bpftrace program."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.meta import find_referenced_templates
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from runner.capture.declaration import STACK_DEPTH
from runner.errors import HostRefused, ValueRefused
from runner.recipe.catalogue import data_dir
from runner.recipe.parameters import Number
from runner.recipe.program_rules import broken_rules, map_differences
from runner.recipe.recording import Recorder, taken_stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.capture.words import ByteOrder
    from runner.host.facts import HostFacts
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Guard, Recipe, Variant
    from runner.recipe.parameters import Value


@dataclass(frozen=True, slots=True)
class Program:
    """A rendered program.

    :param text: What bpftrace is given, without what the runner adds around it.
    :param variant: The variant that was rendered.
    :param variant_reason: Why that one.
    """

    text: str
    variant: Variant
    variant_reason: str

    @property
    def sha256(self) -> str:
        """Return the digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Condition:
    """What a template sees of a parameter or filter: whether it was given, and its condition.

    It has no string form, so that no template can put a value anywhere but through `matches`.
    """

    def __init__(self, values: tuple[Value, ...], byteorder: ByteOrder) -> None:
        self._values = values
        self._byteorder = byteorder

    def __bool__(self) -> bool:
        return bool(self._values)

    def __str__(self) -> str:
        raise TypeError("a parameter has no text; use its matches(…) or number")

    __format__ = None  # type: ignore[assignment]

    @property
    def number(self) -> Markup:
        """Return the number of a parameter that has a default: an integer, or a duration's nanoseconds."""
        (value,) = self._values
        if not isinstance(value, Number):
            raise TypeError("only an integer or a duration is a number")
        return Markup(str(value.number))  # noqa: S704

    def matches(self, *expressions: str) -> Markup:
        """Return a bpftrace condition: the expressions equal one of the values; `1` without values."""
        if not self._values:
            return Markup("1")
        conditions = [value.condition(self._byteorder, *expressions) for value in self._values]
        # Built from integers and from expressions that stand in the template.
        return Markup("(" + " || ".join(f"({condition})" for condition in conditions) + ")")  # noqa: S704


def _finalize(value: Any) -> Any:
    """Let only text of the template itself, and of macros and conditions, into a program."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Condition):
        raise TypeError("a parameter or filter stands in a program through its matches(…) or number alone")
    raise TypeError(f"a value of type {type(value).__name__} has no bpftrace form")


def _code(text: Any) -> Markup:
    """Mark a string that stands in the template itself as program text (macro arguments)."""
    if type(text) is not str:
        raise TypeError(f"only text of the template is code, not {type(text).__name__}")
    return Markup(text)  # noqa: S704  # values from outside are never plain strings here


def _environment(root: Path) -> SandboxedEnvironment:
    """Return what renders templates of a folder; its includes are our own."""
    environment = SandboxedEnvironment(
        loader=FileSystemLoader([root, data_dir("templates")]),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    return environment


def _check_rules(environment: SandboxedEnvironment, name: str, output_maps: list[str]) -> None:
    """Refuse a template that does by hand what cannot be right everywhere.

    :raises ValueRefused: With every mistake, a line each.
    """
    assert environment.loader is not None
    mistakes = []
    seen: set[str] = set()
    names = [name]
    while names:
        name = names.pop()
        seen.add(name)
        source, file, _ = environment.loader.get_source(environment, name)
        mistakes += [f"{file}:{line}: {text}" for line, text in sorted(broken_rules(source, output_maps))]
        referenced = find_referenced_templates(environment.parse(source, name, file))
        names += [each for each in referenced if each is not None and each not in seen]
    if mistakes:
        raise ValueRefused("\n".join(mistakes))


def _place_of(error: BaseException, template: Path) -> str:
    """Return where in a template an error was raised: Jinja2 puts its lines into the traceback."""
    place = str(template)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.endswith(template.suffix):
            place = f"{frame.f_code.co_filename}:{line}"
    return place


def choose_variant(recipe: Recipe, facts: HostFacts) -> tuple[Variant, str]:
    """Return the first variant whose guards hold on the host, and why it is that one.

    :raises HostRefused: No variant can run there; each one's missing feature is named.
    """
    missing = [f"the kernel has no {probe}" for probe in recipe.requires.probes if not facts.has_probe(probe)]
    if recipe.requires.btf and not facts.btf:
        missing.append("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    if missing:
        raise HostRefused(f"{recipe.id} cannot run here: {'; '.join(missing)}")
    passed_over: list[str] = []
    for variant in recipe.variants:
        lacking = [str(guard) for guard in variant.when if not _holds(guard, facts)]
        if not lacking:
            found = ", ".join(str(guard) for guard in variant.when) or "it needs nothing special"
            return variant, "; ".join([f"{variant.id}: {found}", *passed_over])
        passed_over.append(f"not {variant.id}: missing here: {', '.join(lacking)}")
    raise HostRefused(f"{recipe.id} has no variant for this host: {'; '.join(passed_over)}")


def _holds(guard: Guard, facts: HostFacts) -> bool:
    if guard.bpftrace is not None:
        return guard.bpftrace in facts.bpftrace_features
    assert guard.probe is not None
    if guard.field is not None:
        return facts.has_field(guard.probe, guard.field)
    return facts.has_probe(guard.probe)


def render_program(
    loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], facts: HostFacts
) -> Program:
    """Render the recipe's program for a host.

    :param values: Parsed values by name, of parameters and of target filters together.
    :raises HostRefused: The host lacks what every variant needs.
    :raises ValueRefused: The template has a mistake (with file and line).
    """
    recipe = loaded.recipe
    variant, reason = choose_variant(recipe, facts)

    def has(feature: str) -> bool:
        return _holds(recipe.features[feature], facts)

    names = {
        "params": [parameter.name for parameter in recipe.parameters],
        "target": list(recipe.target.honours),
    }
    context: dict[str, Any] = {
        group: {name.replace("-", "_"): Condition(values.get(name, ()), facts.byteorder) for name in members}
        for group, members in names.items()
    }
    recorder = Recorder(output.declaration() for output in recipe.outputs)
    path = loaded.template_path
    environment = _environment(path.parents[1])
    try:
        _check_rules(
            environment, f"{path.parent.name}/{path.name}", [output.map for output in recipe.outputs]
        )
        template = environment.get_template(f"{path.parent.name}/{path.name}")
        text = template.render(
            has=has,
            record=recorder,
            variant=variant.id,
            kernel_stack=_code(taken_stack("kernel-stack", STACK_DEPTH)),
            user_stack=_code(taken_stack("user-stack", STACK_DEPTH)),
            **context,
        )
    except TemplateSyntaxError as error:
        raise ValueRefused(f"{error.filename}:{error.lineno}: {error.message}") from error
    except (TemplateError, TypeError, KeyError) as error:
        raise ValueRefused(f"{_place_of(error, path)}: {error}") from error
    outputs = [output.map for output in recipe.outputs]
    mistakes = list(map_differences(text, recipe.map_names(), outputs))
    if mistakes:
        raise ValueRefused("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return Program(text, variant, reason)

"""From a recipe, its values and the host's facts to a bpftrace program."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from runner.capture.declaration import STACK_DEPTH, WORD_BYTES
from runner.errors import FeatureMissing
from runner.recipe.bounds import TooMuch, bounded
from runner.recipe.catalogue import data_dir
from runner.recipe.cgroups import Cgroups, cgroups_asked_for
from runner.recipe.devices import known_devices
from runner.recipe.emitting import Emitter
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.function import Function, Functions
from runner.recipe.named_calls import named_calls
from runner.recipe.parameters import Number, SyscallName
from runner.recipe.program_rules import (
    UNDECLARED_MAP,
    broken_in_program,
    broken_rules,
    map_differences,
    undeclared_maps,
    used_maps,
)
from runner.recipe.recording import Recorder, taken_stack
from runner.recipe.template_names import undefined_names
from runner.recipe.templates import CatalogueLoader, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from jinja2.runtime import Context

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
    :param scratch_maps: Those of the recipe's that this variant uses.
    """

    text: str
    variant: Variant
    variant_reason: str
    scratch_maps: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Return the digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def maps(self) -> frozenset[str]:
        """Return the maps that it names."""
        return frozenset(used_maps(self.text))


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

    __repr__ = __str__
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
        if not all(isinstance(expression, str) for expression in expressions):
            raise TypeError("matches(…) compares expressions of the program, which are texts")
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
    if not text.isascii() or not all(each.isprintable() or each in "\n\t" for each in text):
        raise TypeError(f"code of a program is printable ASCII: {text[:40]!r}")
    return Markup(text)  # noqa: S704  # values from outside are never plain strings here


def _word(byteorder: ByteOrder) -> Callable[[str], Markup]:
    """Return what templates call as `word("read")`: the integer that carries a short text as a key."""

    def word(text: str) -> Markup:
        if type(text) is not str or not text.isascii() or not 0 < len(text) < WORD_BYTES:
            raise TypeError(f"a word is an ASCII text of up to {WORD_BYTES - 1} letters")
        number = int.from_bytes(text.encode().ljust(WORD_BYTES, b"\0"), byteorder)
        return Markup(f"(uint64){number}")  # noqa: S704

    return word


class _Environment(SandboxedEnvironment):
    """Jinja2's sandbox, in which no multiplication makes a text of gigabytes."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply integers."""
        if operator == "**":
            raise TypeError("a template has no powers (**)")
        if not (isinstance(left, int) and isinstance(right, int)):
            raise TypeError("a template multiplies integers, and no texts")
        return super().call_binop(context, operator, left, right)


def template_environment(root: Path) -> SandboxedEnvironment:
    """Return what renders templates of a folder; what it does not include itself are our own."""
    environment = _Environment(
        loader=CatalogueLoader([root, data_dir("templates")]),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    return environment


def _place_of(error: BaseException, sources: Sources) -> tuple[str, int]:
    """Return where in the templates an error was raised: Jinja2 puts its lines into the traceback."""
    files = {source.path for source in sources.sources.values()}
    place = (next(iter(files)), 1)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename in files:
            place = (frame.f_code.co_filename, line)
    return place


def choose_variant(recipe: Recipe, facts: HostFacts) -> tuple[Variant, str]:
    """Return the first variant whose guards hold on the host, and why it is that one.

    :raises FeatureMissing: No variant can run there; each one's missing feature is named.
    :raises KeyError: Nobody asked the host for a probe that decides it.
    """
    absent = [probe for probe in recipe.requires.probes if not facts.has_probe(probe)]
    missing = [f"the kernel has no {probe}" for probe in absent]
    if recipe.requires.btf and not facts.btf:
        absent.append("BTF")
        missing.append("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    if missing:
        raise FeatureMissing(f"{recipe.id} cannot run here: {'; '.join(missing)}", lacks=", ".join(absent))
    passed_over: list[str] = []
    instead: list[str] = []
    for variant in recipe.variants:
        lacking = [guard for guard in variant.when if not holds(guard, facts)]
        if not lacking:
            found = ", ".join(str(guard) for guard in variant.when) or "it needs nothing special"
            return variant, "; ".join([f"{variant.id}: {found}", *passed_over])
        passed_over.append(f"not {variant.id}: missing here: {', '.join(map(str, lacking))}")
        instead.append(" and ".join(guard.feature for guard in lacking))
    raise FeatureMissing(
        f"{recipe.id} has no variant for this host: {'; '.join(passed_over)}",
        lacks=" or ".join(dict.fromkeys(instead)),
        hint=recipe.instead,
    )


def holds(guard: Guard, facts: HostFacts) -> bool:
    if guard.bpftrace is not None:
        return guard.bpftrace in facts.bpftrace_features
    assert guard.probe is not None
    if guard.field is not None:
        return facts.has_field(guard.probe, guard.field)
    return facts.has_probe(guard.probe)


class Renderer:
    """A recipe whose templates were read and checked once, to be rendered for any host and values.

    :ivar sources: The templates.
    """

    def __init__(self, loaded: LoadedRecipe) -> None:
        """Read the templates.

        :raises RecipeRefused: They have mistakes: all that can be found before they are rendered.
        """
        path = loaded.template_path
        self._loaded = loaded
        self._environment = template_environment(path.parents[1])
        try:
            # Jinja computes what is constant while it compiles.
            with bounded():
                self._read(f"{path.parent.name}/{path.name}")
        except TemplateNotFound as error:
            raise RecipeRefused([Finding(str(path), 1, 1, "template-missing", str(error.message))]) from error
        except TemplateSyntaxError as error:
            place = Finding(
                str(error.filename or path), error.lineno, 1, "template-syntax", str(error.message)
            )
            raise RecipeRefused([place]) from error
        except (TooMuch, MemoryError) as error:
            text = str(error) or "it takes too much memory"
            raise RecipeRefused([Finding(str(path), 1, 1, "render", text)]) from error

    def _read(self, name: str) -> None:
        self.sources = Sources(self._environment, name)
        findings = [*self.sources.findings, *self._static_findings()]
        if findings:
            raise RecipeRefused(findings)
        self._template = self._environment.get_template(name)

    def _static_findings(self) -> Iterator[Finding]:
        recipe = self._loaded.recipe
        context = _context(recipe, {}, None, has=lambda _: False, variant="")
        yield from undefined_names(self.sources, recipe, context)
        outputs = [output.map for output in recipe.outputs]
        for source in self.sources.sources.values():
            for line, text in broken_rules(source.text, outputs):
                yield source.finding("hand-written", line, text)
            for line, name in undeclared_maps(source.text, recipe.map_names()):
                yield source.finding("map-undeclared", line, UNDECLARED_MAP.format(name), near=name)

    def render(self, values: Mapping[str, tuple[Value, ...]], facts: HostFacts) -> Program:
        """Render the program for a host.

        :param values: Parsed values by name, of parameters and of target filters together.
        :raises ValueRefused: A system call was named that the host's architecture does not have.
        :raises HostRefused: The host lacks what every variant needs, or a function that was asked for.
        :raises RecipeRefused: The template has a mistake that shows only now.
        :raises ValueRefused: A value names a block device that the host does not have.
        """
        recipe = self._loaded.recipe
        variant, reason = choose_variant(recipe, facts)

        def has(feature: str) -> bool:
            return holds(recipe.features[feature], facts)

        values = known_devices(values, facts.devices)
        context = _context(recipe, values, facts, has=has, variant=variant.id)
        try:
            with bounded():
                text = self._template.render(context)
        except RecursionError as error:
            place = _place_of(error, self.sources)
            raise RecipeRefused(
                [Finding(*place, 1, "render", "a macro calls itself without an end")]
            ) from error
        except Exception as error:
            # Whatever a template raises is the template's.
            text = str(error) or type(error).__name__
            raise RecipeRefused([Finding(*_place_of(error, self.sources), 1, "render", text)]) from error
        own = self.sources.own
        assert own is not None
        # What counts returns that were not seen has no place where all of them are.
        outputs = [output.map for output in recipe.outputs if output.unreturned_of is None]
        forbidden = [Finding(own.path, 1, 1, "hand-written", why) for why in broken_in_program(text)]
        if forbidden:
            raise RecipeRefused(forbidden)
        differences = list(map_differences(text, recipe.map_names(), outputs))
        if differences:
            places = [(rule, own.place_of(name) or (1, 1), why) for rule, name, why in differences]
            raise RecipeRefused(Finding(own.path, *place, rule, why) for rule, place, why in places)
        used = used_maps(text)
        return Program(text, variant, reason, tuple(name for name in recipe.scratch_maps if name in used))


def _context(
    recipe: Recipe,
    values: Mapping[str, tuple[Value, ...]],
    facts: HostFacts | None,
    *,
    has: Callable[[str], bool],
    variant: str,
) -> dict[str, Any]:
    """Return every name that a recipe's template may use, and what it stands for.

    :param facts: None where nothing is rendered and the names alone count.
    :raises ValueRefused: A system call was named that hosts of this architecture do not have.
    """
    byteorder = "little" if facts is None else facts.byteorder
    arch = "" if facts is None else facts.arch
    groups = {
        "params": [parameter.name for parameter in recipe.parameters],
        "target": [name for name in recipe.target.honours if name != "cgroup"],
    }
    conditions: dict[str, dict[str, Condition | Functions]] = {
        group: {
            name.replace("-", "_"): Condition(_there(values.get(name, ()), arch), byteorder)
            for name in members
        }
        for group, members in groups.items()
    }
    for parameter in recipe.parameters:
        if parameter.type == "function" and facts is not None:
            functions = [each for each in values.get(parameter.name, ()) if isinstance(each, Function)]
            conditions["params"][parameter.name.replace("-", "_")] = Functions(functions, facts)
    tables = [output.declaration() for output in recipe.outputs]
    return {
        **conditions,
        "cgroups": Cgroups(
            cgroups_asked_for(values),
            None if facts is None else facts.cgroups,
            is_key=recipe.split_by is not None,
        ),
        "has": has,
        "record": Recorder(tables),
        "emit": Emitter((event.declaration() for event in recipe.events), tables),
        "variant": variant,
        "byteorder": byteorder,
        "ids_are_cheap": facts is not None and "cheap-ids" in facts.bpftrace_features,
        "arch": arch,
        "word": _word(byteorder),
        "is_call": named_calls(arch),
        "kernel_stack": _code(taken_stack("kernel-stack", STACK_DEPTH)),
        "user_stack": _code(taken_stack("user-stack", STACK_DEPTH)),
    }


def _there(values: tuple[Value, ...], arch: str) -> tuple[Value, ...]:
    """Return values with what they mean on hosts of an architecture."""
    return tuple(value.on(arch) if isinstance(value, SyscallName) else value for value in values)


def render_program(
    loaded: LoadedRecipe, values: Mapping[str, tuple[Value, ...]], facts: HostFacts
) -> Program:
    """Render the recipe's program for a host.

    :param values: Parsed values by name, of parameters and of target filters together.
    :raises HostRefused: The host lacks what every variant needs.
    :raises RecipeRefused: The template has mistakes (with file and line).
    """
    # A host that cannot run it is said first: it needs no template.
    choose_variant(loaded.recipe, facts)
    return Renderer(loaded).render(values, facts)

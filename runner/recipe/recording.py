"""Statements that count into an output's map: how each kind and key travels is settled here alone.

Every release of bpftrace prints some aggregations or keys wrongly. So a template says what is recorded, and
never how: `{{ record("latency", "$ns", comm="$leader") }}`. What is printed are count(), sum(), max() of 63
bits and stats() in maps whose keys are 64-bit integers, addresses and stacks; these are exact everywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jinja2 import Undefined
from markupsafe import Markup

from runner.capture.buckets import LinearBuckets, LogBuckets
from runner.capture.extremes import LOW_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.capture.declaration import KeyDeclaration, KeyType, TableDeclaration

_VARIABLE = re.compile(r"\$[a-z][a-z0-9_]*")
_COMPARISON = re.compile(r"[=!]=|&&|\|\||!|(?<![<>-])[<>](?![<>])")
_COUNTING = ("count",)
_HALVINGS = (32, 16, 8, 4, 2, 1)


class MistakenRecord(TypeError):
    """A template records what its recipe does not declare."""


class Recorder:
    """What templates call as `record(table, value, key=expression, …)`.

    Expressions are text of the template. A text (comm, string) is a variable `$name` whose words stand
    in `$name_0`, `$name_1` … (see `include/words.bt.j2`), or a list with an expression for each word.
    Stacks are taken by the statement itself, unless it is given one that was kept (`kernel_stack` and
    `user_stack` take them).
    """

    def __init__(self, declarations: Iterable[TableDeclaration]) -> None:
        """Record into these tables.

        :param declarations: Those of a recipe's outputs.
        """
        self._tables = {declaration.name: declaration for declaration in declarations}
        self._totals = {table.total_of: table for table in self._tables.values() if table.total_of}
        self._is_told = False

    def __call__(self, table: str, value: Any = None, /, **keys: Any) -> Markup:
        """Return the statements.

        :raises MistakenRecord: No such table, keys that it does not have, or a value that it does not take.
        """
        declaration = self._tables.get(table)
        if declaration is None:
            raise MistakenRecord(f"record({table!r}): there are {', '.join(sorted(self._tables))}")
        if (declaration.kind in _COUNTING) != (value is None) and declaration.kind != "time-series":
            takes = "takes no value" if value is not None else "takes a value"
            raise MistakenRecord(f"record({table!r}): a {declaration.kind} {takes}")
        keys = with_cgroup(declaration.keys, keys)
        stacks = {key.name for key in declaration.keys if key.is_stack}
        expected = {key.name for key in declaration.keys} - stacks
        if missing := sorted(expected - keys.keys()):
            raise MistakenRecord(f"record({table!r}): it has no {', '.join(missing)}")
        if wrong := sorted(keys.keys() - expected - stacks):
            own = ", ".join(sorted(expected)) or "none"
            raise MistakenRecord(f"record({table!r}): it has no key {', '.join(wrong)}; its keys are {own}")
        parts = [
            part for key in declaration.keys for part in key_parts(declaration.name, key, keys.get(key.name))
        ]
        number = None if value is None else _number(table, value, "the value")
        lines = list(_statements(declaration, number, parts))
        total = self._totals.get(table)
        if total is not None:
            lines.append(f"{total.map} = count();")
        # Built from text of the template and from what the recipe declares; no value from outside is in it.
        return Markup("\n  ".join(lines))  # noqa: S704


def with_cgroup(declared: Iterable[KeyDeclaration], given: dict[str, Any]) -> dict[str, Any]:
    """Return what a template says of keys, with that of the cgroup, which a recipe itself does not declare.

    It is the running task's (`include/cgroup.bt.j2`), unless a template that knows of another task says so
    (`task_cgroup`).
    """
    others = {name: value for name, value in given.items() if name != "task_cgroup"}
    own = given.get("task_cgroup", "$cgroup")
    return others | {key.name: own for key in declared if key.type == "cgroup"}


def taken_stack(kind: KeyType, depth: int) -> str:
    """Return the expression that takes a stack, in the form whose symbols every release prints apart."""
    return f"{'kstack' if kind == 'kernel-stack' else 'ustack'}(perf, {depth})"


def code_of(table: str, text: Any) -> str:
    if isinstance(text, Undefined):
        raise MistakenRecord(f"record({table!r}): an expression is not in quotes, and so is no text")
    if type(text) is not str and not isinstance(text, Markup):
        raise MistakenRecord(
            f"record({table!r}): only text of the template is code, not {type(text).__name__}"
        )
    return str(text)


def _wide(expression: str, number: str) -> str:
    """Return an expression as a 64-bit integer of the same value.

    A cast alone widens by the sign of its target up to 0.23, and by that of its source on 0.27: a negative
    int becomes 4294967291, or an unsigned one -1. Arithmetic widens by the source everywhere.
    """
    return f"({number})(({expression}) + (int64)0)"


def _number(table: str, expression: Any, what: str) -> str:
    """Return an expression that is a number on every release: (int64)(1 == 1) is -1 on 0.23.

    :raises MistakenRecord: It is none.
    """
    code = code_of(table, expression)
    if _COMPARISON.search(code) and "?" not in code:
        raise MistakenRecord(f"record({table!r}): {what} is a comparison, not a number: ({code} ? 1 : 0)")
    return code


def key_parts(table: str, key: KeyDeclaration, given: Any) -> Sequence[str]:
    """Return the expressions of the integers, addresses and stacks that carry a key.

    :param given: What a template says of it.
    :raises MistakenRecord: That is nothing that such a key can be.
    """
    if key.is_stack:
        return [taken_stack(key.type, key.depth) if given is None else code_of(table, given)]
    if key.words:
        if isinstance(given, list | tuple):
            words = [code_of(table, word) for word in given]
        else:
            name = code_of(table, given)
            if not _VARIABLE.fullmatch(name):
                raise MistakenRecord(
                    f"record({table!r}): {key.name} is a text: read it with include/words.bt.j2 "
                    f'({{{{ words.read_leader("$leader") }}}}), then {key.name}="$leader"'
                )
            words = [f"{name}_{place}" for place in range(key.words)]
        if len(words) != key.words:
            raise MistakenRecord(f"record({table!r}): {key.name} has {key.words} words, not {len(words)}")
        return [f"(uint64)({word})" for word in words]
    if key.type == "ip":
        return [code_of(table, given)]
    if key.type == "ksym":
        return [f"ksym((uint64)({code_of(table, given)}))"]
    if key.type == "boolean":
        return [f"(uint64)(({code_of(table, given)}) ? 1 : 0)"]
    expression = _number(table, given, f"the key {key.name}")
    return [_wide(expression, "int64" if key.type in ("integer", "enum") else "uint64")]


def _statements(table: TableDeclaration, value: str | None, parts: Sequence[str]) -> Iterator[str]:
    # Not the table's bare name: that is what an author calls the value.
    own = f"$recorded_{table.name}"
    at = _Place(table.map, parts)
    number = "" if value is None else _wide(value, "uint64" if table.unsigned else "int64")
    word = "" if value is None else _wide(value, "uint64")
    match table.kind:
        case "count":
            yield f"{at()} = count();"
        case "sum" | "stats":
            yield f"{at()} = {table.kind}({number});"
        case "value":
            yield f"{at()} = {number};"
        case "time-series":
            index = f"(uint64)nsecs / {table.interval_ns}"
            yield f"{at(index)} = {f'sum({number})' if value else 'count()'};"
        case "min" | "max":
            yield f"{own} = {word};"
            low = f"{own} & {LOW_BITS}"
            low = low if table.kind == "max" else f"{LOW_BITS} - ({low})"
            # Signed, as max() of 0.17 compares; 63 bits are positive either way.
            yield f"{at(f'{own} >> 63')} = max((int64)({low}));"
        case "histogram" if isinstance(table.buckets, LogBuckets):
            yield f"{own} = {word};"
            yield from _log_index(own, table.buckets.bits)
            yield f"{at(f'{own}_i')} = count();"
        case "histogram" if isinstance(table.buckets, LinearBuckets):
            yield f"{own} = {number};"
            yield from _linear_index(own, table.buckets)
            yield f"{at(f'{own}_i')} = count();"


class _Place:
    """A cell of a map."""

    def __init__(self, name: str, parts: Sequence[str]) -> None:
        self._name = name
        self._parts = parts

    def __call__(self, *more: str) -> str:
        parts = ", ".join([*self._parts, *more])
        return f"{self._name}[{parts}]" if parts else self._name


def _log_index(value: str, bits: int) -> Iterator[str]:
    """Return what computes a LogBuckets index: floor(log2) by halving, then the bits below the first."""
    index, exponent, rest = f"{value}_i", f"{value}_e", f"{value}_r"
    yield f"{index} = {value};"
    yield f"if ({value} >= {1 << bits}) {{"
    yield f"  {exponent} = (uint64)0; {rest} = {value};"
    for half in _HALVINGS:
        shift = f" {rest} = {rest} >> {half};" if half > 1 else ""
        yield f"  if ({rest} >= {1 << half}) {{ {exponent} = {exponent} + {half};{shift} }}"
    part = f"(({value} >> ({exponent} - {bits})) & {(1 << bits) - 1})"
    yield f"  {index} = (({exponent} - {bits} + 1) << {bits}) + {part};"
    yield "}"


def _linear_index(value: str, buckets: LinearBuckets) -> Iterator[str]:
    index = f"{value}_i"
    last = buckets.index(buckets.maximum)
    yield f"{index} = (uint64)0;"
    yield f"if ({value} >= (int64){buckets.maximum}) {{ {index} = (uint64){last}; }}"
    yield f"else if ({value} >= (int64){buckets.minimum}) {{"
    # BPF divides unsigned numbers only.
    yield f"  {index} = (uint64)({value} - (int64){buckets.minimum}) / {buckets.step} + 1;"
    yield "}"

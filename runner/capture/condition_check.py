"""Conditions held against the tables that there are: names, statistics, keys and units."""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.amount_units import SECONDS_PER, SHARE, in_unit, ways_to_write
from runner.capture.condition import ABOVE, Limit, place_of
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from runner.capture.condition import Amount, Condition, KeyMatch
    from runner.capture.declaration import KeyType, Kind, TableDeclaration
    from runner.capture.document import Table

_DISTRIBUTION = ("p50", "p95", "p99", "p999", "mean", "count", "rate", ABOVE)

STATISTICS: Mapping[Kind, tuple[str, ...]] = {
    "count": ("total", "rate"),
    "sum": ("total", "rate"),
    "stats": ("mean", "total", "count", "rate"),
    "histogram": _DISTRIBUTION,
    "min": ("min",),
    "max": ("max",),
    "avg": (),
    "time-series": (),
    "value": (),
}
"""What can be had of a table of each kind. An average without its count cannot be put together from rows."""

EVENTS = "events"
"""The unit of what a histogram or stats counts."""

_NUMBERS: tuple[KeyType, ...] = ("integer", "unsigned", "port")
_STACKS: tuple[KeyType, ...] = ("kernel-stack", "user-stack")
_WHOLE = re.compile(r"-?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a condition has to know of a table."""

    name: str
    kind: Kind
    unit: str | None
    keys: Mapping[str, KeyType | None]


def shape_of(table: Table) -> TableShape:
    """Return the shape of a table of a capture."""
    keys = {column["name"]: column["type"] for column in table["keys"]}
    return TableShape(table["name"], table["kind"], table["unit"], keys)


def declared_shape(declaration: TableDeclaration) -> TableShape:
    """Return the shape that a declared table will have."""
    # A socket is a program's alone: the capture has its owner.
    keys: dict[str, KeyType | None] = {key.name: key.type for key in declaration.keys if key.type != "socket"}
    return TableShape(declaration.name, declaration.kind, declaration.unit, keys)


def unit_of(statistic: str, shape: TableShape) -> str | None:
    """Return the unit of a statistic; of a rate that of what is per second."""
    if statistic == ABOVE:
        return SHARE
    if statistic == "count" or (statistic == "rate" and shape.kind == "histogram"):
        return EVENTS
    return shape.unit


def amount_in(amount: Amount, unit: str | None, *, is_rate: bool) -> Fraction | None:
    """Return an amount in a unit, of a rate per second; None where it is not written as one."""
    if is_rate != (amount.per in SECONDS_PER) or (amount.per and not is_rate):
        return None
    number = in_unit(amount.number, amount.unit, unit)
    return number if number is None else number / SECONDS_PER.get(amount.per, 1)


def check_condition(
    condition: Condition,
    shapes: Iterable[TableShape],
    *,
    what: str = "gate",
    there_is: Mapping[Kind, tuple[str, ...]] = STATISTICS,
) -> None:
    """Refuse a condition on what does not exist, or in a unit that its table does not have.

    :param what: What it is called in messages.
    :param there_is: The statistics that can be had of a table of each kind.
    :raises ValueRefused: Naming the place, and what there is instead.
    """
    subject = condition.subject
    known = {shape.name: shape for shape in shapes}
    shape = known.get(subject.table)
    if shape is None:
        why = f"there is no table {subject.table!r}{_near(subject.table, known)}"
        raise _refusal(condition, subject.column, why, what, f"tables: {', '.join(known) or 'none'}")
    statistics = there_is[shape.kind]
    if subject.statistic not in statistics:
        article = "an" if shape.kind == "avg" else "a"
        why = f"{shape.name} is {article} {shape.kind} and has no {subject.statistic}"
        why += _near(subject.statistic, statistics)
        there = ", ".join("above(…)" if each == ABOVE else each for each in statistics)
        hint = f"statistics of {shape.name}: {there}" if there else "its JSON has what it holds"
        raise _refusal(condition, subject.statistic_column, why, what, hint)
    for key in subject.keys:
        _check_key(condition, key, shape, what)
    if subject.threshold is not None and subject.statistic != ABOVE:
        why = f"{subject.statistic} has no threshold"
        raise _refusal(condition, subject.threshold.column, why, what, f"{ABOVE}({subject.threshold})")
    if subject.threshold is not None:
        _check_amount(condition, subject.threshold, shape.name, shape.unit, what, is_rate=False)
    if isinstance(condition, Limit):
        unit = unit_of(subject.statistic, shape)
        name = f"{shape.name}.{subject.statistic}"
        _check_amount(condition, condition.amount, name, unit, what, is_rate=subject.statistic == "rate")


def _check_amount(
    condition: Condition, amount: Amount, name: str, unit: str | None, what: str, *, is_rate: bool
) -> None:
    if amount_in(amount, unit, is_rate=is_rate) is not None:
        return
    ways = ways_to_write(unit)
    if is_rate:
        ways = tuple(f"{way}/s" for way in ways)
        ways += tuple(f"{ways_to_write(unit)[0]}/{per}" for per in SECONDS_PER if per != "s")
    shown = f"{unit or 'a number without a unit'}{' per second' if is_rate else ''}"
    why = f"{name} is {'a share' if unit == SHARE else f'in {shown}' if unit else shown}, {amount} is not"
    there = ", ".join(way or "no unit" for way in ways)
    raise _refusal(condition, amount.column, why, what, f"units of {name}: {there}")


def _check_key(condition: Condition, key: KeyMatch, shape: TableShape, what: str) -> None:
    if key.name not in shape.keys:
        why = f"{shape.name} has no key {key.name!r}{_near(key.name, shape.keys)}"
        raise _refusal(
            condition, key.column, why, what, f"keys of {shape.name}: {', '.join(shape.keys) or 'none'}"
        )
    kind = shape.keys[key.name]
    hint = None
    if kind in _STACKS:
        why = f"{key.name} is a stack, and no condition names one"
    elif kind in _NUMBERS and (key.is_prefix or not _WHOLE.fullmatch(key.value)):
        why = f"{key.name} is a number, {key.value!r} is none"
    elif kind == "boolean" and (key.is_prefix or key.value not in ("true", "false")):
        why, hint = f"{key.name} is true or false", f"{key.name}=true"
    elif kind == "ip" and (key.is_prefix or not _is_address(key.value)):
        why, hint = f"{key.name} is an address, {key.value!r} is none", f"{key.name}=10.0.0.1"
    else:
        return
    raise _refusal(condition, key.column, why, what, hint)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _near(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f": did you mean {', '.join(found)}?" if found else ""


def _refusal(condition: Condition, column: int, why: str, what: str, hint: str | None) -> ValueRefused:
    return ValueRefused(f"{place_of(condition, column, what)}: {why}", hint=hint)

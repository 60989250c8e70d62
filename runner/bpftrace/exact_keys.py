"""Keys and values of a map that JSON printed, as they were before that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runner.bpftrace.json_output import whole
from runner.bpftrace.output import Pairs, PrintedMap
from runner.bpftrace.repair import restored, unescaped_key
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from runner.bpftrace.dialect import Dialect


def exact(printed: PrintedMap, dialect: Dialect) -> tuple[PrintedMap, int]:
    """Return a printed map with its damage undone, as far as that can be, and how much that was.

    :raises NotUnderstood: A key should be escaped twice and is not.
    """
    if printed.is_exact:
        return printed, 0
    value = printed.value
    if not isinstance(value, dict | Pairs):
        made = whole(value)
        return replace(printed, value=made, is_exact=True), int(made != value)
    keys = [key for key, _ in value.items()]
    unescaped = keys
    if dialect.escapes_keys_twice:
        try:
            unescaped = [unescaped_key(key) for key in keys]
        except ValueError as error:
            raise NotUnderstood(f"bpftrace printed a key that is none ({error})") from error
    made_keys = [restored(key) for key in unescaped]
    values = [each for _, each in value.items()]
    made_values = [_whole(each) for each in values]
    repaired = sum(
        key != made_key or each is not made
        for key, made_key, each, made in zip(unescaped, made_keys, values, made_values, strict=True)
    )
    return replace(printed, value=Pairs(zip(made_keys, made_values, strict=True)), is_exact=True), repaired


def _whole(value: Any) -> Any:
    """Return a value restored; the same object where nothing had to be."""
    if isinstance(value, int):
        return value
    made = whole(value)
    return value if made == value else made

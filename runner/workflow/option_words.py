"""Words of a recipe's options as names and values: what experiments write and cases keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence


def options_of(words: Sequence[str]) -> dict[str, list[str]]:
    """Return options and their values: `--pid 7` and `--pid=7` are the same.

    :raises ValueRefused: A word is no option, or an option has no value.
    """
    given: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            raise ValueRefused(f"{word!r} is no option")
        if not equals:
            value = next(rest, "")
        if not value or name == "--":
            raise ValueRefused(f"{name} has no value")
        given.setdefault(name.removeprefix("--"), []).append(value)
    return given

"""Keys that never repeat, folded, so that rows of different runs can be the same row.

Process ids, ports, addresses and names of containers are of one run mostly. A value of such a column stays
where every run of both sides has it; all others become `*`. Stacks are compared by their functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.rows import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.capture.document import KeyColumn, KeyValue

FOLDED = "*"

_OF_ONE_RUN = frozenset({"ip", "port", "cgroup"})
_NUMBERS = frozenset({"integer", "unsigned"})
_STACKS = frozenset({"kernel-stack", "user-stack"})

Key = dict[str, "KeyValue"]


def folding(columns: Sequence[KeyColumn], runs: Iterable[Iterable[Key]]) -> Callable[[Key], Key]:
    """Return what folds the keys of a table.

    :param runs: The keys of each run of both sides.
    """
    names = [column["name"] for column in columns if _is_of_one_run(column)]
    stacks = [column["name"] for column in columns if column["type"] in _STACKS]
    kept: dict[str, set[bytes]] = {}
    for place, keys in enumerate(runs):
        seen: dict[str, set[bytes]] = {name: set() for name in names}
        for key in keys:
            for name in names:
                seen[name].add(_of(key[name]))
        for name in names:
            kept[name] = kept[name] & seen[name] if place else seen[name]

    def fold(key: Key) -> Key:
        made = dict(key)
        for name in names:
            if key[name] is not None and _of(key[name]) not in kept[name]:
                made[name] = FOLDED
        for name in stacks:
            made[name] = _functions(key[name])
        return made

    return fold if names or stacks else lambda key: key


def _is_of_one_run(column: KeyColumn) -> bool:
    name = column["name"]
    is_process = name in ("pid", "tid", "ppid") or name.endswith(("_pid", "_tid"))
    return column["type"] in _OF_ONE_RUN or (is_process and column["type"] in _NUMBERS)


def _functions(stack: Any) -> Any:
    """Return a stack without addresses and offsets, which are of one start of a program."""
    if not isinstance(stack, list):
        return stack
    return [{"symbol": frame.get("symbol", "?")} for frame in stack]


def _of(value: KeyValue) -> bytes:
    return identity({"": value})

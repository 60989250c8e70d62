"""The page docs/compatibility.md: what was seen, and of what was planned and not seen, why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.laboratory.matrix.cell import Key
from tests.laboratory.matrix.places import HOST, PLANNED, Column
from tests.laboratory.matrix.store import Last, is_stale
from tests.laboratory.matrix.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.laboratory.matrix.cell import Cell
    from tests.laboratory.matrix.store import Store

_SHORT = 48
"""Characters of a reason that a cell has room for; longer ones stand below the table."""

_STALE = " †"

NOT_RUN = "nobody has run it"
"""Why a planned cell was not seen, where nothing else is known."""

_HEAD = """# Which recipe works where

`{command}` wrote this, last on {at} in {took}. Of {all} cells it saw {seen} then, {kept} had been seen before, and {unseen}
have not been seen. Those that were seen took {together} together.

Each cell is a run of the recipe around a load that does a known thing a known number of times
(`tests/laboratory/known_loads`). `works` means that the recipe counted it as often as the load did it at least, but for
those events that the capture itself says it missed: a retransmit or a switch comes more often than it must. Behind it stand the variants that did, where a recipe has several: of
function-calls and function-latency, the kinds of probes. Where nothing works stands why, and so where nobody has seen it.
A guest's kernel has the bpftrace that Debian ships with it; `make matrix PLACES=6.12+0.27.1` sees another pair.

"""
_COUNTED = """
## What was counted

What the recipe counted of each load, and what the load did at least, in the recipe's own unit (calls, requests, samples,
bytes). A variant that the runner would not choose on a kernel, because that can run a better one, is rendered for a host
without that one and run by bpftrace alone.

"""


@dataclass(slots=True)
class _Notes:
    """Texts that are too long for a cell, numbered as they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def shown(self, text: str, word: str) -> str:
        """Return a text, or a word and where the text stands."""
        clean = text.replace("|", "\\|")
        if len(clean) <= _SHORT:
            return clean
        return f"{word} [{self.numbers.setdefault(clean, len(self.numbers) + 1)}]"

    def lines(self) -> list[str]:
        """Return them as they stand below a table."""
        lines = [f"{number}. {text}" for text, number in self.numbers.items()]
        return ["", *lines] if lines else []


def page(store: Store, recipes: Sequence[str]) -> str:
    """Return the page.

    :param recipes: The rows.
    """
    columns = _columns(store)
    heads = [f"{_kernel_name(store, column)}, bpftrace {column.bpftrace}" for column in columns]
    notes, more = _Notes(), _Notes()
    short = _table(
        ["recipe", *heads],
        (
            [f"`{recipe}`", *(_summary(store, column, recipe, notes) for column in columns)]
            for recipe in recipes
        ),
    )
    long = _table(
        ["recipe", "variant", *heads],
        (
            [f"`{recipe}`", variant, *(_count(store, column, recipe, variant, more) for column in columns)]
            for recipe in recipes
            for variant in variants_of(recipe)
        ),
    )
    stale = any(is_stale(cell) for cell in store.cells.values())
    below = ["", "† seen with earlier programs of the recipe"] if stale else []
    counted = [*_COUNTED.splitlines(), *long, *below, *more.lines()]
    lines = [*_kernels(store, columns), *short, *below, *notes.lines(), *counted]
    return _head(store, recipes, columns) + "\n".join(lines) + "\n"


def _columns(store: Store) -> list[Column]:
    """Return what was planned, and what was seen or tried besides."""
    more = {Column(key.kernel, key.bpftrace) for key in store.cells} | store.missing.keys()
    return [*PLANNED, *sorted(more - set(PLANNED))]


def _kernel_name(store: Store, column: Column) -> str:
    if column.kernel != HOST:
        return f"Linux {column.kernel}"
    release = next((cell.kernel_release for key, cell in store.cells.items() if key.kernel == HOST), "")
    return f"Linux {'.'.join(release.split('.')[:2])} (host)" if release else "the host"


def _kernels(store: Store, columns: Sequence[Column]) -> list[str]:
    """Say which kernel each column's is."""
    lines = []
    for kernel in dict.fromkeys(column.kernel for column in columns):
        releases = {cell.kernel_release for key, cell in store.cells.items() if key.kernel == kernel} - {""}
        what = "this machine's own" if kernel == HOST else "a guest, emulated, with Debian's kernel"
        lines.append(f"- {kernel}: {', '.join(sorted(releases)) or 'not seen'}; {what}")
    return [*lines, ""]


def _head(store: Store, recipes: Sequence[str], columns: Sequence[Column]) -> str:
    cells = len(columns) * sum(len(variants_of(recipe)) for recipe in recipes)
    was_seen = [cell for cell in store.cells.values() if cell.outcome != "not-seen"]
    last = store.last or Last("no day", "make matrix", 0, 0)
    return _HEAD.format(
        command=last.command,
        at=last.at,
        took=_duration(last.seconds),
        seen=last.seen,
        all=cells,
        kept=len(was_seen) - last.seen,
        unseen=cells - len(was_seen),
        together=_duration(sum(cell.seconds for cell in was_seen)),
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _cell(store: Store, column: Column, recipe: str, variant: str) -> Cell | None:
    return store.cells.get(Key(column.kernel, column.bpftrace, recipe, variant))


def _why_not(store: Store, column: Column, cell: Cell | None) -> tuple[str, str]:
    """Return why a cell does not work, and the word for it where that is too long."""
    if cell is None or cell.outcome == "not-seen":
        reason = cell.reason if cell is not None else store.missing.get(column, NOT_RUN)
        return f"not seen: {reason}", "not seen"
    if cell.outcome == "failed":
        return f"failed: {cell.reason}", "failed"
    return cell.reason or "refused", "refused"


def _summary(store: Store, column: Column, recipe: str, notes: _Notes) -> str:
    """Return a recipe's cell: works, and why not besides or instead."""
    variants = variants_of(recipe)
    cells = {variant: _cell(store, column, recipe, variant) for variant in variants}
    working = [variant for variant, cell in cells.items() if cell is not None and cell.outcome == "works"]
    marked = _STALE if any(cell is not None and is_stale(cell) for cell in cells.values()) else ""
    # That a kernel cannot run a variant is nothing against one that works.
    others: dict[tuple[str, str], list[str]] = {}
    for variant, cell in cells.items():
        if variant not in working and not (working and cell is not None and cell.outcome == "refused"):
            others.setdefault(_why_not(store, column, cell), []).append(variant)
    parts = [f"works ({', '.join(working)})" if len(variants) > 1 else "works"] if working else []
    for (text, word), names in others.items():
        own = f"{', '.join(names)}: " if working or len(others) > 1 else ""
        parts.append(own + notes.shown(text, word))
    return "; ".join(parts) + marked


def _count(store: Store, column: Column, recipe: str, variant: str, notes: _Notes) -> str:
    cell = _cell(store, column, recipe, variant)
    marked = _STALE if cell is not None and is_stale(cell) else ""
    if cell is None or cell.outcome != "works":
        return notes.shown(*_why_not(store, column, cell)) + marked
    against = f" ({notes.shown(cell.reason, 'degraded')})" if cell.reason else ""
    return f"{cell.seen:,} of {cell.expected:,}{against}{marked}"

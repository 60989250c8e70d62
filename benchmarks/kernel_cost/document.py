"""docs/cost.md: what was measured of every recipe, as people read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.kernel_cost.stored import releases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.kernel_cost.stored import Figure, Measured

_HEAD = """# What recipes cost

Made by `make bench-kernel`: each recipe runs under a load that does one thing a known number of times, in
turn with bpftrace's own tool and with those of libbpf-tools that do the same or nearly so. Most of these do
less. So there is a third kind: the recipe's tables, written by hand in plain bpftrace
(`benchmarks/kernel_cost/plain`, for recipes where that is short): names as texts, `hist()` with buckets of a
power of two each, and nothing that keeps figures true where maps are full, names hold anything, ids are used
again, events are missed or 32-bit programs call.

Nanoseconds are those that the kernel counts (`BPF_ENABLE_STATS`) inside all programs of a tool, for each
event of the load, in the cheapest round: whatever else runs on a machine makes the others dearer. They are a
lower bound, for entering and leaving a probe is outside of them. So the load is timed, too, with that
counting off: the slowdown is by what part of its time it takes longer with the tool than without. A load
that does one thing and nothing else is the worst case; an application does other work between two events.
With `--pid 1` (`-p 1`) a tool is asked for another process: that is the price of what nobody asked for.
Times of loads vary by a tenth or two from run to run on a virtual machine, nanoseconds by a twentieth: a
slowdown below zero is none.

All figures of a recipe are of one run: their ratios hold on other machines better than they do themselves.
"""

_NONE = "none"


def as_page(measured: Mapping[str, Measured]) -> str:
    """Return the page."""
    all_of_it = [measured[name] for name in sorted(measured)]
    return "".join(
        (_HEAD, *_overview(all_of_it), *_where(all_of_it), *(_details(each) for each in all_of_it))
    )


def _overview(measured: Sequence[Measured]) -> Iterable[str]:
    known = releases(measured)
    yield "\n## All recipes\n\n"
    yield (
        "Nanoseconds for an event, and the slowdown of the load, by release of bpftrace. Ratios are the\n"
        "recipe's nanoseconds by those of the other tool: below 1 the recipe is cheaper. Plain bpftrace\n"
        "has the recipe's keys, or nearly; most other tools do less: a recipe names the process that an\n"
        "event is of, by id and name, and has more keys. In what the work of each differs, the tables\n"
        "below say.\n\n"
    )
    head = ["recipe", "event"]
    head += [f"{release}: ns (slowdown)" for release in known]
    head += [f"{release}: by plain bpftrace" for release in known]
    head += [f"{release}: by bpftrace's tool" for release in known]
    head += [f"{known[-1]}: by libbpf-tools"] if known else []
    yield _row(head) + _row(["---"] * len(head))
    for one in measured:
        ours = {release: _first(one.of("recipe", release)) for release in known}
        cells = [f"[{one.recipe}](#{one.recipe})", one.event]
        cells += [_cost(ours[release]) for release in known]
        for kind in ("plain", "script"):
            cells += [_ratios(ours[release], one.of(kind, release)) for release in known]
        cells.append(_ratios(ours[known[-1]], one.of("libbpf")))
        yield _row(cells)


def _where(measured: Sequence[Measured]) -> Iterable[str]:
    yield "\n## Where and when\n\n"
    runs: dict[tuple[str, str, str, int], list[str]] = {}
    for one in measured:
        runs.setdefault((one.date, one.machine, one.libbpf_tools, one.rounds), []).append(one.recipe)
    for (date, machine, libbpf_tools, rounds), recipes in sorted(runs.items()):
        shown = "all recipes" if len(recipes) == len(measured) else ", ".join(recipes)
        tools = f", libbpf-tools {libbpf_tools}" if libbpf_tools else ""
        yield f"- {date}, {machine}{tools}; {rounds} rounds: {shown}\n"


def _details(one: Measured) -> str:
    lines = [f"\n## {one.recipe}\n\n", f"Load: {one.load}.\n\n"]
    head = [
        "tool",
        "bpftrace",
        f"ns per {one.event}",
        "slowdown",
        "programs: runs for an event, ns of each",
        "its work differs",
    ]
    lines += [_row(head), _row(["---"] * len(head))]
    for each in one.figures:
        name = f"**{each.name}**" if each.kind == "recipe" else f"`{each.name}`"
        lines.append(
            _row(
                [
                    name,
                    each.release or "libbpf-tools",
                    _escaped(each.why_not) if each.ns is None else f"{each.ns:,.0f}{_lost(each)}",
                    "" if each.slowdown is None else _percent(each.slowdown),
                    _programs(each),
                    each.differs,
                ]
            )
        )
    return "".join(lines)


def _first(figures: Sequence[Figure]) -> Figure | None:
    return figures[0] if figures else None


def _cost(figure: Figure | None) -> str:
    if figure is None:
        return "not measured"
    if figure.ns is None or figure.slowdown is None:
        return _escaped(figure.why_not)
    return f"{figure.ns:,.0f} ({_percent(figure.slowdown)}){_lost(figure)}"


def _ratios(ours: Figure | None, others: Sequence[Figure]) -> str:
    """Return our cost by that of each other tool."""
    if not others:
        return _NONE
    cells = []
    for each in others:
        name = f"{each.name}: " if len(others) > 1 else ""
        if each.ns is None:
            cells.append(f"{name}{_escaped(each.why_not)}")
        elif ours is not None and ours.ns is not None:
            cells.append(f"{name}{ours.ns / each.ns:.2f}")
        else:
            cells.append(f"{name}{each.ns:,.0f} ns, ours not measured")
    return ", ".join(cells)


def _programs(figure: Figure) -> str:
    """Return the programs that ran for the load: less often than for one event in a hundred is by chance."""
    often = [each for each in figure.programs if each[1] >= 0.01]
    return ", ".join(f"{Path(probe).name} {runs:.2f} of {ns:,.0f}".strip() for probe, runs, ns in often)


def _lost(figure: Figure) -> str:
    """Return what is to be said of output that was lost, which costs less than output that is not."""
    return f", {figure.lost:.2f} lines lost for an event" if figure.lost >= 0.005 else ""


def _percent(ratio: float) -> str:
    return f"{ratio:+.0%}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")

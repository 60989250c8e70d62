"""How full the table of tracked connections is, and what it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.capture.declaration import Unit

_REFUSED: tuple[tuple[str, str, Unit], ...] = (
    ("conntrack_insert_failed", "insert_failed", "packets"),
    ("conntrack_drops", "drop", "packets"),
    ("conntrack_early_drops", "early_drop", "connections"),
)


def conntrack_facts(proc: Path, net: Path, pid: int | None) -> Iterator[Fact]:
    """Read the table of one network namespace.

    Its greatest size is the runner's namespace's: the others' cannot be read from outside, and is the
    same unless somebody set it there.

    :param net: The namespace's folder in /proc.
    :param pid: The process that the namespace is called by.
    """
    settings, statistics = proc / "sys/net/netfilter", net / "stat/nf_conntrack"
    names, rows = _statistics(read_lines(statistics))
    count = settings / "nf_conntrack_count"
    if pid is None:
        entries = whole_number("".join(read_lines(count)[:1]))
    else:
        # That file is of the reader's namespace. Each processor's row repeats the number of entries.
        count = statistics
        entries = rows[0][names.index("entries")] if rows and "entries" in names else None
    most = whole_number("".join(read_lines(settings / "nf_conntrack_max")[:1]))
    if entries is not None:
        yield Fact("conntrack_entries", str(count), "connections", entries, pid=pid)
    if entries is not None and most is not None:
        yield Fact("conntrack_max", str(settings / "nf_conntrack_max"), "connections", most, pid=pid)
    for name, column, unit in _REFUSED:
        if rows and column in names:
            place = names.index(column)
            yield Fact(name, str(statistics), unit, sum(row[place] for row in rows), pid=pid)


def _statistics(lines: list[str]) -> tuple[list[str], list[list[int]]]:
    """Return the names of the columns, and the numbers of each processor, which are hexadecimal."""
    names = lines[0].split() if lines else []
    rows = []
    for line in lines[1:]:
        numbers = [whole_number(word, 16) for word in line.split()]
        if len(numbers) == len(names) and None not in numbers:
            rows.append([number for number in numbers if number is not None])
    return names, rows

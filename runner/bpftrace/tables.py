"""From printed maps to the tables that a recipe declares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.bpftrace.keys import decode_key, has_unnamed_cgroup, split_key, text_words, typed_parts, unsigned
from runner.bpftrace.output import Pairs
from runner.bpftrace.stacks import decode_stack
from runner.bpftrace.values import count_and_total, hist_counts, in_64_bits, integer, series_points
from runner.capture.declaration import STACK_DEPTH
from runner.capture.extremes import extreme
from runner.capture.quality import problem
from runner.capture.rows import AnyRow, histogram_row, identity, sorted_rows, stats_row
from runner.capture.words import is_cut
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runner.bpftrace.dialect import Dialect
    from runner.bpftrace.keys import Parts
    from runner.bpftrace.messages import Messages
    from runner.bpftrace.names import Names
    from runner.capture.buckets import BucketBounds
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import KeyValue, Problem, Table

_NATIVE = ("hist", "tseries")
"""Message types of maps whose values hold what otherwise stands in the last part of the key."""

_ADDS_UP = ("count", "sum", "histogram")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a run besides what it printed.

    :param room: How many keys each map had room for.
    :param is_whole: Whether all maps were printed: only then is an absent count a zero.
    :param time_of: The UTC time (RFC 3339) of a reading, in nanoseconds, of the clock behind `nsecs`.
    """

    dialect: Dialect
    names: Names
    room: int
    is_whole: bool = True
    is_one_moment: bool = True
    """Whether all maps were read when nothing counted any more: only then a table and its total agree."""
    time_of: Callable[[int], str] = str


@dataclass(slots=True)
class _Cell:
    """One cell of a map as it was printed."""

    parts: Parts
    extra: Parts
    value: Any
    is_damaged: bool = False


@dataclass(slots=True)
class _Group:
    """The cells whose keys are one row."""

    key: dict[str, KeyValue]
    is_owned: bool
    is_damaged: bool
    cells: list[_Cell] = field(default_factory=list)


def decode_tables(
    declarations: Sequence[TableDeclaration], messages: Messages, context: Context
) -> tuple[list[Table], list[Problem]]:
    """Decode every declared table.

    :returns: The tables, in the order of their declarations, and what is wrong with them.
    :raises NotUnderstood: A map was printed in a shape that its declaration does not have.
    """
    tables: list[Table] = []
    problems: list[Problem] = []
    cells_of = {}
    for declaration in declarations:
        cells = list(_cells(declaration, messages, context.dialect))
        cells_of[declaration.name] = cells
        groups = _groups(declaration, cells, context)
        table: Table = {
            "name": declaration.name,
            "map": declaration.map,
            "kind": declaration.kind,
            "unit": declaration.unit,
            "keys": [{"name": key.name, "type": key.type} for key in declaration.keys],
            "rows": _rows(declaration, groups, messages, context),
        }
        if declaration.total_of is not None:
            table["total_of"] = declaration.total_of
        if declaration.unfollowed_of is not None:
            table["unfollowed_of"] = declaration.unfollowed_of
        if declaration.events_of is not None:
            table["events_of"] = declaration.events_of
        if declaration.unreturned_of is not None:
            table["unreturned_of"] = declaration.unreturned_of
        if declaration.unseen_of is not None:
            table["unseen_of"] = declaration.unseen_of
        if declaration.above_of is not None:
            of, parameter = declaration.above_of
            table["above_of"] = {"table": of, "parameter": parameter}
        if declaration.better is not None:
            table["better"] = declaration.better
        tables.append(table)
        problems += _cuts(declaration, groups, context.names)
    problems += _overflows(declarations, tables, cells_of, messages, context)
    problems += _unreturned(tables)
    problems += _unseen(tables)
    return tables, problems


def unowned_sockets(
    declarations: Sequence[TableDeclaration], messages: Messages, dialect: Dialect
) -> set[int]:
    """Return the inodes of the sockets whose owner no probe saw.

    :raises NotUnderstood: A map was printed in a shape that its declaration does not have.
    """
    found = set()
    for declaration in declarations:
        if declaration.socket_column is None:
            continue
        names = [key.name for key in declaration.keys for _ in range(key.parts)]
        place = names.index(declaration.socket_column)
        for cell in _cells(declaration, messages, dialect):
            found.add(int(cell.parts[place]))
    return found - {0}


def _cells(declaration: TableDeclaration, messages: Messages, dialect: Dialect) -> Iterator[_Cell]:
    """Return every cell of the map that carries a table."""
    printed = messages.maps.get(declaration.map)
    if printed is None or printed.value == []:
        return  # never written, cleared, or a zeroed histogram
    data = printed.value
    extra = 0 if printed.type in _NATIVE else declaration.extra_parts
    if not declaration.keys and not extra:
        yield _Cell([], [], data)
        return
    if not isinstance(data, Pairs):
        raise NotUnderstood(f"{declaration.map} was printed without keys: {data!r}")
    pool = _looped(declaration, messages, dialect, extra)
    for key, value in data:
        exact = pool.get((key, str(value)))
        if exact:
            yield exact.pop()
            continue
        parts, rest = split_key(declaration, key, extra, printed.separator)
        yield _Cell(
            parts,
            rest,
            value,
            is_damaged=printed.drops_spaces(dialect) and _has_symbols(declaration, parts),
        )


def _looped(
    declaration: TableDeclaration, messages: Messages, dialect: Dialect, extra: int
) -> dict[tuple[str, str], list[_Cell]]:
    """Return the rows that the program printed one by one, by what the map's own printing makes of them.

    The map's printing has every row, and keys without spaces; the rows have the exact keys, and may have
    been lost on their way.
    """
    pool: dict[tuple[str, str], list[_Cell]] = {}
    if not dialect.drops_spaces_of_keys:
        return pool
    for key, value in messages.rows.get(declaration.map, ()):
        parts, rest = typed_parts(declaration, key, extra)
        squeezed = ",".join([*parts, *rest]).replace(" ", "")
        pool.setdefault((squeezed, str(value)), []).append(_Cell(parts, rest, value))
    return pool


def _has_symbols(declaration: TableDeclaration, parts: Parts) -> bool:
    """Return whether a key has symbols that anybody may have named: addresses have no spaces to lose."""
    is_user = any(key.type == "user-stack" for key in declaration.keys)
    return is_user and any("symbol" in frame for frame in decode_stack(parts[-1]))


def _groups(declaration: TableDeclaration, cells: Sequence[_Cell], context: Context) -> list[_Group]:
    groups: dict[tuple[bytes, bool, bool], _Group] = {}
    for cell in cells:
        key, is_owned = decode_key(declaration, cell.parts, context.names)
        group = groups.setdefault(
            (identity(key), is_owned, cell.is_damaged), _Group(key, is_owned, cell.is_damaged)
        )
        group.cells.append(cell)
    return list(groups.values())


def _rows(
    declaration: TableDeclaration, groups: list[_Group], messages: Messages, context: Context
) -> list[AnyRow]:
    if not declaration.keys and not groups and context.is_whole and declaration.kind in _ADDS_UP:
        return [_row(declaration, _Group({}, is_owned=True, is_damaged=False), "", context)]
    printed = messages.maps.get(declaration.map)
    printed_as = printed.type if printed is not None else ""
    rows = []
    for group in groups:
        row = _row(declaration, group, printed_as, context)
        if not group.is_owned:
            row["unattributed"] = True
        if group.is_damaged:
            row["damaged"] = [key.name for key in declaration.keys if key.type == "user-stack"]
        rows.append(row)
    return sorted_rows(rows)


def _row(declaration: TableDeclaration, group: _Group, printed_as: str, context: Context) -> AnyRow:
    cells = group.cells
    values = [cell.value for cell in cells]
    match declaration.kind:
        case "histogram":
            return histogram_row(group.key, _counts(declaration, cells, printed_as, context))
        case "time-series":
            return {"key": group.key, "points": _points(declaration, cells, printed_as, context)}
        case "stats":
            each = [count_and_total(declaration, value) for value in values]
            total = in_64_bits(declaration, sum(total for _, total in each))
            return stats_row(group.key, unsigned(sum(count for count, _ in each)), total)
        case "min" | "max" as kind:
            by_bit: dict[int, int] = {}
            for cell in cells:
                bit = _whole(declaration, cell.extra[0])
                by_bit[bit] = max(integer(declaration, cell.value), by_bit.get(bit, 0))
            return {"key": group.key, "value": extreme(kind, by_bit, is_unsigned=declaration.unsigned)}
        case "count" | "sum":
            total = sum(integer(declaration, value) for value in values)
            return {"key": group.key, "value": in_64_bits(declaration, total)}
    if len(values) > 1:
        raise NotUnderstood(f"{declaration.map}: two values for the one key {group.key}")
    return {"key": group.key, "value": integer(declaration, values[0])}


def _counts(
    declaration: TableDeclaration, cells: Sequence[_Cell], printed_as: str, context: Context
) -> Counter[BucketBounds]:
    counts: Counter[BucketBounds] = Counter()
    for cell in cells:
        if printed_as == "hist":
            counts.update(hist_counts(declaration, cell.value, context.dialect))
            continue
        assert declaration.buckets is not None
        index = _whole(declaration, cell.extra[0])
        try:
            bounds = declaration.buckets.bounds(index, is_unsigned=declaration.unsigned)
        except ValueError as error:
            raise NotUnderstood(f"{declaration.map}: {error}") from error
        counts[bounds] += integer(declaration, cell.value)
    return counts


def _points(
    declaration: TableDeclaration, cells: Sequence[_Cell], printed_as: str, context: Context
) -> list[Any]:
    if printed_as == "tseries":
        return [point for cell in cells for point in series_points(declaration, cell.value)]
    assert declaration.interval_ns is not None
    sums: Counter[int] = Counter()
    for cell in cells:
        sums[_whole(declaration, cell.extra[0])] += integer(declaration, cell.value)
    return [
        {"time": context.time_of(index * declaration.interval_ns), "value": sums[index]}
        for index in sorted(sums)
    ]


def _whole(declaration: TableDeclaration, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise NotUnderstood(f"{declaration.map}: {text!r} is not the number that ends its keys") from error


def _cuts(declaration: TableDeclaration, groups: Sequence[_Group], names: Names) -> Iterator[Problem]:
    """Find what was longer than what is kept of it, and what was damaged."""
    strings = sum(
        any(
            is_cut(words, names.byteorder)
            for cell in group.cells
            for _, words in text_words(declaration, cell.parts)
        )
        for group in groups
    )
    if strings:
        yield problem("strings-cut", strings, f"{declaration.name}: texts of {strings} rows may go on")
    # A depth that the recipe chose cuts nothing that it wants.
    whole = [key.name for key in declaration.keys if key.is_stack and key.depth == STACK_DEPTH]
    stacks = sum(
        any(len(group.key[name]) >= STACK_DEPTH for name in whole)  # type: ignore[arg-type]
        for group in groups
    )
    if stacks:
        yield problem("stacks-cut", stacks, f"{declaration.name}: stacks of {stacks} rows may go on")
    unnamed = sum(
        any(has_unnamed_cgroup(declaration, cell.parts, names) for cell in group.cells) for group in groups
    )
    if unnamed:
        yield problem(
            "cgroups-unnamed", unnamed, f"{declaration.name}: {unnamed} rows are of cgroups without a name"
        )
    damaged = sum(group.is_damaged for group in groups)
    if damaged:
        yield problem(
            "rows-damaged", damaged, f"{declaration.name}: {damaged} rows lost the spaces of symbols"
        )


def _unreturned(tables: Sequence[Any]) -> Iterator[Problem]:
    for table in tables:
        missed = sum(row["value"] for row in table["rows"]) if "unreturned_of" in table else 0
        if missed:
            yield problem(
                "returns-missed",
                missed,
                f"{table['unreturned_of']}: {missed} calls were not followed to their return, for too many "
                "were under way at a time",
            )


def _unseen(tables: Sequence[Any]) -> Iterator[Problem]:
    for table in tables:
        missed = sum(row["value"] for row in table["rows"]) if "unseen_of" in table else 0
        if missed:
            yield problem(
                "ends-missed",
                missed,
                f"{table['unseen_of']}: the kernel did not run the program at the end of {missed} of them",
            )


def _overflows(
    declarations: Sequence[TableDeclaration],
    tables: Sequence[Table],
    cells_of: dict[str, list[_Cell]],
    messages: Messages,
    context: Context,
) -> Iterator[Problem]:
    """Find tables that had no room for all their keys: bpftrace before 0.23 says nothing of it."""
    by_name: dict[str, Any] = {table["name"]: table for table in tables}
    checked = set()
    counted_refusals = 0
    raced = sum(times for error, times in messages.errors.items() if error.is_lost_first_count)
    for declaration in declarations:
        if declaration.unfollowed_of is None:
            continue
        lost = sum(row["value"] for row in by_name[declaration.name]["rows"])
        if lost:
            counted_refusals += lost
            yield problem(
                "map-full",
                lost,
                f"{declaration.unfollowed_of}: {lost} events could not be followed, for a map of the program "
                f"had no room for more than {context.room} keys",
            )
    for declaration in declarations:
        if declaration.total_of is None or not context.is_one_moment:
            continue
        checked.add(declaration.total_of)
        total = sum(row["value"] for row in by_name[declaration.name]["rows"])
        counted = sum(row.get("value", row.get("count")) for row in by_name[declaration.total_of]["rows"])
        # These are told apart from a lack of room (first-counts-lost).
        missing = total - counted - raced
        if missing > 0:
            counted_refusals += missing
            yield problem(
                "map-full",
                missing,
                f"{declaration.total_of} had no room for more than {context.room} cells: "
                f"{missing} of {total} events are in no row",
            )
    refused = sum(times for error, times in messages.errors.items() if error.is_full_map)
    full = [
        declaration.name
        for declaration in declarations
        if (declaration.keys or declaration.extra_parts)
        and declaration.name not in checked
        and len(cells_of[declaration.name]) * _cells_per_row(declaration, context.dialect) >= context.room
    ]
    is_told = context.dialect.refusals_are_told and not messages.lost_events
    if full and (refused or not is_told):
        yield problem(
            "map-full",
            refused or None,
            f"no room for more than {context.room} cells in {', '.join(full)}: "
            + (f"at least {refused} updates were refused" if refused else "more may be missing"),
        )
    elif refused > counted_refusals:
        yield problem(
            "map-full",
            refused - counted_refusals,
            f"a map of the program is full: at least {refused - counted_refusals} more updates were refused",
        )


def _cells_per_row(declaration: TableDeclaration, dialect: Dialect) -> int:
    return 2 if dialect.splits_averages and declaration.kind in ("stats", "avg") else 1

"""Tables of maps that nobody declared, typed from what was printed and from the script where it is there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from runner.bpftrace.dialect import Dialect
from runner.bpftrace.exact_keys import exact
from runner.bpftrace.foreign_keys import (
    cut_keys,
    is_integer,
    is_stack,
    key_values,
    may_have_had_spaces,
    note_stacks,
)
from runner.bpftrace.output import Pairs, PrintedMap
from runner.bpftrace.said import plain
from runner.bpftrace.stacks import decode_stack
from runner.bpftrace.values import count_and_total, hist_counts, series_points
from runner.capture.declaration import Kind, TableDeclaration
from runner.capture.rows import AnyRow, histogram_row, row_identity, sorted_rows, stats_row
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runner.bpftrace.evidence import Evidence
    from runner.bpftrace.foreign_keys import CutKey
    from runner.bpftrace.script import MapUse
    from runner.capture.document import KeyColumn, KeyValue, Table

_DOUBLE = 1 << 53
_ARRAY = re.compile(r"\[(-?[0-9]{1,19}(?:,-?[0-9]{1,19})*)?\]")
_NAMING = re.compile(
    r"(?:(?:args(?:->|\.)|\$)(?=\w))?(?P<name>[A-Za-z_]\w*)(?<!true)(?<!false)(?<![A-Z])(?<![A-Z]\d)"
)
"""Builtins, fields of a tracepoint and variables name a column; constants do not."""

_WITHOUT_SPACES = ("kstack", "ksym(", "probe", "username")
"""Expressions whose texts are the kernel's or the system's own words, and have no spaces."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_SATURATED = (1 << 31, (1 << 32) - 1)
_PLAIN = Dialect()
"""What keys are taken for where the release is not known."""

_ADDS_UP: tuple[Kind, ...] = ("count", "sum", "histogram")


@dataclass(slots=True)
class Doubts:
    """How many rows of the output are less than exact.

    :param ambiguous: Can be read in more than one way; they have the key as it was printed.
    :param spaces: Have keys that JSON printed without their spaces (since 0.24).
    :param parentheses: Have a text as key whose own parentheses, if any, were not printed (since 0.24).
    :param repaired: Values that were printed damaged, and restored.
    """

    ambiguous: int = 0
    spaces: int = 0
    parentheses: int = 0
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class LoopedRows:
    """Rows that the program printed one by one, with the exact keys, as JSON (key and value) or as text."""

    pairs: Sequence[tuple[Any, Any]] = ()
    texts: Collection[str] = frozenset()


@dataclass(slots=True)
class _Draft:
    """A table in the making."""

    name: str
    kind: Kind
    columns: list[str]
    rows: list[AnyRow] = field(default_factory=list)
    ambiguous: set[int] = field(default_factory=set)
    """The identities of the rows that can be read in more than one way."""

    def set_ambiguous(self, row: AnyRow, names: Sequence[str]) -> None:
        """Mark a row."""
        self.ambiguous.add(id(row))
        row["ambiguous"] = sorted({*row.get("ambiguous", ()), *names})


_NO_ROWS = LoopedRows()


def foreign_table(
    name: str,
    printed: PrintedMap,
    evidence: Evidence,
    use: MapUse | None,
    doubts: Doubts,
    looped: LoopedRows = _NO_ROWS,
) -> Table:
    """Return the table of one printing of a map.

    :param use: What the script says of the map.
    :param doubts: Counts what is less than exact.
    :param looped: The map's rows that were printed one by one besides.
    :raises NotUnderstood: It has no shape that bpftrace prints.
    """
    if printed.separator == "," and isinstance(printed.value, dict | Pairs):
        note_stacks((key for key, _ in printed.value.items()), evidence)
    is_escaped = evidence.first >= (0, 22) and evidence.last < (0, 24)
    may_be_escaped = evidence.may_be_since((0, 22)) and evidence.may_be_before((0, 24))
    is_open = may_be_escaped and not is_escaped and printed.separator == ","
    # Where the release may or may not escape keys twice they stay as they were printed.
    dialect = evidence.dialect
    known, repaired = exact(printed, dialect if not is_open else _PLAIN)
    if use is not None and use.kind == "histogram" and known.type == "map" and _is_empty(known):
        # Up to 0.22 a zeroed histogram looks in text as an empty text does.
        known = replace(known, type="hist", value=_zeroed(known))
    doubts.repaired += repaired
    has_keys = _has_keys(known, use)
    kind = _kind(known, use, has_keys=has_keys)
    declaration = TableDeclaration(name.removeprefix("@") or "@", name, kind, "none")
    entries = list(known.value.items()) if has_keys else [("", known.value)]
    if not has_keys and isinstance(known.value, Pairs) and not known.value:
        entries = []  # cleared
    if has_keys:
        count, keys = cut_keys(
            [key for key, _ in entries], known.separator, use.parts or None if use else None
        )
        columns = _names(count, use)
    else:
        keys, columns = [], []
    sources = use.columns if use is not None and len(use.columns) == len(columns) else [""] * len(columns)
    draft = _Draft(name, kind, columns)
    values = _columns(keys, len(columns))
    exact_keys = _exact_keys(looped.pairs, len(columns))
    shown = _values([value for _, value in entries], known, kind) if kind not in _SHAPED else []
    for place, (_, value) in enumerate(entries):
        cut = keys[place] if has_keys else None
        key = {column: values[number][place] for number, column in enumerate(columns)}
        row = _row(declaration, key, shown[place] if shown else value, evidence)
        if "ambiguous" in row:
            draft.ambiguous.add(id(row))
        if (
            kind == "value"
            and known.separator == ","
            and evidence.may_be_since((0, 24))
            and _is_great(row["value"])
        ):
            draft.set_ambiguous(row, ["value"])  # a text, or an integer that a double cannot hold
        if cut is not None:
            found = exact_keys.get((_squeezed(cut.printed), str(value)))
            if found:
                row["key"] = dict(zip(columns, found.pop(), strict=True))
            elif f"({name}, ({cut.printed}), {value})" in looped.texts and len(columns) == 1:
                row["key"] = {columns[0]: plain(f"({cut.printed})")}
            elif f"({name}, {cut.printed}, {value})" in looped.texts and len(columns) == 1:
                pass  # as it is printed
            else:
                _mark(row, cut, draft, known, evidence, doubts, is_open=is_open, sources=sources)
        if (place, "key") in known.doubtful:
            draft.set_ambiguous(row, columns or ["value"])
        if (place, "value") in known.doubtful:
            draft.set_ambiguous(row, ["value"])
        draft.rows.append(row)
    rows = _merged(draft)
    doubts.ambiguous += len(draft.ambiguous)
    key_columns: list[KeyColumn] = [{"name": column, "type": _type(rows, column)} for column in columns]
    return {
        "name": declaration.name, "map": name, "kind": kind, "unit": None, "keys": key_columns,
        "rows": sorted_rows(rows),
    }  # fmt: skip


def _is_empty(printed: PrintedMap) -> bool:
    values = [value for _, value in printed.value] if isinstance(printed.value, Pairs) else [printed.value]
    return all(value == "" for value in values)


def _zeroed(printed: PrintedMap) -> Any:
    return Pairs((key, []) for key, _ in printed.value) if isinstance(printed.value, Pairs) else []


_SHAPED: tuple[Kind, ...] = ("histogram", "stats", "time-series")


def _has_keys(printed: PrintedMap, use: MapUse | None) -> bool:
    if printed.has_keys is not None:
        return printed.has_keys
    if not isinstance(printed.value, Pairs):
        return False
    if use is not None and use.parts is not None:
        return use.parts > 0
    names = {key for key, _ in printed.value}
    if printed.type == "stats" and names == {"count", "average", "total"}:
        return False
    # A structure has members of several kinds; what a map holds is all of one.
    kinds = {type(value) for _, value in printed.value}
    return bool(names) and (len(kinds) == 1 or not all(_IDENTIFIER.fullmatch(name) for name in names))


def _kind(printed: PrintedMap, use: MapUse | None, *, has_keys: bool) -> Kind:
    if printed.type == "hist":
        return "histogram"
    if printed.type == "tseries":
        return "time-series"
    values = [value for _, value in printed.value.items()] if has_keys else [printed.value]
    if printed.type == "stats":
        return "stats" if all(isinstance(value, dict | Pairs) for value in values) else "avg"
    if use is not None and use.kind is not None and all(type(v) is int or _is_great(v) for v in values):
        return use.kind if use.kind not in _SHAPED else "value"
    return "value"


def _names(count: int, use: MapUse | None) -> list[str]:
    given = use.columns if use is not None and len(use.columns) == count else [""] * count
    names = [match["name"] if (match := _NAMING.fullmatch(each)) else "" for each in given]
    taken = Counter(names)
    plain_names = ["key"] if count == 1 else [f"key{number}" for number in range(1, count + 1)]
    return [
        name if name and taken[name] == 1 and name not in plain_names else default
        for name, default in zip(names, plain_names, strict=True)
    ]


def _columns(keys: Sequence[CutKey], count: int) -> list[list[KeyValue]]:
    """Return the values of each column; a key that was not cut stands in the first, as it was printed."""
    whole = [key.parts for key in keys if key.parts is not None]
    typed = [iter(key_values(parts[number] for parts in whole)) for number in range(count)]
    columns: list[list[KeyValue]] = [[] for _ in range(count)]
    for key in keys:
        for number, column in enumerate(columns):
            if key.parts is not None:
                column.append(next(typed[number]))
            else:
                column.append(key_values([key.printed])[0] if number == 0 else None)
    return columns


def _exact_keys(looped: Sequence[tuple[Any, Any]], count: int) -> dict[tuple[str, str], list[list[KeyValue]]]:
    """Return the exact keys of rows, by what JSON's printing of the map makes of them."""
    pool: dict[tuple[str, str], list[list[KeyValue]]] = {}
    for key, value in looped:
        parts = key if isinstance(key, list) else [key]
        if len(parts) != count:
            continue
        texts = [_part_text(part) for part in parts]
        joined = ",".join(texts)
        if count == 1 and joined.startswith("(") and joined.endswith(")"):
            joined = joined[1:-1]
        pool.setdefault((_squeezed(joined), str(value)), []).append([_part(part) for part in parts])
    return pool


def _part(part: Any) -> KeyValue:
    if isinstance(part, str) and is_stack(part):
        return decode_stack(part)
    if _is_great(part):
        return int(part)
    return plain(part)  # type: ignore[no-any-return]


def _part_text(part: Any) -> str:
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, list):
        return "(" + ",".join(map(_part_text, part)) + ")"
    return str(part)


def _squeezed(key: str) -> str:
    return key.replace(" ", "")


def _values(values: list[Any], printed: PrintedMap, kind: Kind) -> list[Any]:
    """Return plain values typed: all of a map's are of one type."""
    if printed.separator == ", ":
        # Text shows no types: numbers and arrays of numbers are those where all values are.
        if any(type(value) is str for value in values):
            values = [str(value) for value in values]
        if values and all(type(value) is str and _ARRAY.fullmatch(value) for value in values):
            return [[int(each) for each in value[1:-1].split(",") if each] for value in values]
    elif kind != "value" or any(type(value) is int for value in values):
        values = [int(value) if _is_great(value) else value for value in values]
    return [
        decode_stack(value) if type(value) is str and is_stack(value) else plain(value) for value in values
    ]


def _is_great(value: Any) -> bool:
    """Whether a text is an integer that a double cannot hold: since 0.24 JSON prints those as texts."""
    return type(value) is str and is_integer(value) and abs(int(value)) >= _DOUBLE


def _row(declaration: TableDeclaration, key: dict[str, KeyValue], value: Any, evidence: Evidence) -> AnyRow:
    match declaration.kind:
        case "histogram":
            counts = hist_counts(declaration, value, evidence.dialect)
            row: AnyRow = histogram_row(key, counts)
            if _SATURATED in counts and evidence.may_be_before((0, 20)):
                if evidence.may_be_since((0, 20)):
                    row["ambiguous"] = ["buckets"]
                else:
                    counts[_SATURATED[0], None] = counts.pop(_SATURATED)
                    row = histogram_row(key, counts)
            return row
        case "stats":
            return stats_row(key, *count_and_total(declaration, value))
        case "time-series":
            return {"key": key, "points": series_points(declaration, value)}
    if declaration.kind != "value" and type(value) is not int:
        raise NotUnderstood(f"{declaration.map}: {value!r} is not a whole number")
    return {"key": key, "value": value}


def _mark(
    row: AnyRow,
    cut: CutKey,
    draft: _Draft,
    printed: PrintedMap,
    evidence: Evidence,
    doubts: Doubts,
    *,
    is_open: bool,
    sources: Sequence[str],
) -> None:
    """Say what cannot be known of a key."""
    columns = draft.columns
    parts = cut.parts or (cut.printed,)
    is_json = printed.separator == ","
    is_text_alone = len(columns) == 1 and not is_stack(parts[0])
    if cut.parts is None or (is_open and "\\" in cut.printed):
        draft.set_ambiguous(row, columns)
    lost = [
        column
        for column, part, source in zip(columns, parts, sources, strict=False)
        if may_have_had_spaces(part) and not source.startswith(_WITHOUT_SPACES)
    ]
    if is_json and evidence.first >= (0, 24) and lost:
        row["damaged"] = lost
        doubts.spaces += 1
    elif is_json and evidence.may_be_since((0, 24)) and lost:
        draft.set_ambiguous(row, lost)
    elif not is_json and evidence.may_be_since((0, 24)) and lost and is_text_alone:
        row["ambiguous"] = sorted({*row.get("ambiguous", ()), *lost})
        doubts.parentheses += 1


def _merged(draft: _Draft) -> list[AnyRow]:
    """Return the rows with equal keys put together where their values add up, else marked."""
    by_key: dict[bytes, Any] = {}
    rows: list[AnyRow] = []
    for row in draft.rows:
        first: Any = by_key.setdefault(row_identity(row), row)
        if first is row:
            rows.append(row)
        elif draft.kind == "histogram":
            counts = Counter({(b["lower"], b["upper"]): b["count"] for b in first["buckets"]})
            counts.update({(b["lower"], b["upper"]): b["count"] for b in row["buckets"]})
            first.update(histogram_row(first["key"], counts))
        elif draft.kind in _ADDS_UP:
            first["value"] += row["value"]
        else:
            for each in (first, row):
                draft.set_ambiguous(each, draft.columns or ["value"])
            rows.append(row)
    return rows


def _type(rows: Sequence[AnyRow], column: str) -> Any:
    """Return the type of a column, where all of its values have one."""
    kinds = {
        type(row["key"][column]) for row in rows if "ambiguous" not in row or row["key"][column] is not None
    }
    if kinds <= {str, dict}:
        return "string" if kinds else None
    return {bool: "boolean", int: "integer"}.get(kinds.pop()) if len(kinds) == 1 else None

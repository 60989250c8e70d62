"""The rows of all tables but the deciding outcome, matched over runs, and which seem to have changed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.capture.rows import identity
from runner.compare.exploratory import explore
from runner.compare.folding import folding
from runner.compare.hosts import host_names
from runner.compare.outcome import MEAN_LOG2, geometric
from runner.compare.statistic import mean_log2
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.capture.document import Table
    from runner.compare.design import Arrangement
    from runner.compare.document import Row
    from runner.compare.folding import Key
    from runner.compare.outcome import Outcome
    from runner.compare.runs import RecordedRun

MOST_ROWS = 200
"""Of a table; what is beyond them is `other`."""

LEAST_SHARE = 0.002
"""Of the events of its table, over all runs: rows with less are `other`."""

LEAST_EVENTS = 10
"""In each run: of fewer no mean is taken."""

OTHER = "other"


@dataclass(slots=True)
class _Tally:
    """What one run has of one row: events or sums, and of those with values the sum of them (or of log2)."""

    count: float = 0.0
    total: float = 0.0

    def add(self, other: _Tally) -> None:
        self.count += other.count
        self.total += other.total


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One row of both sides, with a number of each run.

    :param unit: Of its table.
    """

    row: Row
    unit: str | None
    before: Sequence[float]
    after: Sequence[float]


def explored(
    sides: Sequence[Sequence[RecordedRun]],
    arrangement: Arrangement,
    primaries: Sequence[Outcome],
    work: str | None,
) -> list[Row]:
    """Return the rows of all tables, those that changed most surely first.

    :param sides: Before and after; neither is empty.
    :param primaries: Which stand among the others no more.
    :param work: The unit of the commands' work, where all runs have some.
    """
    runs = [run for side in sides for run in side]
    candidates: list[_Candidate] = []
    for name in _names(runs):
        tables = [run.tables(name) for run in runs]
        if all(tables) and _are_alike(each for found in tables for each in found):
            candidates += _candidates(name, runs, tables, len(sides[0]), work)
    decided = [(each.subject.table, each.statistic) for each in primaries if not each.subject.keys]
    candidates = [
        each
        for each in candidates
        if each.row["key"] or (each.row["name"], each.row["statistic"]) not in decided
    ]
    if len(host_names(runs)) > 1:
        # Across hosts nothing else is comparable.
        candidates = [each for each in candidates if each.row["statistic"] == "per-work"]
    if not candidates:
        return []
    before, after = (
        [
            [[_side(each, number)[place] for each in candidates] for place in block[number]]
            for block in arrangement.blocks
        ]
        for number in (0, 1)
    )
    for candidate, found in zip(candidates, explore(before, after), strict=True):
        row = candidate.row
        row["before"], row["after"] = found.before, found.after
        row["p_value"], row["adjusted"] = found.p, found.adjusted
        row["verdict"] = "changed" if found.is_found else "inconclusive"
        if row["statistic"] == MEAN_LOG2:
            row["shift"] = found.after - found.before
            row["shown"] = {
                "before": geometric(found.before, candidate.unit),
                "after": geometric(found.after, candidate.unit),
            }
        else:
            row["shift"] = found.after / found.before if found.before else None
    rows = [each.row for each in candidates]
    return sorted(rows, key=lambda row: (row["adjusted"], row["p_value"] or 0.0))


def _side(candidate: _Candidate, number: int) -> Sequence[float]:
    return candidate.after if number else candidate.before


def _names(runs: Iterable[RecordedRun]) -> list[str]:
    return list(
        dict.fromkeys(table["name"] for run in runs for each in run.all_captures for table in each["tables"])
    )


def _are_alike(tables: Iterable[Table]) -> bool:
    shapes = {
        (table["kind"], table["unit"], tuple((k["name"], k["type"]) for k in table["keys"]))
        for table in tables
    }
    return len(shapes) == 1


def _candidates(
    name: str,
    runs: Sequence[RecordedRun],
    tables: Sequence[Sequence[Table]],
    before: int,
    work: str | None,
) -> list[_Candidate]:
    first = tables[0][0]
    kind = first["kind"]
    if kind not in _TALLIES:
        return []
    fold = folding(
        first["keys"], ([row["key"] for each in found for row in each["rows"]] for found in tables)
    )
    keys: dict[bytes, Key] = {}
    tallied = [_tally(found, _TALLIES[kind], fold, keys) for found in tables]
    if first["keys"]:
        _join_rare(tallied, keys, first)
        keys[b""] = {}
        for run in tallied:
            run[b""] = _sum(run.values())
    else:
        keys[identity({})] = {}
    made: list[_Candidate] = []
    amounts = _amounts(name, runs, work)
    for place, key in keys.items():
        for statistic, values in _numbers(kind, [run.get(place, _Tally()) for run in tallied], amounts):
            counted = first["unit"] or "events"
            counted = "events" if kind == "histogram" and statistic != MEAN_LOG2 else counted
            unit = {"rate": f"{counted}/s", "per-work": f"{counted}/{work}", MEAN_LOG2: "octaves"}.get(
                statistic, counted
            )
            row: Row = {
                "name": name, "key": key, "statistic": statistic, "unit": unit, "primary": False,
                "better": first.get("better"), "verdict": "inconclusive", "before": None, "after": None,
                "shift": None, "p_value": None,
            }  # fmt: skip
            made.append(_Candidate(row, first["unit"], values[:before], values[before:]))
    return made


def _numbers(
    kind: str, tallies: Sequence[_Tally], amounts: tuple[Any, Sequence[float]] | None
) -> Iterable[tuple[Any, Sequence[float]]]:
    """Return the numbers of each run that a row has."""
    has_means = all(each.count >= LEAST_EVENTS and math.isfinite(each.total) for each in tallies)
    if kind in ("histogram", "stats") and has_means:
        name = MEAN_LOG2 if kind == "histogram" else "mean"
        yield name, [each.total / each.count for each in tallies]
    if amounts is not None:
        statistic, per = amounts
        of_total = kind == "stats"
        yield (
            statistic,
            [
                (each.total if of_total else each.count) / size
                for each, size in zip(tallies, per, strict=True)
            ],
        )


def _amounts(name: str, runs: Sequence[RecordedRun], work: str | None) -> tuple[str, list[float]] | None:
    """Return what rates are per, and how much of that each run had; None where that is not known."""
    if work is not None:
        return "per-work", [float(run.work[0]) if run.work is not None else 0.0 for run in runs]
    lasted = [run.lasted(name) for run in runs]
    known = [each for each in lasted if each]
    return ("rate", known) if len(known) == len(lasted) else None


def _tally(
    tables: Iterable[Table],
    tally: Callable[[Any], _Tally],
    fold: Callable[[Key], Key],
    keys: dict[bytes, Key],
) -> dict[bytes, _Tally]:
    found: dict[bytes, _Tally] = {}
    for table in tables:
        for row in table["rows"]:
            key = fold(row["key"])
            place = identity(key)
            keys.setdefault(place, key)
            found.setdefault(place, _Tally()).add(tally(row))
    return found


def _join_rare(tallied: Sequence[dict[bytes, _Tally]], keys: dict[bytes, Key], table: Table) -> None:
    """Put the rows that hold little of a table into one."""
    weights = {place: sum(abs(run[place].count) for run in tallied if place in run) for place in keys}
    whole = sum(weights.values())
    ranked = sorted(weights, key=lambda place: (-weights[place], place))
    kept = {place for place in ranked[:MOST_ROWS] if weights[place] >= LEAST_SHARE * whole}
    other: Key = {column["name"]: OTHER for column in table["keys"]}
    if len(kept) < len(ranked):
        # Somebody may be called so: two rows of one name say nothing.
        kept.discard(identity(other))
    rare = [place for place in ranked if place not in kept]
    if not rare:
        return
    for run in tallied:
        joined = _sum(run.pop(place) for place in rare if place in run)
        run[b"other"] = joined
    for place in rare:
        del keys[place]
    keys[b"other"] = other


def _sum(tallies: Iterable[_Tally]) -> _Tally:
    whole = _Tally()
    for each in tallies:
        whole.add(each)
    return whole


def _of_histogram(row: Any) -> _Tally:
    try:
        return _Tally(row["count"], row["count"] * (mean_log2([row]) or 0.0))
    except ValueRefused:
        # Buckets without a logarithm: their events can be counted all the same.
        return _Tally(row["count"], math.nan)


_TALLIES: dict[str, Callable[[Any], _Tally]] = {
    "count": lambda row: _Tally(row["value"]),
    "sum": lambda row: _Tally(row["value"]),
    "stats": lambda row: _Tally(row["count"], row["total"]),
    "histogram": _of_histogram,
}

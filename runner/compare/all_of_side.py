"""Runs in one capture: all of a side, which gates that name an amount are held against, or one of windows."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from runner.capture.arithmetic import merge
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Capture, Problem, Table
    from runner.compare.runs import RecordedRun


def all_of(side: Sequence[RecordedRun], name: str) -> Capture:
    """Return one capture of all that the runs of a side counted, for as long as they lasted together.

    :param name: The table that matters; others that cannot be put together are left out.
    :raises ValueRefused: The table cannot be put together: runs do not have it, or in other shapes.
    """
    for run in side:
        if not run.tables(name):
            raise ValueRefused(f"{run.files[0]}: there is no table {name}")
    tables = [_merged(side, name)]
    for other in dict.fromkeys(table["name"] for run in side for table in run.all_tables):
        if other != name and _counts_one_thing(side, other):
            # Without such a table less is known of others, and nothing wrong.
            with contextlib.suppress(ValueRefused):
                tables.append(_merged(side, other))
    lasted = [run.lasted(name) for run in side]
    known = [each for each in lasted if each is not None]
    problems = [problem for run in side for problem in _problems(run)]
    first = side[0].first
    return {
        **first,
        "tables": tables,
        "window": {
            **first["window"],
            "duration_seconds": sum(known) if len(known) == len(lasted) else None,
            "ended_by": "duration",
        },
        "quality": {"grade": first["quality"]["grade"], "problems": problems},
    }


def _problems(run: RecordedRun) -> list[Problem]:
    """Return the problems of a run: each of its windows says all of them."""
    found: list[Problem] = []
    for capture in run.captures if run.whole is None else (run.whole,):
        found += [problem for problem in capture["quality"]["problems"] if problem not in found]
    return found


def _counts_one_thing(side: Sequence[RecordedRun], name: str) -> bool:
    """Whether all runs have a table, and count in it the same part of the same other one."""
    counted = set()
    for run in side:
        tables = run.tables(name)
        if not tables:
            return False
        for table in tables:
            pair = table.get("above_of")
            threshold = None if pair is None else repr(run.first["parameters"].get(pair["parameter"]))
            counted.add((repr(pair), threshold, table.get("total_of")))
    return len(counted) == 1


def _merged(side: Sequence[RecordedRun], name: str) -> Table:
    tables = [_timeless(table) for run in side for table in run.tables(name)]
    try:
        return merge(tables)
    except ValueRefused as error:
        raise ValueRefused(f"they cannot be put together: {error.message}") from error


def _timeless(table: Table) -> Table:
    made = table.copy()
    made.pop("since", None)
    made.pop("until", None)
    return made

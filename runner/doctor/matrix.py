"""Which recipes can run on which stored hosts: the doctor's examination, once for hosts that are alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson

from runner.doctor.matrix_document import SCHEMA
from runner.doctor.recipes import find_recipes, judge_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.bpftrace.version import Bpftrace
    from runner.doctor.matrix_document import Cell, Counts, HostGroup, Matrix, UnusedFile
    from runner.doctor.recipes import FoundRecipe
    from runner.doctor.stored import StoredHost
    from runner.host.facts import HostFacts
    from runner.recipe.model import Recipe


def make_matrix(
    recipe_ids: Sequence[str], hosts: Iterable[StoredHost], problems: Sequence[UnusedFile] = ()
) -> Matrix:
    """Return which of the recipes can run on which hosts.

    :param problems: Files that were not used.
    """
    recipes = find_recipes(recipe_ids)
    examined: dict[bytes, list[Cell]] = {}
    groups: dict[bytes, HostGroup] = {}
    for host in hosts:
        facts = _decisive(host)
        cells = examined.get(facts)
        if cells is None:
            cells = examined[facts] = [_cell(each, host) for each in recipes]
        group = _group(host, cells)
        groups.setdefault(orjson.dumps(group), group)["hosts"].append(host.facts.hostname)
    for group in groups.values():
        group["hosts"].sort()
        group["count"] = len(group["hosts"])
    ordered = sorted(
        groups.values(),
        key=lambda each: (-each["count"], each["kernel"], each["bpftrace"] or "", each["hosts"][0]),
    )
    return {
        "schema": SCHEMA,
        "hosts": sum(group["count"] for group in ordered),
        "recipes": [
            {"id": recipe.id, **_counts((group["recipes"][place], group["count"]) for group in ordered)}
            for place, recipe in enumerate(recipes)
        ],
        "groups": ordered,
        "problems": list(problems),
    }


def _decisive(host: StoredHost) -> bytes:
    """Return all that a recipe's verdict follows from: hosts that have it in common are examined once."""
    facts = host.facts
    checks = [
        (
            check["name"],
            check["status"],
            check["blocks"],
            check["detail"] if check["status"] == "unknown" else "",
        )
        for check in host.checks
    ]
    return orjson.dumps([facts.btf, facts.bpftrace, sorted(facts.probes.items()), checks])


def _cell(found: FoundRecipe, host: StoredHost) -> Cell:
    def facts_of(_: Recipe | None, __: Bpftrace) -> HostFacts:
        return host.facts

    verdict = judge_found(found, host.checks, host.bpftrace, facts_of, _leave_quiet)
    return {
        "id": verdict["id"],
        "status": verdict["status"],
        "variant": verdict["variant"],
        "reason": verdict["reason"],
        "lacks": list(dict.fromkeys(lack.get("lacks", lack["detail"]) for lack in verdict["missing"])),
        "not_known": verdict.get("not_known", []),
    }


def _leave_quiet(_: Recipe) -> None:
    """Ask for no other busy programs: they are of a moment, and of no host."""


def _group(host: StoredHost, cells: list[Cell]) -> HostGroup:
    return {
        "hosts": [],
        "count": 0,
        "kernel": host.facts.kernel,
        "arch": host.facts.arch,
        "bpftrace": host.release,
        "source": host.source,
        "not_looked_at": host.not_looked_at,
        **_counts((cell, 1) for cell in cells),
        "recipes": cells,
    }


def _counts(cells: Iterable[tuple[Cell, int]]) -> Counts:
    counted: Counter[str] = Counter()
    for cell, times in cells:
        counted[cell["status"]] += times
    return {"run": counted["ok"], "lack": counted["missing"], "not_known": counted["unknown"]}

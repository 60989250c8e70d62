"""Look at this host and at recipes, and make the document."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from runner.bpftrace.version import ask_bpftrace
from runner.doctor.checks import all_checks
from runner.doctor.document import SCHEMA
from runner.doctor.recipes import judge_recipes
from runner.doctor.state import read_state
from runner.errors import HostRefused
from runner.host.facts_file import facts_document
from runner.host.trials import try_here
from runner.plan import host_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.bpftrace.version import Bpftrace
    from runner.doctor.document import Doctor
    from runner.doctor.recipes import FactsOf
    from runner.host.facts import HostFacts
    from runner.host.trials import Trials
    from runner.recipe.model import Recipe


def examine(
    recipe_ids: Sequence[str],
    *,
    bpftrace: str | None = None,
    root: Path = Path("/"),
    trials: Callable[[], Trials] = try_here,
    facts_of: FactsOf = host_facts,
) -> Doctor:
    """Return what this host is and which of the recipes it can run.

    :param bpftrace: As given to `--bpftrace`.
    :param root: Below it are `proc`, `sys` and `etc`: of this host, or of one that was copied.
    :param trials: Asks the kernel.
    :param facts_of: Reads what a recipe asks of the host.
    """
    state = read_state(root, trials)
    found = _find(bpftrace)
    checks = all_checks(state, found)
    system = os.uname()
    kept = _Kept(facts_of)
    verdicts = judge_recipes(recipe_ids, checks, found, kept)
    return {
        "schema": SCHEMA,
        "host": {
            "hostname": socket.gethostname(),
            "kernel": system.release,
            "arch": system.machine,
            "system": state.distribution.name,
            "bpftrace": None if isinstance(found, HostRefused) else str(found),
        },
        "checks": checks,
        "recipes": verdicts,
        "facts": facts_document(kept.facts) if kept.facts is not None else None,
    }


class _Kept:
    """Reads what recipes ask of the host.

    :ivar facts: All that was read; None before anything was.
    """

    def __init__(self, facts_of: FactsOf) -> None:
        self.facts: HostFacts | None = None
        self._facts_of = facts_of

    def __call__(self, recipe: Recipe | None, bpftrace: Bpftrace) -> HostFacts:
        facts = self._facts_of(recipe, bpftrace)
        self.facts = facts if self.facts is None else self.facts.joined(facts)
        return facts


def _find(given: str | None) -> Bpftrace | HostRefused:
    try:
        return ask_bpftrace(given)()
    except HostRefused as refusal:
        return refusal

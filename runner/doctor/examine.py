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
from runner.host.trials import try_here
from runner.plan import host_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.bpftrace.version import Bpftrace
    from runner.doctor.document import Doctor
    from runner.doctor.recipes import FactsOf
    from runner.host.trials import Trials


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
        "recipes": judge_recipes(recipe_ids, checks, found, facts_of),
    }


def _find(given: str | None) -> Bpftrace | HostRefused:
    try:
        return ask_bpftrace(given)()
    except HostRefused as refusal:
        return refusal

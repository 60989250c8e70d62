"""Which processes a run is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.recipe.cgroups import CGROUP_OPTIONS
from runner.recipe.parameters import TaskName

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.host.sockets import Holder
    from runner.plan import Plan


def is_wanted_by(plan: Plan) -> Callable[[Holder], bool]:
    """Return whether a process is among those that `--pid`, `--comm` and the cgroups ask for."""
    names = plan.values.get("comm", ())
    pids = {value.json() for value in plan.values.get("pid", ())}
    places, is_exact = [place for _, place in plan.cgroups], plan.is_exact
    # Nearly all runs do without.
    from runner.host.cgroups import is_inside  # noqa: PLC0415

    def is_wanted(holder: Holder) -> bool:
        is_named = not names or any(isinstance(name, TaskName) and name.fits(holder.name) for name in names)
        is_there = not places or any(is_inside(holder.cgroups, place, is_exact=is_exact) for place in places)
        return is_named and is_there and (not pids or holder.pid in pids)

    return is_wanted


def names_processes(plan: Plan) -> bool:
    """Whether the run was asked for some processes, and not for all."""
    return any(plan.values.get(option) for option in ("pid", "comm", *CGROUP_OPTIONS))

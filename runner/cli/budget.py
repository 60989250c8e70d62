"""`run --budget`: refused where it cannot be kept, and what to do where a run was ended for its cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.errors import HostRefused

if TYPE_CHECKING:
    from runner.capture.document import Capture
    from runner.recipe.model import Recipe

_LEVELS = ("low", "medium", "high")


def check_measurable(*, is_elevated: bool) -> None:
    """Refuse a budget where what a run costs cannot be measured.

    :param is_elevated: bpftrace alone is root, and we are not.
    :raises HostRefused: It cannot.
    """
    from runner.host import bpf

    if is_elevated:
        raise HostRefused(
            "--budget needs run times of BPF programs, which the kernel gives to root, and with --sudo only "
            "bpftrace is root",
            hint="run ebpf-recipe itself as root, or without --budget",
        )
    try:
        with bpf.run_time_statistics():
            pass
    except OSError as error:
        raise HostRefused(
            f"--budget needs run times of BPF programs, which the kernel does not give: {error.strerror}",
            hint="it takes CAP_SYS_ADMIN and Linux 5.8 or newer; or run without --budget",
        ) from error


def refusal(capture: Capture, recipe: Recipe | None) -> HostRefused | None:
    """Return why a run was refused in its first moment, with what to do; None where it was not.

    :param recipe: None where a script ran.
    """
    use = capture["overhead"].get("budget") if capture["overhead"] is not None else None
    if use is None or use["outcome"] not in ("refused", "unmeasured"):
        return None
    why = next(each["detail"] for each in capture["quality"]["problems"] if each["code"] == "over-budget")
    if use["outcome"] == "unmeasured":
        return HostRefused(why, hint="run it without --budget")
    ways = [*_cheaper(recipe), *_fewer(recipe)] if recipe is not None else ["fewer probes in the script"]
    own = (use.get("runner_ratio") or 0.0) + (use.get("tracer_ratio") or 0.0)
    is_filtered = recipe is not None and "cgroup" in recipe.target.honours
    if is_filtered and own > (use.get("inside_ratio") or 0.0):
        ways.insert(0, "a filter (--comm, --pod), which leaves less to hand on")
    elif not ways:
        ways.append("samples instead of every event (cpu-profile): no filter spares the probes themselves")
    # A tenth more than was measured: the next moment is not the same.
    enough = _two_digits_up(use.get("deciding_ratio", 1.0) * 110)
    if enough <= 100:
        ways.append(f"--budget {enough:g}%")
    return HostRefused(f"refused: {why}", hint="what there is to do: " + "; ".join(ways) if ways else None)


def _two_digits_up(percent: float) -> float:
    """Return the next number of two digits, the zeros before them and behind them apart."""
    step: float = 10.0 ** (math.floor(math.log10(percent)) - 1)
    return round(math.ceil(percent / step) * step, 6)


def _cheaper(recipe: Recipe) -> list[str]:
    """Return related recipes whose level of overhead is lower."""
    from runner.recipe.catalogue import find_recipe, recipe_ids

    known = recipe_ids()
    own = _LEVELS.index(recipe.overhead.level)
    found = []
    for related in recipe.related:
        if related.id not in known:
            continue
        other = find_recipe(related.id).recipe
        if _LEVELS.index(other.overhead.level) < own:
            found.append(f"{other.id} costs less ({other.overhead.level}: {other.title})")
    return found


def _fewer(recipe: Recipe) -> list[str]:
    """Return parameters that have fewer probes run."""
    ways = []
    if recipe.sampling is not None and isinstance(recipe.sampling.hertz, str):
        ways.append(f"a lower --{recipe.sampling.hertz.replace('_', '-')}")
    ways += [
        f"fewer functions (--{parameter.name})"
        for parameter in recipe.parameters
        if parameter.type == "function"
    ]
    return ways

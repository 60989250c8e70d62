"""Which variant of a recipe would run here and why, or what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner import plan, quiet
from runner.doctor.cures import run_as_root
from runner.errors import EbpfRecipeError, FeatureMissing, HostRefused
from runner.recipe.catalogue import find_recipe
from runner.recipe.render import choose_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.bpftrace.version import Bpftrace
    from runner.doctor.document import Check, Lack, RecipeVerdict
    from runner.host.facts import HostFacts
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe

    FactsOf = Callable[[Recipe | None, Bpftrace], HostFacts]


def judge_recipes(
    ids: Sequence[str],
    checks: Sequence[Check],
    bpftrace: Bpftrace | HostRefused,
    facts_of: FactsOf = plan.host_facts,
) -> list[RecipeVerdict]:
    """Return whether each recipe can run here; one that has mistakes cannot.

    :param checks: Of this host.
    :param bpftrace: The binary, or why there is none.
    :param facts_of: Reads what a recipe asks of the host.
    """
    quiet = _Quiet()
    return [judge_found(found, checks, bpftrace, facts_of, quiet) for found in find_recipes(ids)]


@dataclass(frozen=True, slots=True)
class FoundRecipe:
    """A recipe, or why it cannot be read."""

    id: str
    recipe: LoadedRecipe | EbpfRecipeError


def find_recipes(ids: Iterable[str]) -> list[FoundRecipe]:
    """Return recipes, to be judged for one host or for many."""
    found = []
    for recipe_id in ids:
        try:
            found.append(FoundRecipe(recipe_id, find_recipe(recipe_id)))
        except EbpfRecipeError as error:
            found.append(FoundRecipe(recipe_id, error))
    return found


def judge_found(
    found: FoundRecipe,
    checks: Sequence[Check],
    bpftrace: Bpftrace | HostRefused,
    facts_of: FactsOf,
    check_quiet: Callable[[Recipe], None],
) -> RecipeVerdict:
    """Return whether a recipe can run, as `judge_recipe` does; one that has mistakes cannot."""
    if isinstance(found.recipe, EbpfRecipeError):
        error = found.recipe
        lack: Lack = {
            "detail": error.message,
            "cure": error.hint,
            "command": None,
            "lacks": "a recipe without mistakes",
        }
        return _verdict(found.id, [lack])
    return judge_recipe(found.recipe, checks, bpftrace, facts_of, check_quiet)


def judge_recipe(
    loaded: LoadedRecipe,
    checks: Sequence[Check],
    bpftrace: Bpftrace | HostRefused,
    facts_of: FactsOf = plan.host_facts,
    check_quiet: Callable[[Recipe], None] = quiet.check_quiet,
) -> RecipeVerdict:
    """Return whether a recipe can run here.

    :param checks: Of this host.
    :param bpftrace: The binary, or why there is none.
    :param facts_of: Reads what a recipe asks of the host.
    :param check_quiet: Refuses a recipe that takes samples where other programs are busy.
    """
    recipe = loaded.recipe
    needed = ({"btf"} if recipe.requires.btf else set()) | ({"profile"} if recipe.sampling else set())
    missing = [check for check in checks if check["status"] == "missing"]
    lacking = [check for check in missing if check["blocks"] or check["name"] in needed]
    names = {check["name"] for check in lacking}
    verdict = _verdict(recipe.id, [_lack(check, recipe.id) for check in lacking])
    if isinstance(bpftrace, HostRefused) or "tracefs" in names:
        return verdict  # what the guards ask for cannot be answered
    try:
        facts = facts_of(recipe, bpftrace)
        # What a check has told already is not told again.
        known = replace(facts, btf=True) if "btf" in names else facts
        variant, verdict["reason"] = choose_variant(recipe, known)
        verdict["variant"] = variant.id
        if not lacking:
            check_quiet(recipe)
    except KeyError as error:
        (probe,) = error.args
        unasked = {guard.probe for guard in recipe.guards()} - {None, *facts.probes}
        if probe not in unasked:
            raise
        more = f" and {len(unasked) - 1} more are" if len(unasked) > 1 else " is"
        verdict["not_known"] = [f"{probe}{more} not in the facts"]
    except HostRefused as refusal:
        cure = refusal.hint or (
            "boot a kernel that has it, or load the module that brings it; "
            f"`ebpf-recipe show {recipe.id}` says what each variant needs"
        )
        lacks = refusal.lacks if isinstance(refusal, FeatureMissing) else refusal.message
        verdict["missing"].append({"detail": refusal.message, "cure": cure, "command": None, "lacks": lacks})
        verdict["status"] = "missing"
    unseen = [check for check in checks if check["status"] == "unknown" and check["name"] in needed]
    if unseen:
        told = [f"{check['name']}: {check['detail']}" for check in unseen]
        verdict["not_known"] = [*verdict.get("not_known", ()), *told]
    if verdict.get("not_known") and not verdict["missing"]:
        verdict["status"] = "unknown"
    return verdict


class _Quiet:
    """Looks for other busy programs once, not for each recipe that takes samples: it takes 0.2 s."""

    def __init__(self) -> None:
        self._is_quiet = False

    def __call__(self, recipe: Recipe) -> None:
        if recipe.sampling is not None and not self._is_quiet:
            quiet.check_quiet(recipe)
            self._is_quiet = True


def _verdict(recipe_id: str, missing: list[Lack]) -> RecipeVerdict:
    return {
        "id": recipe_id,
        "status": "missing" if missing else "ok",
        "variant": None,
        "reason": None,
        "missing": missing,
    }


def _lack(check: Check, recipe_id: str) -> Lack:
    command = check["command"]
    if command == run_as_root(None):
        command = run_as_root(recipe_id)
    return {
        "detail": f"{check['name']}: {check['detail']}",
        "cure": check["cure"],
        "command": command,
        "lacks": check["name"],
    }

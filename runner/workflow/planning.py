"""What an investigation is going to do: the recipes that a symptom asks for, their cost, what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from runner import __version__
from runner.capture.percent import in_percent
from runner.errors import EbpfRecipeError, HostRefused, ValueRefused
from runner.host.event_rates import event_rates
from runner.plan import plan_run
from runner.recipe.catalogue import find_recipe, recipe_ids
from runner.recipe.given import parse_given
from runner.recipe.hypotheses import hypotheses
from runner.recipe.lint.evidence import check_evidence
from runner.recipe.parameters import Number
from runner.recipe.probe_heads import probes_of
from runner.workflow.costs import predicted, shared
from runner.workflow.planned_remedy import planned_remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runner.bpftrace.version import Bpftrace
    from runner.plan import Plan as RunPlan
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.recipe.model_evidence import Evidence
    from runner.recipe.model_hypothesis import Hypothesis
    from runner.recipe.objective import Objective
    from runner.workflow.documents import LeftOut, Plan, PlannedHypothesis, PlannedStep, Rule, Scope, Stage

SCHEMA = "ebpf-recipe/case-plan/v1"

RATE_SECONDS = 0.5
"""For so long the events are counted before the scan."""

TITLES: Mapping[str, str] = {
    "tail-latency": "Most answers come in time, and some much later",
    "timeouts": "Answers come so late that whoever waits gives up",
    "high-cpu": "Processors are busier than they should be",
    "packet-drops": "Packets are dropped",
    "slow-disk": "A disk takes long",
    "slow-files": "Reading or writing files takes long",
    "connection-errors": "Connections fail, or are hard to get",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an investigation is asked for.

    :param target: Target filters as they were given, by their names.
    :param budget: As it was given; `budget_share` of all processors.
    :param seconds: How long each window is.
    :param depth: How many hypotheses are followed.
    """

    symptom: str
    target: Mapping[str, tuple[str, ...]]
    objective: Objective
    budget: str
    budget_share: float
    seconds: float
    depth: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A recipe that can run here."""

    loaded: LoadedRecipe
    run_plan: RunPlan
    scope: Scope
    arguments: list[str]

    @property
    def recipe(self) -> Recipe:
        return self.loaded.recipe

    @property
    def probes(self) -> list[str]:
        return list(dict.fromkeys(probes_of(self.run_plan.program.text)))

    @property
    def hertz(self) -> int | None:
        """Return how often it samples each processor; None where it does not."""
        sampling = self.recipe.sampling
        if sampling is None:
            return None
        if isinstance(sampling.hertz, int):
            return sampling.hertz
        (value,) = self.run_plan.values[sampling.hertz]
        assert isinstance(value, Number)
        return value.number


def make_plan(
    asked: Asked,
    release: Bpftrace,
    rates_of: Callable[[Iterable[str], float], dict[str, float]] = event_rates,
) -> Plan:
    """Return what will be done on this host; the rates of the events are measured for that.

    :raises HostRefused: No recipe for the symptom can run here, or the budget has room for none.
    :raises ValueRefused: A value of the target is wrong.
    :raises RecipeRefused: What a recipe says that it speaks for cannot be held against anything.
    """
    every = hypotheses()
    known = {name: each for name, each in every.items() if asked.symptom in each.symptoms}
    wanted = dict.fromkeys(name for each in known.values() for name in each.details)
    scan: list[_Candidate] = []
    details: list[_Candidate] = []
    left_out: list[LeftOut] = []
    for name in recipe_ids():
        loaded = find_recipe(name)
        if asked.symptom in loaded.recipe.symptoms or name in wanted:
            check_evidence(loaded, every)
        is_scan = _is_scanned(loaded.recipe, asked, known)
        if not is_scan and name not in wanted:
            continue
        try:
            candidate = _candidate(loaded, asked, release)
        except HostRefused as refusal:
            left_out.append(_left_out(name, refusal.message, loaded.recipe, known))
            continue
        (scan if is_scan else details).append(candidate)
    if not scan:
        reasons = "; ".join(f"{each['recipe']}: {each['why']}" for each in left_out)
        raise HostRefused(
            f"no recipe for {asked.symptom} can run here" + (f": {reasons}" if reasons else ""),
            hint="`ebpf-recipe doctor` says what this host lacks",
        )
    rates = rates_of(sorted({probe for each in scan for probe in each.probes}), RATE_SECONDS)
    steps, over = _budgeted(scan, rates, asked, known)
    if not steps:
        reasons = "; ".join(f"{each['recipe']}: {each['why']}" for each in over)
        raise HostRefused(
            f"the budget of {asked.budget} has room for no recipe of {asked.symptom}: {reasons}",
            hint="a larger --budget, or a time with less load",
        )
    facts = scan[0].run_plan.facts
    return {
        "schema": "ebpf-recipe/case-plan/v1",
        "program": __version__,
        "symptom": asked.symptom,
        "title": TITLES[asked.symptom],
        "target": {name: list(values) for name, values in asked.target.items() if values},
        "slo": asked.objective.text,
        "budget": asked.budget,
        "depth": asked.depth,
        "seconds": asked.seconds,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "bpftrace": str(release.path),
        "host": {**facts.as_host()},
        "rates": {name: round(rate, 1) for name, rate in sorted(rates.items())},
        "scan": steps,
        "details": [_step(each, "detail", asked, known) for each in details],
        "left_out": [*left_out, *over],
        "hypotheses": [_planned(each) for each in known.values()],
    }


def _is_scanned(recipe: Recipe, asked: Asked, known: Mapping[str, Hypothesis]) -> bool:
    """Whether a recipe is of the scan: it names the symptom, and says something of one of its hypotheses."""
    speaks_of = {each.hypothesis for each in (*recipe.supports, *recipe.refutes)}
    return recipe.stage == "scan" and asked.symptom in recipe.symptoms and not speaks_of.isdisjoint(known)


def _candidate(loaded: LoadedRecipe, asked: Asked, release: Bpftrace) -> _Candidate:
    """Return a recipe as it will be asked.

    :raises HostRefused: It cannot run here.
    :raises ValueRefused: A value of the target is wrong.
    """
    recipe = loaded.recipe
    needed = [parameter.name for parameter in recipe.parameters if parameter.required]
    if needed:
        raise HostRefused(f"it has to be told --{', --'.join(needed)}")
    target = {name: values for name, values in asked.target.items() if values}
    refused = recipe.target.refused()
    scope: Scope = "target" if target and not refused.keys() & target.keys() else "host"
    texts: dict[str, tuple[str, ...]] = dict(target) if scope == "target" else {}
    for output in recipe.outputs:
        if output.above_of is not None:
            texts[output.above_of.parameter] = (asked.objective.time,)
    values = parse_given(recipe, texts)
    try:
        run_plan = plan_run(loaded, values, release)
    except EbpfRecipeError as error:
        if isinstance(error, ValueRefused) and scope == "target":
            raise
        raise HostRefused(error.message, hint=error.hint) from error
    arguments = [word for name, given in texts.items() for each in given for word in (f"--{name}", each)]
    return _Candidate(loaded, run_plan, scope, arguments)


def _budgeted(
    scan: Sequence[_Candidate],
    rates: Mapping[str, float],
    asked: Asked,
    known: Mapping[str, Hypothesis],
) -> tuple[list[PlannedStep], list[LeftOut]]:
    """Return the steps that the budget has room for, and what it has none for."""
    cpus = scan[0].run_plan.facts.cpus
    costs = [predicted(each.probes, rates, cpus, hertz=each.hertz) for each in scan]
    steps: list[PlannedStep] = []
    over: list[LeftOut] = []
    for each, cost, share in zip(scan, costs, shared(costs, asked.seconds, asked.budget_share), strict=True):
        if share.seconds is None:
            over.append(_left_out(each.recipe.id, share.why or "", each.recipe, known))
            continue
        step = _step(each, "scan", asked, known)
        step["seconds"] = share.seconds
        step["budget"] = in_percent(max(share.limit, 0.0001))
        step["predicted_ratio"] = None if cost is None else round(cost, 6)
        if share.why is not None:
            step["shortened"] = share.why
        steps.append(step)
    return steps, over


def _step(each: _Candidate, stage: Stage, asked: Asked, known: Mapping[str, Hypothesis]) -> PlannedStep:
    recipe = each.recipe
    return {
        "name": f"{stage}-{recipe.id}",
        "recipe": recipe.id,
        "layer": recipe.layer,
        "stage": stage,
        "beside": recipe.beside,
        "scope": each.scope,
        "arguments": each.arguments,
        "seconds": asked.seconds,
        "budget": in_percent(asked.budget_share),
        "rules": _rules(recipe, asked.objective, known),
        "event_units": {
            field.name: field.unit
            for event in recipe.events
            for field in event.fields
            if field.unit is not None
        },
    }


def _rules(recipe: Recipe, objective: Objective, known: Mapping[str, Hypothesis]) -> list[Rule]:
    rules = [
        _rule(each, "establishes" if each.establishes else "suggests", objective) for each in recipe.supports
    ]
    rules += [_rule(each, "refutes", objective) for each in recipe.refutes]
    return [rule for rule in rules if rule["hypothesis"] in known]


def _rule(
    evidence: Evidence, says: Literal["establishes", "suggests", "refutes"], objective: Objective
) -> Rule:
    return {
        "hypothesis": evidence.hypothesis,
        "says": says,
        "when": [objective.filled_in(each) for each in evidence.when],
        "reason": evidence.reason,
    }


def _planned(each: Hypothesis) -> PlannedHypothesis:
    return {
        "id": each.id,
        "title": each.title,
        "layer": each.layer,
        "description": each.description,
        "signs": [
            {
                "sign": sign.sign,
                "says": "establishes" if sign.establishes else "suggests",
                "reason": sign.reason,
            }
            for sign in each.signs
        ],
        "parts": list(each.parts),
        "shows_as": list(each.shows_as),
        "details": list(each.details),
        "remedies": [planned_remedy(remedy) for remedy in each.remedies],
        "next": each.next,
    }


def _left_out(name: str, why: str, recipe: Recipe, known: Mapping[str, Hypothesis]) -> LeftOut:
    speaks_of = dict.fromkeys(each.hypothesis for each in (*recipe.supports, *recipe.refutes))
    return {"recipe": name, "why": why, "hypotheses": [each for each in speaks_of if each in known]}
